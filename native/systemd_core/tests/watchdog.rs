//! The watchdog's thread, with a datagram socket instead of systemd's.

#![allow(clippy::unwrap_used)]

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use systemd_core::{
    Address, Assignment, Errno, Event, Message, Notifier, OnHang, Settings, Verdict, Watchdog,
};

const INTERVAL: Duration = Duration::from_millis(10);
const LONG: Duration = Duration::from_secs(5);
/// Many intervals.
const SILENCE: Duration = Duration::from_millis(200);

struct Lab {
    manager: UnixDatagram,
    notifier: Arc<Notifier>,
    watchdog: Watchdog,
    events: Receiver<Event>,
}

fn start(test: &str, timeout: Duration) -> Lab {
    start_with(test, timeout, OnHang::Withhold)
}

fn start_with(test: &str, timeout: Duration, on_hang: OnHang) -> Lab {
    let name = format!("systemd-core-watchdog-{test}-{}", std::process::id());
    let manager =
        UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let address = Address::parse(format!("@{name}").as_bytes()).unwrap();
    let notifier = Arc::new(Notifier::open(address, Box::leak(Box::default())).unwrap());
    let (tell, events) = channel();
    let tell = move |event| tell.send(event).unwrap_or_default();
    let settings =
        Settings { timeout, interval: INTERVAL, warn_after: timeout / 2, on_hang, schedulers: 0 };
    let watchdog = Watchdog::start(notifier.clone(), settings, tell).unwrap();
    Lab { manager, notifier, watchdog, events }
}

fn message(assignment: &Assignment<'_>) -> Message {
    let mut message = Message::new();
    message.push(assignment).unwrap();
    message
}

impl Lab {
    fn event(&self) -> Option<Event> {
        self.events.recv_timeout(LONG).ok()
    }

    fn asked(&self) -> Option<u64> {
        match self.event() {
            Some(Event::Tick(tick)) => Some(tick),
            _ => None,
        }
    }

    fn notify(&self, assignment: &Assignment<'_>) {
        let message = message(assignment);
        assert_eq!(self.notifier.send(&message, Instant::now() + LONG), Ok(()));
        assert_eq!(self.received(LONG).unwrap().as_bytes(), message.as_bytes());
    }

    fn received(&self, within: Duration) -> Option<String> {
        self.manager.set_read_timeout(Some(within)).unwrap();
        let mut bytes = [0; 5000];
        let len = self.manager.recv(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes[..len]).into_owned())
    }
}

#[test]
fn pings_on_true_for_the_tick_that_was_asked() {
    let lab = start("pings", LONG);
    for tick in 1..=3 {
        assert_eq!(lab.asked(), Some(tick));
        lab.watchdog.answer(tick, Verdict::Healthy);
        assert_eq!(lab.received(LONG).as_deref(), Some("WATCHDOG=1\n"));
    }
}

#[test]
fn stays_silent_otherwise_and_asks_nothing_meanwhile() {
    let lab = start("silent", LONG);
    let tick = lab.asked().unwrap();
    lab.watchdog.answer(tick + 1, Verdict::Healthy);
    lab.watchdog.answer(tick - 1, Verdict::Healthy);
    assert_eq!(lab.received(SILENCE), None);
    assert!(lab.events.try_recv().is_err());
    lab.watchdog.answer(tick, Verdict::Unhealthy);
    assert_eq!(lab.asked(), Some(tick + 1));
    lab.watchdog.answer(tick, Verdict::Healthy);
    assert_eq!(lab.received(SILENCE), None);
}

#[test]
fn says_what_it_sees_when_an_answer_is_overdue() {
    let lab = start("overdue", SILENCE);
    let tick = lab.asked().unwrap();
    lab.watchdog.received(tick, vec![7, 0], 2, Vec::new());
    lab.watchdog.checking(tick, "process x");
    let status = lab.received(LONG).unwrap();
    assert!(status.starts_with("STATUS=watchdog: VM unresponsive for "), "{status}");
    assert!(status.contains("checking process x; run queues: 7 0 ("), "{status}");
    let with_threads = lab.received(LONG).unwrap();
    assert!(
        with_threads.starts_with(&format!("{}; schedulers: ", status.trim_end())),
        "{with_threads}"
    );
    assert_eq!(lab.event(), Some(Event::Overdue(tick)));
    lab.watchdog.answer(tick, Verdict::Healthy);
    assert_eq!(lab.received(LONG).as_deref(), Some("STATUS=\n"));
    assert_eq!(lab.received(LONG).as_deref(), Some("WATCHDOG=1\n"));
}

#[test]
fn triggers_when_the_answer_is_overdue_for_good() {
    let lab = start_with("trigger", SILENCE, OnHang::Trigger);
    let tick = lab.asked().unwrap();
    lab.notify(&Assignment::Ready);
    assert!(lab.received(LONG).unwrap().starts_with("STATUS=watchdog: VM unresponsive"));
    // The status line with the thread dump comes before or after the trigger.
    let received: Vec<_> = std::iter::from_fn(|| lab.received(SILENCE * 2)).collect();
    assert_eq!(
        received.iter().filter(|text| *text == "WATCHDOG=trigger\n").count(),
        1,
        "{received:?}"
    );
    assert_eq!(lab.event(), Some(Event::Overdue(tick)));
    assert_eq!(lab.event(), Some(Event::Hangs(tick)));
}

#[test]
fn what_failed_is_the_status_until_the_vm_is_healthy() {
    let lab = start("failed", SILENCE * 4);
    lab.notify(&Assignment::Status(b"mine"));
    let answer = |verdict| lab.watchdog.answer(lab.asked().unwrap(), verdict);
    answer(Verdict::Failed("run_queue 812 > 500".to_owned()));
    assert_eq!(lab.received(LONG).as_deref(), Some("STATUS=watchdog: run_queue 812 > 500\n"));
    answer(Verdict::Unhealthy);
    lab.notify(&Assignment::Status(b"other"));
    answer(Verdict::Unhealthy);
    assert_eq!(lab.received(LONG).as_deref(), Some("STATUS=watchdog: run_queue 812 > 500\n"));
    answer(Verdict::Unhealthy);
    let (overdue, _) = (lab.received(LONG).unwrap(), lab.received(LONG));
    let tick = lab.asked().unwrap();
    assert!(overdue.starts_with("STATUS=watchdog: VM unresponsive"), "{overdue}");
    assert_eq!(lab.event(), Some(Event::Overdue(tick)));
    lab.watchdog.answer(tick, Verdict::Unhealthy);
    assert_eq!(lab.received(LONG).as_deref(), Some("STATUS=watchdog: run_queue 812 > 500\n"));
    answer(Verdict::Healthy);
    assert_eq!(lab.received(LONG).as_deref(), Some("STATUS=other\n"));
    assert_eq!(lab.received(LONG).as_deref(), Some("WATCHDOG=1\n"));
}

#[test]
fn nothing_is_done_about_a_hang_while_the_service_does_not_run() {
    for (test, states) in [
        ("starts", [].as_slice()),
        ("reloads", &[Assignment::Ready, Assignment::Reloading]),
        ("stops", &[Assignment::Ready, Assignment::Stopping]),
    ] {
        let lab = start_with(test, SILENCE, OnHang::Trigger);
        let tick = lab.asked().unwrap();
        for state in states {
            lab.notify(state);
        }
        for _ in ["at once", "with the threads"] {
            assert!(lab.received(LONG).unwrap().starts_with("STATUS=watchdog: VM unresponsive"));
        }
        assert_eq!(lab.received(SILENCE), None);
        assert_eq!(lab.event(), Some(Event::Overdue(tick)));
        assert!(lab.events.try_recv().is_err());
    }
}

/// A ping that waits for room in the socket buffer must be dropped when its answer is outdated.
#[test]
fn an_unsent_ping_is_dropped_when_the_vm_is_no_longer_healthy() {
    for (test, then) in [("not-well", Some(Verdict::Unhealthy)), ("silence", None)] {
        let lab = start(test, SILENCE * 4);
        let other = message(&Assignment::Custom { key: b"X_A", value: b"1" });
        let mut queued = 0;
        while lab.notifier.try_send(&other) == Ok(()) {
            queued += 1;
        }
        lab.watchdog.answer(lab.asked().unwrap(), Verdict::Healthy);
        assert_eq!(lab.event(), Some(Event::PingFailed(Errno::EAGAIN)));
        let tick = lab.asked().unwrap();
        match then {
            Some(verdict) => {
                lab.watchdog.answer(tick, verdict);
                assert!(lab.asked().is_some());
            }
            None => assert_eq!(lab.event(), Some(Event::Overdue(tick))),
        }
        // The thread has asked again, and gets no answer. Now there is room again, and it would send a ping that it
        // still held.
        let received: Vec<_> = std::iter::from_fn(|| lab.received(SILENCE)).collect();
        assert_eq!(received.iter().filter(|text| *text == "X_A=1\n").count(), queued, "{test}");
        assert!(!received.iter().any(|text| text == "WATCHDOG=1\n"), "{test}: {received:?}");
    }
}

#[test]
fn a_hang_that_begins_in_a_reload_is_acted_upon_after_it() {
    let lab = start_with("hang-in-reload", SILENCE, OnHang::Trigger);
    let tick = lab.asked().unwrap();
    lab.notify(&Assignment::Ready);
    lab.notify(&Assignment::Reloading);
    while lab.received(SILENCE * 2).is_some() {}
    lab.notify(&Assignment::Ready);
    assert_eq!(lab.received(LONG).as_deref(), Some("WATCHDOG=trigger\n"));
    assert_eq!(lab.event(), Some(Event::Overdue(tick)));
    assert_eq!(lab.event(), Some(Event::Hangs(tick)));
}

#[test]
fn neither_asks_nor_pings_while_disabled() {
    let lab = start("disabled", LONG);
    let tick = lab.asked().unwrap();
    lab.watchdog.disable();
    lab.watchdog.answer(tick, Verdict::Healthy);
    assert_eq!(lab.received(SILENCE), None);
    assert!(lab.events.try_recv().is_err());
    lab.watchdog.enable();
    assert_eq!(lab.asked(), Some(tick + 1));
}

#[test]
fn ends_when_dropped() {
    let Lab { watchdog, events, .. } = start("dropped", LONG);
    drop(watchdog);
    assert!(events.iter().count() <= 1);
}
