//! One journal entry, in the native protocol of systemd-journald.service(8).

use super::field_name::FieldName;
use super::timestamp;
use nix::errno::Errno;
use nix::unistd::Uid;
use std::io::Write;
use std::sync::LazyLock;

/// A list of encoded fields. Values may hold any bytes.
///
/// An entry never has more fields or more bytes than journald accepts. Other fields are left out, and [`Entry::finish`]
/// adds their number.
#[derive(Debug)]
pub struct Entry {
    bytes: Vec<u8>,
    most_bytes: usize,
    fields: usize,
    left_out: i64,
    without_message: bool,
}

impl Default for Entry {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl Entry {
    /// journald accepts 1,024 fields, including about forty of its own and those of `LogExtraFields=`.
    const MOST_FIELDS: usize = 960;

    /// Room for `N_FIELDS_DROPPED=`, and for journald's own fields.
    const RESERVE: usize = 64 * 1024;

    /// An entry without fields, with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self::with_limit(capacity, most_bytes() - Self::RESERVE)
    }

    fn with_limit(capacity: usize, most_bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(capacity),
            most_bytes,
            fields: 0,
            left_out: 0,
            without_message: false,
        }
    }

    /// Adds a field, unless the value is empty.
    pub fn push(&mut self, name: &FieldName, value: &[u8]) {
        let start = self.begin(name);
        self.bytes.extend_from_slice(value);
        self.end(start);
    }

    /// Adds a field with the value that `write` appends, unless the value is empty. If `write` fails, the entry stays
    /// unchanged.
    pub fn push_with<E>(
        &mut self,
        name: &FieldName,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.begin(name);
        match write(&mut self.bytes) {
            Ok(()) => {
                self.end(start);
                Ok(())
            }
            Err(error) => {
                self.bytes.truncate(start.name);
                Err(error)
            }
        }
    }

    /// Adds a field with a decimal number.
    pub fn push_number(&mut self, name: &FieldName, number: i64) {
        let start = self.begin(name);
        // Writing to a vector can't fail.
        let _ = write!(self.bytes, "{number}");
        self.end(start);
    }

    /// Adds a field with a time in microseconds since 1970, in the format of RFC 3339, in UTC.
    pub fn push_time(&mut self, name: &FieldName, usec: i64) {
        let start = self.begin(name);
        timestamp::write(&mut self.bytes, usec);
        self.end(start);
    }

    /// Adds `MESSAGE=`, without line breaks at its end.
    pub fn push_message<E>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = Start { name: self.bytes.len(), value: self.bytes.len() + MESSAGE.len() };
        self.bytes.extend_from_slice(MESSAGE);
        write(&mut self.bytes)?;
        while self.bytes.len() > start.value && self.bytes.ends_with(b"\n") {
            self.bytes.pop();
        }
        // journalctl shows no line for an entry without a message.
        if self.bytes.len() == start.value {
            self.bytes.push(b'\n');
            self.fields += 1;
        } else {
            self.end(start);
            self.without_message = self.bytes.len() == start.name;
        }
        Ok(())
    }

    /// Adds `N_FIELDS_DROPPED=` if fields were left out. Fails with `EMSGSIZE` if the message was one of them, because
    /// journalctl shows no line for such an entry.
    pub fn finish(&mut self) -> Result<(), Errno> {
        if self.without_message {
            return Err(Errno::EMSGSIZE);
        }
        if self.left_out > 0 {
            // Writing to a vector can't fail.
            let _ = writeln!(self.bytes, "N_FIELDS_DROPPED={}", self.left_out);
        }
        Ok(())
    }

    /// A shortened copy that fits into any datagram. The first field, which is the message, gets at most half of the
    /// space. The other fields are copied if they fit. `N_BYTES_CUT=` is the number of bytes missing from the message,
    /// and `CUT_BECAUSE=` is the reason.
    pub(crate) fn cut(&self, because: Errno) -> Self {
        const MOST: usize = 48 * 1024;
        let name = |name: &str| FieldName::from_any(name.as_bytes());
        let mut entry = Self::with_limit(MOST, 2 * MOST);
        for (place, (field, value)) in Fields(&self.bytes).enumerate() {
            let rest = MOST.saturating_sub(entry.bytes.len());
            if place > 0 && field.len() + value.len() > rest {
                entry.left_out += 1;
                continue;
            }
            let part = value.get(..MOST / 2).unwrap_or(value);
            entry.push(&name(&String::from_utf8_lossy(field)), part);
            if part.len() < value.len() {
                let missing = i64::try_from(value.len() - part.len()).unwrap_or(i64::MAX);
                entry.push_number(&name("N_BYTES_CUT"), missing);
            }
        }
        entry.push(&name("CUT_BECAUSE"), because.desc().as_bytes());
        let _ = entry.finish();
        entry
    }

    /// The bytes of the entry.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn begin(&mut self, name: &FieldName) -> Start {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(b'=');
        Start { name: start, value: self.bytes.len() }
    }

    /// Writes `NAME=value`. If the value has line breaks, writes `NAME`, its length, and the value.
    fn end(&mut self, start: Start) {
        let value = self.bytes.get(start.value..).unwrap_or_default();
        if value.is_empty() {
            self.bytes.truncate(start.name);
            return;
        }
        if value.contains(&b'\n') {
            let length = u64::try_from(value.len()).unwrap_or(u64::MAX).to_le_bytes();
            let header = std::iter::once(b'\n').chain(length);
            self.bytes.splice(start.value - 1..start.value, header);
        }
        self.bytes.push(b'\n');
        if self.fields < Self::MOST_FIELDS && self.bytes.len() <= self.most_bytes {
            self.fields += 1;
        } else {
            self.bytes.truncate(start.name);
            self.left_out += 1;
        }
    }
}

/// The size of an entry that journald accepts from this process. From systemd 260 on it is smaller for all users but
/// root. The version of the running journald is not known here.
fn most_bytes() -> usize {
    const MIB: usize = 1024 * 1024;
    static MOST: LazyLock<usize> =
        LazyLock::new(|| if Uid::current().is_root() { 768 * MIB } else { 32 * MIB });
    *MOST
}

const MESSAGE: &[u8] = b"MESSAGE=";

/// The names and values of an entry.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let end = self.0.iter().position(|byte| b"=\n".contains(byte))?;
        let (name, rest) = self.0.split_at(end);
        let (separator, rest) = rest.split_first()?;
        let (value, rest) = if *separator == b'=' {
            rest.split_at(rest.iter().position(|&byte| byte == b'\n')?)
        } else {
            let (length, rest) = rest.split_first_chunk()?;
            rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?
        };
        self.0 = rest.get(1..)?;
        Some((name, value))
    }
}

#[derive(Clone, Copy)]
struct Start {
    name: usize,
    value: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(name: &str) -> FieldName {
        FieldName::parse(name.as_bytes()).unwrap()
    }

    /// Parses an entry as journald does.
    fn parsed(mut bytes: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let line_end = bytes.iter().position(|&byte| byte == b'\n').unwrap();
            let line = &bytes[..line_end];
            if let Some(equals) = line.iter().position(|&byte| byte == b'=') {
                fields.push((line[..equals].to_vec(), line[equals + 1..].to_vec()));
                bytes = &bytes[line_end + 1..];
            } else {
                let (length, rest) = bytes[line_end + 1..].split_at(8);
                let length = u64::from_le_bytes(length.try_into().unwrap()) as usize;
                assert_eq!(rest[length], b'\n');
                fields.push((line.to_vec(), rest[..length].to_vec()));
                bytes = &rest[length + 1..];
            }
        }
        fields
    }

    #[test]
    fn one_line_values_and_others() {
        let mut entry = Entry::default();
        entry.push(&name("A"), b"b=c\0\xff");
        entry.push(&name("EMPTY"), b"");
        entry.push(&name("B"), b"1\n2");
        entry.push_number(&name("N"), -7);
        entry.push_time(&name("T"), 1_000_000);
        assert_eq!(
            entry.as_bytes(),
            b"A=b=c\0\xff\nB\n\x03\0\0\0\0\0\0\x001\n2\nN=-7\nT=1970-01-01T00:00:01.000000Z\n"
        );
    }

    #[test]
    fn a_message_ends_with_its_last_line() {
        for (text, bytes) in [
            ("text\n\n", b"MESSAGE=text\n".as_slice()),
            ("\n", b"MESSAGE=\n"),
            ("a\nb\n", b"MESSAGE\n\x03\0\0\0\0\0\0\0a\nb\n"),
        ] {
            let mut entry = Entry::default();
            let pushed = entry.push_message::<()>(|value| {
                value.extend_from_slice(text.as_bytes());
                Ok(())
            });
            assert_eq!(pushed, Ok(()));
            assert_eq!(entry.as_bytes(), bytes);
        }
    }

    #[test]
    fn a_value_that_fails_leaves_no_trace() {
        let mut entry = Entry::default();
        entry.push(&name("A"), b"1");
        let failed = entry.push_with(&name("B"), |value| {
            value.push(b'2');
            Err("no")
        });
        assert_eq!(failed, Err("no"));
        assert_eq!(entry.as_bytes(), b"A=1\n");
    }

    #[test]
    fn more_fields_than_journald_takes() {
        let mut entry = Entry::default();
        for n in 0..=Entry::MOST_FIELDS {
            entry.push(&name(&format!("F{n}")), b"x");
        }
        assert_eq!(entry.finish(), Ok(()));
        let fields = parsed(entry.as_bytes());
        assert_eq!(fields.len(), Entry::MOST_FIELDS + 1);
        assert_eq!(fields.last(), Some(&(b"N_FIELDS_DROPPED".to_vec(), b"1".to_vec())));
    }

    #[test]
    fn more_bytes_than_journald_takes() {
        let mut entry = Entry::with_limit(0, 20);
        let message = |text: &'static [u8]| {
            move |value: &mut Vec<u8>| {
                value.extend_from_slice(text);
                Ok::<_, ()>(())
            }
        };
        assert_eq!(entry.push_message(message(b"text")), Ok(()));
        entry.push(&name("A"), b"1\n2");
        entry.push(&name("B"), b"3");
        assert_eq!(entry.finish(), Ok(()));
        assert_eq!(entry.as_bytes(), b"MESSAGE=text\nB=3\nN_FIELDS_DROPPED=1\n");
        let mut entry = Entry::with_limit(0, 20);
        assert_eq!(entry.push_message(message(b"a text of more than that")), Ok(()));
        entry.push(&name("A"), b"1");
        assert_eq!(entry.finish(), Err(Errno::EMSGSIZE));
    }

    #[test]
    fn cut_to_what_any_datagram_holds() {
        let mut entry = Entry::default();
        let text = format!("a\n{}", "b".repeat(100_000));
        let pushed = entry.push_message::<()>(|value| {
            value.extend_from_slice(text.as_bytes());
            Ok(())
        });
        assert_eq!(pushed, Ok(()));
        entry.push(&name("SMALL"), b"1");
        let cut = entry.cut(Errno::EPERM);
        let fields = parsed(cut.as_bytes());
        let value = |name: &str| {
            fields.iter().find(|(of, _)| of == name.as_bytes()).map(|(_, value)| value)
        };
        let message = value("MESSAGE").unwrap();
        assert!(text.as_bytes().starts_with(message) && message.len() == 24 * 1024);
        let missing = (text.len() - message.len()).to_string();
        assert_eq!(value("N_BYTES_CUT").unwrap(), missing.as_bytes());
        assert_eq!(value("SMALL").unwrap(), b"1");

        let mut entry = Entry::default();
        entry.push(&name("MESSAGE"), b"short");
        entry.push(&name("LARGE"), &[b'x'; 100_000]);
        entry.push(&name("SMALL"), b"1\n2");
        assert_eq!(
            String::from_utf8_lossy(entry.cut(Errno::EPERM).as_bytes()),
            "MESSAGE=short\nSMALL\n\u{3}\0\0\0\0\0\0\x001\n2\nCUT_BECAUSE=Operation not permitted\nN_FIELDS_DROPPED=1\n"
        );
    }

    proptest! {
        #[test]
        fn journald_reads_what_was_pushed(fields: Vec<(Vec<u8>, Vec<u8>)>) {
            let mut entry = Entry::default();
            let mut expected = Vec::new();
            for (any, value) in fields {
                let name = FieldName::from_any(&any);
                entry.push(&name, &value);
                if !value.is_empty() {
                    expected.push((name.as_bytes().to_vec(), value));
                }
            }
            prop_assert_eq!(parsed(entry.as_bytes()), expected);
        }
    }
}
