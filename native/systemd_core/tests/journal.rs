//! The journal, with a datagram socket instead of journald's.

#![allow(clippy::unwrap_used)]

mod common;

use common::receive_with_fd;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use systemd_core::{Entry, Errno, FieldName, Journal};

fn path(test: &str) -> PathBuf {
    std::env::temp_dir().join(format!("systemd-core-{test}-{}", std::process::id()))
}

fn bind(path: &PathBuf) -> UnixDatagram {
    let _ = std::fs::remove_file(path);
    let journald = UnixDatagram::bind(path).unwrap();
    journald.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    journald
}

fn entry(message: &str) -> Entry {
    let mut entry = Entry::default();
    entry.push(&FieldName::parse(b"MESSAGE").unwrap(), message.as_bytes());
    entry
}

fn next(journald: &UnixDatagram) -> String {
    let mut bytes = [0; 500];
    let length = journald.recv(&mut bytes).unwrap();
    String::from_utf8(bytes[..length].to_vec()).unwrap()
}

#[test]
fn whether_or_not_journald_listens() {
    let path = path("listens");
    let _ = std::fs::remove_file(&path);
    let journal = Journal::new(&path).unwrap();
    let send = || {
        let started = Instant::now();
        let sent = journal.send(&entry("x"), Instant::now() + Duration::from_secs(5));
        (sent, started.elapsed() < Duration::from_secs(1))
    };
    // Nobody waits for a socket that has never existed.
    assert_eq!(journal.try_send(&entry("x")), Err(Errno::ENOTCONN));
    assert_eq!(send(), (Err(Errno::ENOENT), true));
    let journald = bind(&path);
    assert_eq!(send(), (Ok(()), true));
    assert_eq!(journal.try_send(&entry("x")), Ok(()));
    assert_eq!(next(&journald), "MESSAGE=x\n");
    std::fs::remove_file(path).unwrap();
    assert_eq!(Journal::new(&PathBuf::from("/x".repeat(100))).err(), Some(Errno::ENAMETOOLONG));
}

#[test]
fn what_is_too_large_for_a_datagram_goes_in_a_sealed_memfd() {
    let path = path("memfd");
    let journald = bind(&path);
    let journal = Journal::new(&path).unwrap();
    let large = entry(&"a".repeat(10_000_000));
    // Not with `try_send`, because copying it takes too long.
    assert_eq!(journal.try_send(&large), Err(Errno::EMSGSIZE));
    assert_eq!(journal.send(&large, Instant::now()), Ok(()));
    let (datagram, fd) = receive_with_fd(&journald);
    assert_eq!(datagram, "");
    let mut file = File::from(fd);
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, large.as_bytes());
    assert!(file.set_len(0).is_err());
    std::fs::remove_file(path).unwrap();
}

#[test]
fn waits_for_a_full_queue_until_the_deadline() {
    let path = path("journal-full");
    let journald = bind(&path);
    let journal = Journal::new(&path).unwrap();
    let mut queued = 0;
    while journal.try_send(&entry("x")) == Ok(()) {
        queued += 1;
    }
    let started = Instant::now();
    let timeout = Duration::from_millis(100);
    assert_eq!(journal.send(&entry("y"), Instant::now() + timeout), Err(Errno::EAGAIN));
    assert!(started.elapsed() >= timeout);
    std::thread::scope(|scope| {
        let sender =
            scope.spawn(|| journal.send(&entry("y"), Instant::now() + Duration::from_secs(5)));
        for _ in 0..queued {
            assert_eq!(next(&journald), "MESSAGE=x\n");
        }
        assert_eq!(sender.join().unwrap(), Ok(()));
    });
    assert_eq!(next(&journald), "MESSAGE=y\n");
    std::fs::remove_file(path).unwrap();
}

#[test]
fn waits_once_for_a_missing_socket() {
    let path = path("missing");
    let journald = bind(&path);
    let journal = Journal::new(&path).unwrap();
    assert_eq!(journal.try_send(&entry("x")), Ok(()));
    drop(journald);
    std::fs::remove_file(&path).unwrap();
    let timeout = Duration::from_millis(200);
    let timed = || {
        let started = Instant::now();
        (journal.send(&entry("x"), Instant::now() + timeout), started.elapsed() >= timeout)
    };
    assert_eq!(timed(), (Err(Errno::ENOENT), true));
    assert_eq!(timed(), (Err(Errno::ENOENT), false));
    // Once journald is back, senders wait again.
    let journald = bind(&path);
    assert_eq!(timed(), (Ok(()), false));
    assert_eq!(next(&journald), "MESSAGE=x\n");
    drop(journald);
    assert_eq!(timed(), (Err(Errno::ECONNREFUSED), true));
    std::fs::remove_file(path).unwrap();
}
