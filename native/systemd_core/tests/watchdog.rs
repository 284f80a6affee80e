//! The watchdog's thread against a datagram socket in the manager's place.

#![allow(clippy::unwrap_used)]

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use systemd_core::{Address, Notifier, Question, Watchdog};

const INTERVAL: Duration = Duration::from_millis(10);
const LONG: Duration = Duration::from_secs(5);
/// Many intervals.
const SILENCE: Duration = Duration::from_millis(200);

struct Lab {
    manager: UnixDatagram,
    watchdog: Watchdog,
    questions: Receiver<Question>,
}

fn start(test: &str, timeout: Duration) -> Lab {
    let name = format!("systemd-core-watchdog-{test}-{}", std::process::id());
    let manager =
        UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let address = Address::parse(format!("@{name}").as_bytes()).unwrap();
    let notifier = Arc::new(Notifier::open(address, Box::leak(Box::default())).unwrap());
    let (ask, questions) = channel();
    let ask = move |question| ask.send(question).unwrap_or_default();
    let watchdog = Watchdog::start(notifier, timeout, INTERVAL, ask).unwrap();
    Lab { manager, watchdog, questions }
}

impl Lab {
    fn asked(&self) -> Option<u64> {
        match self.questions.recv_timeout(LONG) {
            Ok(Question::Tick(tick)) => Some(tick),
            _ => None,
        }
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
        lab.watchdog.answer(tick, true);
        assert_eq!(lab.received(LONG).as_deref(), Some("WATCHDOG=1\n"));
    }
}

#[test]
fn stays_silent_otherwise_and_asks_nothing_meanwhile() {
    let lab = start("silent", LONG);
    let tick = lab.asked().unwrap();
    lab.watchdog.answer(tick + 1, true);
    lab.watchdog.answer(tick - 1, true);
    assert_eq!(lab.received(SILENCE), None);
    assert!(lab.questions.try_recv().is_err());
    lab.watchdog.answer(tick, false);
    assert_eq!(lab.asked(), Some(tick + 1));
    lab.watchdog.answer(tick, true);
    assert_eq!(lab.received(SILENCE), None);
}

#[test]
fn says_what_it_sees_when_an_answer_is_overdue() {
    let lab = start("overdue", SILENCE);
    let tick = lab.asked().unwrap();
    let status = lab.received(LONG).unwrap();
    assert!(status.starts_with("STATUS=watchdog: no answer from the VM for "), "{status}");
    assert!(status.contains("threads: "), "{status}");
    lab.watchdog.answer(tick, true);
    assert_eq!(lab.received(LONG).as_deref(), Some("STATUS=\n"));
    assert_eq!(lab.received(LONG).as_deref(), Some("WATCHDOG=1\n"));
}

#[test]
fn disabled_it_neither_asks_nor_pings() {
    let lab = start("disabled", LONG);
    let tick = lab.asked().unwrap();
    lab.watchdog.disable();
    lab.watchdog.answer(tick, true);
    assert_eq!(lab.received(SILENCE), None);
    assert!(lab.questions.try_recv().is_err());
    lab.watchdog.enable();
    assert_eq!(lab.asked(), Some(tick + 1));
}

#[test]
fn ends_when_dropped() {
    let Lab { watchdog, questions, .. } = start("dropped", LONG);
    drop(watchdog);
    assert!(questions.iter().count() <= 1);
}
