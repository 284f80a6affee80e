//! Notifications: the manager's reading of a datagram gives back every assignment that was taken, and
//! nothing else. It is not in sd_notify(3): a datagram is text, and a NUL in it makes the manager drop
//! it; carriage returns end a line as well, and a backslash stands for what comes after it.
#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use systemd_core::{Assignment, FdName, Message, Rejected};

#[derive(Arbitrary, Debug)]
enum Push<'a> {
    Plain(Plain),
    Status(&'a [u8]),
    Errno(u32),
    BusError(&'a [u8]),
    VarlinkError(&'a [u8]),
    ExitStatus(u8),
    MainPid(i32),
    WatchdogUsec(u64),
    ExtendTimeoutUsec(u64),
    FdStore(&'a [u8], bool),
    FdStoreRemove(&'a [u8]),
    Custom(&'a [u8], &'a [u8]),
}

#[derive(Arbitrary, Debug)]
enum Plain {
    Ready,
    Stopping,
    Reloading,
    Watchdog,
    RestartReset,
    NotifyAccess,
}

fuzz_target!(|pushes: Vec<Push<'_>>| {
    let mut message = Message::new();
    let mut expected = Vec::new();
    for push in &pushes {
        let Some(assignment) = assignment(push) else { continue };
        let before = message.as_bytes().to_vec();
        match message.push(&assignment) {
            Ok(()) => {
                assert!(!is_invalid(push), "{push:?}");
                expected.extend(fields(push));
            }
            Err(reason) => {
                assert_eq!(message.as_bytes(), before);
                match reason {
                    Rejected::TooLong => {
                        assert!(before.len() + most_bytes(push) > 4096, "{push:?}")
                    }
                    Rejected::InvalidValue => assert!(is_invalid(push), "{push:?}"),
                }
            }
        }
    }
    assert!(message.as_bytes().len() <= 4096);
    let read = read(message.as_bytes());
    assert_eq!(read.len(), expected.len());
    for ((key, value), (expected_key, expected)) in read.iter().zip(expected) {
        assert_eq!(*key, expected_key);
        // The clock's is not known.
        if key != b"MONOTONIC_USEC" {
            assert_eq!(*value, expected, "{}", String::from_utf8_lossy(key));
        }
        assert!(key != b"STATUS" || std::str::from_utf8(value).is_ok());
    }
});

fn assignment<'a>(push: &Push<'a>) -> Option<Assignment<'a>> {
    Some(match *push {
        Push::Plain(Plain::Ready) => Assignment::Ready,
        Push::Plain(Plain::Stopping) => Assignment::Stopping,
        Push::Plain(Plain::Reloading) => Assignment::Reloading,
        Push::Plain(Plain::Watchdog) => Assignment::Watchdog,
        Push::Plain(Plain::RestartReset) => Assignment::RestartReset,
        Push::Plain(Plain::NotifyAccess) => Assignment::NotifyAccess("exec"),
        Push::Status(text) => Assignment::Status(text),
        Push::Errno(number) => Assignment::Errno(number),
        Push::BusError(name) => Assignment::BusError(name),
        Push::VarlinkError(name) => Assignment::VarlinkError(name),
        Push::ExitStatus(status) => Assignment::ExitStatus(status),
        Push::MainPid(pid) => Assignment::MainPid(pid),
        Push::WatchdogUsec(usec) => Assignment::WatchdogUsec(usec),
        Push::ExtendTimeoutUsec(usec) => Assignment::ExtendTimeoutUsec(usec),
        Push::FdStore(name, poll) => Assignment::FdStore { name: FdName::parse(name), poll },
        Push::FdStoreRemove(name) => Assignment::FdStoreRemove(FdName::parse(name)?),
        Push::Custom(key, value) => Assignment::Custom { key, value },
    })
}

type Field = (Vec<u8>, Vec<u8>);

fn fields(push: &Push<'_>) -> Vec<Field> {
    let field = |key: &str, value: &[u8]| (key.as_bytes().to_vec(), value.to_vec());
    let number = |key, number: &dyn ToString| vec![field(key, number.to_string().as_bytes())];
    match *push {
        Push::Plain(Plain::Ready) => vec![field("READY", b"1")],
        Push::Plain(Plain::Stopping) => vec![field("STOPPING", b"1")],
        Push::Plain(Plain::Reloading) => {
            vec![field("RELOADING", b"1"), field("MONOTONIC_USEC", b"")]
        }
        Push::Plain(Plain::Watchdog) => vec![field("WATCHDOG", b"1")],
        Push::Plain(Plain::RestartReset) => vec![field("RESTART_RESET", b"1")],
        Push::Plain(Plain::NotifyAccess) => vec![field("NOTIFYACCESS", b"exec")],
        Push::Status(text) => {
            let text = String::from_utf8_lossy(text).replace(['\n', '\r', '\0'], " ");
            vec![field("STATUS", text.as_bytes())]
        }
        Push::Errno(errno) => number("ERRNO", &errno),
        Push::BusError(name) => vec![field("BUSERROR", name)],
        Push::VarlinkError(name) => vec![field("VARLINKERROR", name)],
        Push::ExitStatus(status) => number("EXIT_STATUS", &status),
        Push::MainPid(pid) => number("MAINPID", &pid),
        Push::WatchdogUsec(usec) => number("WATCHDOG_USEC", &usec),
        Push::ExtendTimeoutUsec(usec) => number("EXTEND_TIMEOUT_USEC", &usec),
        Push::FdStore(name, poll) => {
            let mut fields = vec![field("FDSTORE", b"1")];
            fields.extend(FdName::parse(name).map(|name| field("FDNAME", name.as_bytes())));
            fields.extend((!poll).then(|| field("FDPOLL", b"0")));
            fields
        }
        Push::FdStoreRemove(name) => vec![field("FDSTOREREMOVE", b"1"), field("FDNAME", name)],
        Push::Custom(key, value) if key.eq_ignore_ascii_case(b"STATUS") => {
            fields(&Push::Status(value))
        }
        Push::Custom(key, value) => vec![(key.to_ascii_uppercase(), value.to_vec())],
    }
}

/// With each backslash doubled, and what a clock may say.
fn most_bytes(push: &Push<'_>) -> usize {
    let backslashes = |text: &[u8]| text.iter().filter(|&&byte| byte == b'\\').count();
    let lines = fields(push).into_iter();
    lines.map(|(key, value)| key.len() + value.len() + backslashes(&value) + 2).sum::<usize>()
        + 20
}

fn is_invalid(push: &Push<'_>) -> bool {
    let breaks = |text: &[u8]| text.iter().any(|byte| b"\n\r\0".contains(byte));
    match *push {
        Push::Errno(number) => number > 4095,
        Push::MainPid(pid) => pid < 1,
        Push::BusError(value) | Push::VarlinkError(value) => breaks(value),
        Push::Custom(key, _) if key.eq_ignore_ascii_case(b"STATUS") => false,
        Push::Custom(key, value) => {
            key.is_empty()
                || key.iter().any(|byte| b"=\\".contains(byte))
                || breaks(key)
                || breaks(value)
        }
        _ => false,
    }
}

fn read(datagram: &[u8]) -> Vec<Field> {
    let mut fields = Vec::new();
    let mut line = Vec::new();
    let mut bytes = datagram.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            0 => panic!("the manager drops it"),
            b'\\' => line.push(bytes.next().expect("what a backslash stands for")),
            b'\n' | b'\r' => {
                let line = std::mem::take(&mut line);
                let equals = line.iter().position(|&byte| byte == b'=').expect("an assignment");
                fields.push((line[..equals].to_vec(), line[equals + 1..].to_vec()));
            }
            _ => line.push(byte),
        }
    }
    assert_eq!(line, b"", "every assignment ends with a line break");
    fields
}
