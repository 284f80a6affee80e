//! The notifier, with a datagram socket instead of systemd's.

#![allow(clippy::unwrap_used)]

mod common;

use common::receive_with_fd;
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};
use systemd_core::{Address, Announcement, Assignment, Barrier, Errno, Message, Notifier};

const LONG: Duration = Duration::from_secs(5);

fn bind(name: &str) -> UnixDatagram {
    let manager =
        UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name).unwrap()).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    manager
}

fn name(test: &str) -> String {
    format!("systemd-core-{test}-{}", std::process::id())
}

fn open(name: &str) -> Notifier {
    let address = Address::parse(format!("@{name}").as_bytes()).unwrap();
    Notifier::open(address, Box::leak(Box::default())).unwrap()
}

fn message(assignment: Assignment<'_>) -> Message {
    let mut message = Message::new();
    message.push(&assignment).unwrap();
    message
}

fn next(manager: &UnixDatagram) -> String {
    let mut bytes = [0; 5000];
    let len = manager.recv(&mut bytes).unwrap();
    String::from_utf8(bytes[..len].to_vec()).unwrap()
}

#[test]
fn sends_and_remembers_what_it_announced() {
    let name = name("announces");
    let manager = bind(&name);
    let notifier = open(&name);
    assert!(!notifier.has_announced(Announcement::Ready));
    assert_eq!(notifier.try_send(&message(Assignment::Ready)), Ok(()));
    assert_eq!(next(&manager), "READY=1\n");
    assert!(notifier.has_announced(Announcement::Ready));
    assert!(!notifier.has_announced(Announcement::Stopping));

    let reloading = |assignment| {
        assert_eq!(notifier.try_send(&message(assignment)), Ok(()));
        notifier.has_announced(Announcement::Reloading)
    };
    assert!(reloading(Assignment::Reloading));
    assert!(reloading(Assignment::Status(b"rereading")));
    assert!(!reloading(Assignment::Ready));
    assert!(notifier.has_announced(Announcement::Ready));
}

/// Sends until the socket buffer is full. Returns how many messages were sent.
fn fill(notifier: &Notifier, message: &Message) -> u64 {
    let mut queued = 0;
    while notifier.try_send(message) == Ok(()) {
        queued += 1;
    }
    queued
}

#[test]
fn waits_for_a_full_queue_until_the_deadline() {
    let name = name("full");
    let manager = bind(&name);
    let notifier = open(&name);
    let ready = message(Assignment::Ready);
    let queued = fill(&notifier, &ready);
    let started = Instant::now();
    let timeout = Duration::from_millis(100);
    assert_eq!(notifier.send(&ready, started + timeout), Err(Errno::EAGAIN));
    assert!(started.elapsed() >= timeout);

    let sent = std::thread::scope(|scope| {
        let sender = scope.spawn(|| notifier.send(&ready, Instant::now() + LONG));
        assert_eq!(next(&manager), "READY=1\n");
        sender.join().unwrap()
    });
    assert_eq!(sent, Ok(()));
    for _ in 0..queued {
        assert_eq!(next(&manager), "READY=1\n");
    }
}

#[test]
fn counts_what_was_sent_once() {
    let name = name("counts");
    let manager = bind(&name);
    let notifier = open(&name);
    let ready = message(Assignment::Ready);
    let queued = fill(&notifier, &ready);
    // A message that can be sent again has not failed yet.
    assert_eq!(notifier.send(&ready, Instant::now()), Err(Errno::EAGAIN));
    assert_eq!(notifier.counts(), (queued, 0));
    assert_eq!(next(&manager), "READY=1\n");
    assert_eq!(notifier.send(&ready, Instant::now()), Ok(()));
    notifier.count_failed();
    assert_eq!(notifier.counts(), (queued + 1, 1));
}

#[test]
fn finds_a_manager_that_came_back() {
    let name = name("back");
    let manager = bind(&name);
    let notifier = open(&name);
    let ready = message(Assignment::Ready);
    drop(manager);
    assert_eq!(notifier.try_send(&ready), Err(Errno::ECONNREFUSED));
    assert_eq!(notifier.send(&ready, Instant::now()), Err(Errno::ECONNREFUSED));
    let manager = bind(&name);
    assert_eq!(notifier.send(&ready, Instant::now()), Ok(()));
    assert_eq!(next(&manager), "READY=1\n");
}

#[test]
fn a_barrier_is_reached_when_the_manager_closes_its_end() {
    let name = name("barrier");
    let manager = bind(&name);
    let notifier = open(&name);
    let (barrier, closed_by_systemd) = Barrier::new().unwrap();
    let fds = [closed_by_systemd.as_fd()];
    let sent = notifier.send_with_fds(&message(Assignment::Barrier), &fds, Instant::now());
    assert_eq!(sent, Ok(()));
    drop(closed_by_systemd);
    let (text, fd) = receive_with_fd(&manager);
    assert_eq!(text, "BARRIER=1\n");
    assert_eq!(barrier.is_reached(), Ok(false));
    drop(fd);
    assert_eq!(barrier.is_reached(), Ok(true));
}
