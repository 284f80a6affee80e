//! The thread that asks for more time, against a datagram socket in the manager's place.

#![allow(clippy::unwrap_used)]

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::{Duration, Instant};
use systemd_core::{Address, Assignment, Extension, Message, Notifier, Sent};

const LONG: Duration = Duration::from_secs(5);
/// More than one interval.
const SILENCE: Duration = Duration::from_millis(1500);

struct Lab {
    manager: UnixDatagram,
    notifier: Arc<Notifier>,
}

fn lab(test: &str) -> Lab {
    let name = format!("systemd-core-extension-{test}-{}", std::process::id());
    let manager =
        UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let address = Address::parse(format!("@{name}").as_bytes()).unwrap();
    let notifier = Arc::new(Notifier::open(address, Box::leak(Box::default())).unwrap());
    Lab { manager, notifier }
}

impl Lab {
    fn announce(&self, assignment: Assignment<'_>) {
        let mut message = Message::new();
        message.push(&assignment).unwrap();
        assert_eq!(self.notifier.try_send(&message), Ok(Sent::Done));
        assert!(self.received(LONG).is_some());
    }

    fn received(&self, within: Duration) -> Option<String> {
        self.manager.set_read_timeout(Some(within)).unwrap();
        let mut bytes = [0; 5000];
        let len = self.manager.recv(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes[..len]).into_owned())
    }

    /// Microseconds.
    fn extended(&self, within: Duration) -> Option<u64> {
        let message = self.received(within)?;
        let usec = message.strip_prefix("EXTEND_TIMEOUT_USEC=").unwrap();
        Some(usec.trim_end().parse().unwrap())
    }
}

#[test]
fn asks_at_once_and_regularly_until_it_is_dropped() {
    let lab = lab("asks");
    let extension = Extension::start(lab.notifier.clone(), Duration::from_secs(60)).unwrap();
    for _ in 0..3 {
        assert_eq!(lab.extended(LONG), Some(10_000_000));
    }
    drop(extension);
    while lab.extended(Duration::from_millis(1)).is_some() {}
    assert_eq!(lab.received(SILENCE), None);
}

#[test]
fn asks_for_nothing_beyond_the_limit_and_says_so() {
    let lab = lab("limit");
    let started = Instant::now();
    let _extension = Extension::start(lab.notifier.clone(), Duration::from_millis(1200)).unwrap();
    let first = lab.extended(LONG).unwrap();
    assert!((1_000_000..=1_200_000).contains(&first));
    assert!(lab.extended(LONG).unwrap() <= 200_000);
    let said = lab.received(LONG).unwrap();
    assert!(started.elapsed() >= Duration::from_millis(1200));
    assert_eq!(
        said,
        "STATUS=not done after 1.2 s: no more time is asked for, and TimeoutStartSec= of the \
         unit applies\n"
    );
    assert_eq!(lab.received(SILENCE), None);
}

#[test]
fn asks_while_the_service_starts_reloads_or_stops_and_not_while_it_runs() {
    let lab = lab("phases");
    let _extension = Extension::start(lab.notifier.clone(), Duration::from_secs(60)).unwrap();
    assert!(lab.extended(LONG).is_some());
    lab.announce(Assignment::Ready);
    assert_eq!(lab.received(SILENCE), None);
    for phase in [Assignment::Reloading, Assignment::Stopping] {
        lab.announce(phase);
        assert_eq!(lab.extended(LONG), Some(10_000_000));
        lab.announce(Assignment::Ready);
    }
}

#[test]
fn a_full_queue_is_tried_again_soon() {
    let lab = lab("full");
    let mut message = Message::new();
    message.push(&Assignment::RestartReset).unwrap();
    let mut queued = 0;
    while lab.notifier.try_send(&message) == Ok(Sent::Done) {
        queued += 1;
    }
    let _extension = Extension::start(lab.notifier.clone(), Duration::from_secs(60)).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    for _ in 0..queued {
        assert_eq!(lab.received(LONG).as_deref(), Some("RESTART_RESET=1\n"));
    }
    assert_eq!(lab.extended(Duration::from_millis(500)), Some(10_000_000));
}
