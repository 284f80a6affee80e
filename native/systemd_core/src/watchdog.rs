//! The thread that keeps the manager's watchdog satisfied, see sd_watchdog_enabled(3).

use crate::assignment::Assignment;
use crate::message::Message;
use crate::notifier::{Announcement, Notifier};
use crate::worker::Worker;
use crate::{journal, threads};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use nix::errno::Errno;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the thread says to its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Are you well? To be answered by [`Watchdog::answer`] with this tick.
    Tick(u64),
    /// A `WATCHDOG=1` could not be sent. Nothing to be answered.
    PingFailed(Errno),
}

/// A running watchdog. Pings only on its owner's word: a `true` for the tick that was asked.
/// Dropping it ends the thread.
#[derive(Debug)]
pub struct Watchdog(Worker<Command>);

#[derive(Debug)]
enum Command {
    Answer { tick: u64, well: bool },
    Enable,
    Disable,
    Stop,
}

/// A full queue at the manager is tried again after this long.
const RETRY: Duration = Duration::from_millis(5);

/// In characters, so that it fits into a message whatever they are.
const LONGEST_REPORT: usize = Message::LONGEST / 5;

impl Watchdog {
    /// Starts the thread, which asks by calling `ask` at once and then every `interval`, but
    /// never while an answer is outstanding. `timeout` is the manager's; when half of it has
    /// passed without an answer, the journal and `STATUS=` tell what the thread sees.
    pub fn start(
        notifier: Arc<Notifier>,
        timeout: Duration,
        interval: Duration,
        ask: impl FnMut(Question) + Send + 'static,
    ) -> Result<Self, Errno> {
        Worker::start("sd-watchdog", move |inbox| {
            let keeper = Keeper {
                inbox,
                notifier,
                interval: interval.max(Duration::from_millis(1)),
                overdue_after: timeout / 2,
                ask,
                enabled: true,
                tick: 0,
                next_tick: Instant::now(),
                asked: None,
                ping_due: false,
                failed: None,
            };
            keeper.run();
        })
        .map(Self)
    }

    /// Answers a [`Question::Tick`]. Anything but `true` for the tick that was asked last sends
    /// nothing.
    pub fn answer(&self, tick: u64, well: bool) {
        self.0.tell(Command::Answer { tick, well });
    }

    /// Takes up asking again, at once.
    pub fn enable(&self) {
        self.0.tell(Command::Enable);
    }

    /// Neither asks nor pings until [`Watchdog::enable`].
    pub fn disable(&self) {
        self.0.tell(Command::Disable);
    }

    /// Ends asking and pinging for good, without waiting for the thread.
    pub fn stop(&self) {
        self.0.tell(Command::Stop);
    }
}

struct Keeper<Ask> {
    inbox: Receiver<Command>,
    notifier: Arc<Notifier>,
    interval: Duration,
    overdue_after: Duration,
    ask: Ask,
    enabled: bool,
    tick: u64,
    next_tick: Instant,
    asked: Option<Asked>,
    ping_due: bool,
    failed: Option<Errno>,
}

/// The question that is outstanding.
struct Asked {
    tick: u64,
    since: Instant,
    reported: bool,
}

impl<Ask: FnMut(Question)> Keeper<Ask> {
    fn run(mut self) {
        loop {
            let received = match self.wake_at() {
                Some(wake_at) => self.inbox.recv_deadline(wake_at),
                None => self.inbox.recv().map_err(RecvTimeoutError::from),
            };
            match received {
                Ok(Command::Answer { tick, well }) => self.answered(tick, well),
                Ok(Command::Enable) => self.enable(),
                Ok(Command::Disable) => self.disable(),
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => self.woken(),
            }
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        let retry = self.ping_due.then(|| Instant::now() + RETRY);
        let tick = (self.enabled && self.asked.is_none()).then_some(self.next_tick);
        let overdue = self
            .asked
            .as_ref()
            .filter(|asked| !asked.reported)
            .map(|asked| asked.since + self.overdue_after);
        [retry, tick, overdue].into_iter().flatten().min()
    }

    fn woken(&mut self) {
        let now = Instant::now();
        if self.ping_due {
            self.ping();
        }
        if self.enabled && self.asked.is_none() && now >= self.next_tick {
            self.tick += 1;
            self.next_tick = now + self.interval;
            self.asked = Some(Asked { tick: self.tick, since: now, reported: false });
            (self.ask)(Question::Tick(self.tick));
        }
        if let Some(asked) = &mut self.asked
            && !asked.reported
            && now >= asked.since + self.overdue_after
        {
            asked.reported = true;
            report_overdue(&self.notifier, now - asked.since);
        }
    }

    fn answered(&mut self, tick: u64, well: bool) {
        let Some(asked) = self.asked.take_if(|asked| asked.tick == tick) else { return };
        if asked.reported {
            report_answer(&self.notifier, asked.since.elapsed(), well);
        }
        if well {
            self.ping();
        }
    }

    fn enable(&mut self) {
        if !self.enabled {
            self.enabled = true;
            self.next_tick = Instant::now();
        }
    }

    fn disable(&mut self) {
        self.enabled = false;
        self.ping_due = false;
        if self.asked.take().is_some_and(|asked| asked.reported) {
            restore_status(&self.notifier, "watchdog: disabled");
        }
    }

    fn ping(&mut self) {
        let result = self.notifier.send_now(&Message::of(Assignment::Watchdog));
        self.ping_due = result == Err(Errno::EAGAIN);
        let failed = result.err();
        if let Some(errno) = failed
            && self.failed != failed
        {
            (self.ask)(Question::PingFailed(errno));
        }
        self.failed = failed;
    }
}

fn report_overdue(notifier: &Notifier, overdue: Duration) {
    let line: String = format!(
        "watchdog: no answer from the VM for {} ms; threads: {}",
        overdue.as_millis(),
        threads::summary()
    )
    .chars()
    .take(LONGEST_REPORT)
    .collect();
    // Nobody is left to complain to.
    let _ = journal::write(2, &line);
    notifier.send_status_now(line.as_bytes());
}

fn report_answer(notifier: &Notifier, overdue: Duration, well: bool) {
    let verdict = if well { "well" } else { "not well" };
    let line = format!(
        "watchdog: the VM answered after {} ms that it is {verdict}",
        overdue.as_millis()
    );
    let _ = journal::write(4, &line);
    restore_status(notifier, &line);
}

/// `instead` where another notifier has sent it, whose text is not known.
fn restore_status(notifier: &Notifier, instead: &str) {
    match notifier.last_status() {
        Some(text) => notifier.send_status_now(&text),
        None if notifier.has_announced(Announcement::Status) => {
            notifier.send_status_now(instead.as_bytes());
        }
        None => notifier.send_status_now(b""),
    }
}
