//! The thread that asks for more time to start, to reload or to stop: `EXTEND_TIMEOUT_USEC=` in
//! sd_notify(3).

use crate::assignment::Assignment;
use crate::journal;
use crate::message::Message;
use crate::notifier::{Announcement, Notifier};
use crate::worker::Worker;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use nix::errno::Errno;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Asks for as long as it lives, up to its limit. Dropping it ends the thread.
#[derive(Debug)]
pub struct Extension(Worker<Stop>);

#[derive(Debug)]
struct Stop;

/// What is asked for at a time, for as much as a busy machine may hold the thread up.
const AT_A_TIME: Duration = Duration::from_secs(10);

const INTERVAL: Duration = Duration::from_secs(1);

/// A full queue at the manager is tried again after this long.
const RETRY: Duration = Duration::from_millis(20);

impl Extension {
    /// Starts the thread. It asks at once, and every second, while the service starts, reloads or
    /// stops: when it runs there is nothing to extend but `RuntimeMaxSec=`, which is left alone. The
    /// last extension ends with `limit`, and the journal and `STATUS=` tell of it.
    pub fn start(notifier: Arc<Notifier>, limit: Duration) -> Result<Self, Errno> {
        Worker::start("sd-extend", move |inbox| run(&inbox, &notifier, limit)).map(Self)
    }

    /// Asks no more, without waiting for the thread.
    pub fn stop(&self) {
        self.0.tell(Stop);
    }
}

fn run(inbox: &Receiver<Stop>, notifier: &Notifier, limit: Duration) {
    let started = Instant::now();
    loop {
        let rest = limit.saturating_sub(started.elapsed());
        let phase = phase(notifier);
        if rest.is_zero() {
            if let Some(setting) = phase {
                report(notifier, limit, setting);
            }
            return;
        }
        let asked = phase.is_none() || extend(notifier, rest.min(AT_A_TIME));
        match inbox.recv_timeout(rest.min(if asked { INTERVAL } else { RETRY })) {
            Err(RecvTimeoutError::Timeout) => (),
            Ok(Stop) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// The setting that limits what the service does.
fn phase(notifier: &Notifier) -> Option<&'static str> {
    let is = |announcement| notifier.has_announced(announcement);
    if is(Announcement::Stopping) {
        Some("TimeoutStopSec=")
    } else if notifier.is_running() {
        None
    } else {
        Some("TimeoutStartSec=")
    }
}

/// False when the manager's queue is full.
fn extend(notifier: &Notifier, time: Duration) -> bool {
    let usec = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let mut message = Message::new();
    message.push(&Assignment::ExtendTimeoutUsec(usec)).is_err()
        || notifier.send_now(&message) != Err(Errno::EAGAIN)
}

fn report(notifier: &Notifier, limit: Duration, setting: &str) {
    let line = format!(
        "not done after {} s: no more time is asked for, and {setting} of the unit applies",
        limit.as_secs_f64()
    );
    // Nobody is left to complain to.
    let _ = journal::write(3, &format!("systemd: {line}"), &[]);
    notifier.send_status_now(line.as_bytes());
}
