//! One datagram to systemd.

use super::announced::Announcement;
use super::assignment::Assignment;
use nix::errno::Errno;
use nix::time::{ClockId, clock_gettime};
use std::iter::repeat_n;
use std::ops::Range;
use std::time::Duration;

/// A list of encoded [`Assignment`]s. Each ends with a newline. No value can add another assignment.
#[derive(Debug, Default)]
pub struct Message {
    bytes: Vec<u8>,
    announcements: u8,
    status: Option<Range<usize>>,
}

/// Why [`Message::push`] rejects an assignment. The message stays unchanged.
#[derive(Debug, PartialEq, Eq)]
pub enum Rejected {
    /// The value breaks the rule documented at its [`Assignment`].
    InvalidValue,
    /// The message would be longer than [`Message::LONGEST`].
    TooLong,
}

impl Message {
    /// systemd reads at most this many bytes of a datagram, and silently ignores the rest.
    pub const LONGEST: usize = 4096;

    /// A message without assignments.
    pub fn new() -> Self {
        Self { bytes: Vec::with_capacity(256), announcements: 0, status: None }
    }

    /// A message with one assignment. Fails with `EINVAL` or `EMSGSIZE` if the assignment is rejected.
    pub fn of(assignment: &Assignment<'_>) -> Result<Self, Errno> {
        let mut message = Self::new();
        match message.push(assignment) {
            Ok(()) => Ok(message),
            Err(Rejected::InvalidValue) => Err(Errno::EINVAL),
            Err(Rejected::TooLong) => Err(Errno::EMSGSIZE),
        }
    }

    /// Adds one assignment.
    pub fn push(&mut self, assignment: &Assignment<'_>) -> Result<(), Rejected> {
        let (length, announcements) = (self.bytes.len(), self.announcements);
        self.encode(assignment).inspect_err(|_| {
            self.bytes.truncate(length);
            self.announcements = announcements;
        })
    }

    fn encode(&mut self, assignment: &Assignment<'_>) -> Result<(), Rejected> {
        use Assignment::*;
        match *assignment {
            Ready => self.announce(Announcement::Ready, b"READY"),
            Stopping => self.announce(Announcement::Stopping, b"STOPPING"),
            Reloading => {
                self.announce(Announcement::Reloading, b"RELOADING")?;
                self.number(b"MONOTONIC_USEC", monotonic_usec())
            }
            Status(text) => self.status(text),
            Errno(number) if number > 4095 => Err(Rejected::InvalidValue),
            Errno(number) => self.number(b"ERRNO", number.into()),
            BusError(name) => self.text(b"BUSERROR", name),
            VarlinkError(name) => self.text(b"VARLINKERROR", name),
            ExitStatus(status) => self.number(b"EXIT_STATUS", status.into()),
            MainPid(pid) if pid <= 0 => Err(Rejected::InvalidValue),
            MainPid(pid) => self.line(b"MAINPID", pid.to_string().as_bytes()),
            NotifyAccess(access) => self.line(b"NOTIFYACCESS", access.as_bytes()),
            Barrier => self.line(b"BARRIER", b"1"),
            Watchdog => self.line(b"WATCHDOG", b"1"),
            WatchdogUsec(usec) => self.number(b"WATCHDOG_USEC", usec),
            ExtendTimeoutUsec(usec) => self.number(b"EXTEND_TIMEOUT_USEC", usec),
            RestartReset => self.line(b"RESTART_RESET", b"1"),
            FdStore { name, poll } => {
                self.line(b"FDSTORE", b"1")?;
                name.map_or(Ok(()), |name| self.line(b"FDNAME", name.as_bytes()))?;
                if poll { Ok(()) } else { self.line(b"FDPOLL", b"0") }
            }
            FdStoreRemove(name) => {
                self.line(b"FDSTOREREMOVE", b"1")?;
                self.line(b"FDNAME", name.as_bytes())
            }
            Custom { key, value } => self.custom(key, value),
        }
    }

    /// The bytes of the datagram.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// True for a message without assignments. It need not be sent.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn announcements(&self) -> u8 {
        self.announcements
    }

    /// The value of the last `STATUS=` in the message, with escapes. [`decoded`] removes them.
    pub(crate) fn encoded_status(&self) -> Option<&[u8]> {
        self.bytes.get(self.status.clone()?)
    }

    fn announce(&mut self, announcement: Announcement, key: &[u8]) -> Result<(), Rejected> {
        self.line(key, b"1")?;
        self.announcements |= announcement as u8;
        Ok(())
    }

    fn status(&mut self, text: &[u8]) -> Result<(), Rejected> {
        if text.len() > Self::LONGEST {
            return Err(Rejected::TooLong);
        }
        let start = self.bytes.len() + b"STATUS=".len();
        if is_plain(text) {
            self.plain_line(b"STATUS", text)?;
        } else {
            let text = String::from_utf8_lossy(text).replace(['\n', '\r', '\0'], " ");
            self.line(b"STATUS", text.as_bytes())?;
        }
        let range = start..self.bytes.len() - 1;
        self.announcements |= Announcement::Status as u8;
        self.status = Some(range);
        Ok(())
    }

    fn custom(&mut self, key: &[u8], value: &[u8]) -> Result<(), Rejected> {
        if key.eq_ignore_ascii_case(b"STATUS") {
            return self.status(value);
        }
        if key.is_empty() || key.iter().any(|byte| b"=\\".contains(byte)) || !is_one_line(key) {
            return Err(Rejected::InvalidValue);
        }
        let start = self.bytes.len();
        self.text(key, value)?;
        self.bytes[start..start + key.len()].make_ascii_uppercase();
        match &self.bytes[start..] {
            b"READY=1\n" => self.announcements |= Announcement::Ready as u8,
            b"STOPPING=1\n" => self.announcements |= Announcement::Stopping as u8,
            b"RELOADING=1\n" => self.announcements |= Announcement::Reloading as u8,
            _ => (),
        }
        Ok(())
    }

    fn text(&mut self, key: &[u8], value: &[u8]) -> Result<(), Rejected> {
        if is_one_line(value) { self.line(key, value) } else { Err(Rejected::InvalidValue) }
    }

    fn number(&mut self, key: &[u8], number: u64) -> Result<(), Rejected> {
        self.line(key, number.to_string().as_bytes())
    }

    /// systemd treats a backslash as an escape character, so each backslash is doubled.
    fn line(&mut self, key: &[u8], value: &[u8]) -> Result<(), Rejected> {
        if is_plain(value) {
            return self.plain_line(key, value);
        }
        let doubled = |&byte| repeat_n(byte, if byte == b'\\' { 2 } else { 1 });
        let escaped: Vec<_> = value.iter().flat_map(doubled).collect();
        self.plain_line(key, &escaped)
    }

    fn plain_line(&mut self, key: &[u8], value: &[u8]) -> Result<(), Rejected> {
        if self.bytes.len() + key.len() + value.len() + 2 > Self::LONGEST {
            return Err(Rejected::TooLong);
        }
        self.bytes.extend_from_slice(key);
        self.bytes.push(b'=');
        self.bytes.extend_from_slice(value);
        self.bytes.push(b'\n');
        Ok(())
    }
}

/// Most values are printable ASCII without backslashes, which needs no change.
fn is_plain(value: &[u8]) -> bool {
    value.iter().all(|&byte| matches!(byte, b' '..=b'~') && byte != b'\\')
}

/// Undoes the doubling of backslashes in a value.
pub(crate) fn decoded(value: &[u8]) -> Vec<u8> {
    let mut escaped = false;
    let meant = value.iter().copied().filter(|&byte| {
        escaped = byte == b'\\' && !escaped;
        !escaped
    });
    meant.collect()
}

fn is_one_line(text: &[u8]) -> bool {
    !text.iter().any(|byte| matches!(byte, b'\n' | b'\r' | 0))
}

fn monotonic_usec() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map(|now| Duration::from(now).as_micros() as u64)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sockets::fd_name::FdName;
    use proptest::prelude::*;

    fn encoded(assignments: &[Assignment<'_>]) -> Result<String, Rejected> {
        let mut message = Message::new();
        assignments.iter().try_for_each(|assignment| message.push(assignment))?;
        Ok(String::from_utf8(message.bytes).unwrap())
    }

    #[test]
    fn every_assignment() {
        use Assignment::*;
        let name = FdName::parse(b"http");
        for (assignment, expected) in [
            (Ready, "READY=1\n"),
            (Stopping, "STOPPING=1\n"),
            (Status("grün".as_bytes()), "STATUS=grün\n"),
            (Status(b""), "STATUS=\n"),
            (Errno(0), "ERRNO=0\n"),
            (Errno(4095), "ERRNO=4095\n"),
            (BusError(b"org.a.B"), "BUSERROR=org.a.B\n"),
            (VarlinkError(b"org.a.B"), "VARLINKERROR=org.a.B\n"),
            (ExitStatus(255), "EXIT_STATUS=255\n"),
            (MainPid(4711), "MAINPID=4711\n"),
            (NotifyAccess("exec"), "NOTIFYACCESS=exec\n"),
            (Barrier, "BARRIER=1\n"),
            (Watchdog, "WATCHDOG=1\n"),
            (WatchdogUsec(u64::MAX), "WATCHDOG_USEC=18446744073709551615\n"),
            (ExtendTimeoutUsec(0), "EXTEND_TIMEOUT_USEC=0\n"),
            (RestartReset, "RESTART_RESET=1\n"),
            (FdStore { name: None, poll: true }, "FDSTORE=1\n"),
            (FdStore { name, poll: false }, "FDSTORE=1\nFDNAME=http\nFDPOLL=0\n"),
            (FdStoreRemove(name.unwrap()), "FDSTOREREMOVE=1\nFDNAME=http\n"),
            (Custom { key: b"x_a", value: b"b=c" }, "X_A=b=c\n"),
        ] {
            assert_eq!(encoded(&[assignment]).as_deref(), Ok(expected));
        }
        assert_eq!(encoded(&[Ready, Status(b"up")]).as_deref(), Ok("READY=1\nSTATUS=up\n"));
    }

    #[test]
    fn reloading_carries_the_monotonic_clock() {
        let before = monotonic_usec();
        let text = encoded(&[Assignment::Reloading]).unwrap();
        let usec = text.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().trim_end();
        assert!((before..=monotonic_usec()).contains(&usec.parse().unwrap()));
    }

    #[test]
    fn a_status_always_arrives_as_one_line_of_utf8() {
        let status = |text| encoded(&[Assignment::Status(text)]);
        assert_eq!(status(b"a\nREADY=1\0b\r\n").as_deref(), Ok("STATUS=a READY=1 b  \n"));
        assert_eq!(status(b"caf\xe9").as_deref(), Ok("STATUS=caf\u{fffd}\n"));
    }

    /// Splits a datagram into lines as systemd does: a backslash escapes the next character.
    fn read_by_the_manager(bytes: &[u8]) -> Vec<Vec<u8>> {
        let (mut lines, mut line, mut rest) = (Vec::new(), Vec::new(), bytes.iter());
        while let Some(&byte) = rest.next() {
            match byte {
                b'\\' => line.extend(rest.next()),
                b'\n' | b'\r' => lines.push(std::mem::take(&mut line)),
                byte => line.push(byte),
            }
        }
        lines
    }

    #[test]
    fn a_backslash_arrives() {
        let name = FdName::parse(br"a\b\").unwrap();
        let mut message = Message::new();
        for assignment in [
            Assignment::Status(br"C:\new\"),
            Assignment::BusError(br"\"),
            Assignment::FdStoreRemove(name),
        ] {
            message.push(&assignment).unwrap();
        }
        let read = read_by_the_manager(message.as_bytes());
        let expected: [&[u8]; 4] =
            [br"STATUS=C:\new\", br"BUSERROR=\", b"FDSTOREREMOVE=1", br"FDNAME=a\b\"];
        assert_eq!(read, expected);
        assert_eq!(message.encoded_status().map(decoded).unwrap(), br"C:\new\");
    }

    #[test]
    fn values_out_of_range() {
        use Assignment::*;
        for assignment in [
            Errno(4096),
            MainPid(0),
            MainPid(-1),
            BusError(b"a\nREADY=1"),
            BusError(b"a\rREADY=1"),
            VarlinkError(b"a\0"),
            Custom { key: b"", value: b"1" },
            Custom { key: b"A=B", value: b"1" },
            Custom { key: b"A\nB", value: b"1" },
            Custom { key: b"A\rB", value: b"1" },
            Custom { key: b"A\\B", value: b"1" },
            Custom { key: b"A", value: b"1\rREADY=1" },
            Custom { key: b"A", value: b"1\nREADY=1" },
        ] {
            assert_eq!(encoded(&[assignment]), Err(Rejected::InvalidValue), "{assignment:?}");
        }
    }

    #[test]
    fn the_manager_reads_4096_bytes() {
        let text = [b'a'; Message::LONGEST];
        let longest = &text[..Message::LONGEST - "STATUS=\n".len()];
        assert_eq!(encoded(&[Assignment::Status(longest)]).map(|m| m.len()), Ok(4096));
        assert_eq!(
            encoded(&[Assignment::Status(&text[..longest.len() + 1])]),
            Err(Rejected::TooLong)
        );
        assert_eq!(
            encoded(&[Assignment::Ready, Assignment::Status(longest)]),
            Err(Rejected::TooLong)
        );
    }

    #[test]
    fn a_rejected_assignment_announces_nothing() {
        let mut message = Message::new();
        let text = [b'a'; Message::LONGEST];
        let but_for_the_time = Message::LONGEST - "STATUS=\nRELOADING=1\n".len();
        message.push(&Assignment::Status(&text[..but_for_the_time])).unwrap();
        let announced = message.announcements();
        assert_eq!(message.push(&Assignment::Reloading), Err(Rejected::TooLong));
        assert_eq!(message.announcements(), announced);
    }

    #[test]
    fn announcements_are_seen_however_they_are_spelled() {
        let announced = |assignment| {
            let mut message = Message::new();
            message.push(&assignment).unwrap();
            message.announcements()
        };
        assert_eq!(announced(Assignment::Ready), Announcement::Ready as u8);
        let custom = Assignment::Custom { key: b"stopping", value: b"1" };
        assert_eq!(announced(custom), Announcement::Stopping as u8);
        assert_eq!(announced(Assignment::Watchdog), 0);
        let status = Assignment::Custom { key: b"Status", value: b"caf\xe9" };
        assert_eq!(announced(status), Announcement::Status as u8);
        assert_eq!(encoded(&[status]).as_deref(), Ok("STATUS=caf\u{fffd}\n"));
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let special = prop::sample::select(b"\n\r\\=\0".to_vec());
        prop::collection::vec(prop_oneof![special, any::<u8>()], 0..20)
    }

    proptest! {
        #[test]
        fn nothing_is_smuggled_in(key in bytes(), value in bytes(), status in bytes()) {
            let mut message = Message::new();
            let mut accepted = 0;
            for assignment in [
                Assignment::Custom { key: &key, value: &value },
                Assignment::Status(&status),
                Assignment::BusError(&value),
            ] {
                accepted += usize::from(message.push(&assignment).is_ok());
            }
            let bytes = message.as_bytes();
            prop_assert!(bytes.len() <= Message::LONGEST && !bytes.contains(&0));
            prop_assert_eq!(read_by_the_manager(bytes).len(), accepted);
            prop_assert!(bytes.is_empty() || bytes.ends_with(b"\n"));
        }

        #[test]
        fn a_rejected_assignment_leaves_no_trace(value in "[a-z]{0,5000}") {
            let mut message = Message::new();
            message.push(&Assignment::Ready).unwrap();
            if message.push(&Assignment::BusError(value.as_bytes())).is_err() {
                prop_assert_eq!(message.as_bytes(), b"READY=1\n");
            }
        }
    }
}
