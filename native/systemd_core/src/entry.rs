//! One entry for the journal, in the native protocol of systemd-journald.service(8).

use crate::field_name::FieldName;
use crate::timestamp;
use std::io::Write;

/// A list of fields, encoded. Values may hold any bytes.
#[derive(Debug, Default)]
pub struct Entry {
    bytes: Vec<u8>,
}

impl Entry {
    /// An entry without fields, with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { bytes: Vec::with_capacity(capacity) }
    }

    /// Adds a field, unless the value is empty.
    pub fn push(&mut self, name: &FieldName, value: &[u8]) {
        let start = self.begin(name);
        self.bytes.extend_from_slice(value);
        self.end(start);
    }

    /// Adds a field with the value that `write` appends, unless that is nothing. When `write`
    /// fails the entry stays as it was.
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
        self.begin(name);
        // Writing to a vector can't fail.
        let _ = writeln!(self.bytes, "{number}");
    }

    /// Adds a field with a time in microseconds since 1970, as RFC 3339 has it, in UTC.
    pub fn push_time(&mut self, name: &FieldName, usec: i64) {
        let start = self.begin(name);
        timestamp::write(&mut self.bytes, usec);
        self.end(start);
    }

    /// `MESSAGE=`, without the line breaks at its end.
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
        // An entry without a message is no line in journalctl.
        if self.bytes.len() == start.value {
            self.bytes.push(b'\n');
        } else {
            self.end(start);
        }
        Ok(())
    }

    /// What goes over the socket.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn begin(&mut self, name: &FieldName) -> Start {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(b'=');
        Start { name: start, value: self.bytes.len() }
    }

    /// `NAME=value`, or with line breaks in the value `NAME`, its length, and the value.
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
    }
}

const MESSAGE: &[u8] = b"MESSAGE=";

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

    /// What journald makes of an entry.
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
