//! The thread that keeps the manager's watchdog satisfied, see sd_watchdog_enabled(3).

use crate::activity::Activity;
use crate::assignment::Assignment;
use crate::message::Message;
use crate::notifier::{Announcement, Notifier};
use crate::overdue;
use crate::stall::{Asked, Deadlines, Due};
use crate::worker::Worker;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use nix::errno::Errno;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the thread says to its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Are you well? To be answered by [`Watchdog::answer`] with this tick.
    Tick(u64),
    /// The answer to that tick is overdue, and the journal tells of it.
    Overdue(u64),
    /// It is overdue for three quarters of the timeout, while the service runs. In a moment the thread does
    /// what [`Settings::on_hang`] says.
    Hangs(u64),
    /// A `WATCHDOG=1` could not be sent.
    PingFailed(Errno),
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Sends `WATCHDOG=1`.
    Well,
    /// Sends nothing.
    NotWell,
    /// Sends nothing but this as a `STATUS=`, which stays until all is well again.
    Failed(String),
}

/// What to do about a VM that hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnHang {
    /// Nothing: the manager's timeout runs out.
    Withhold,
    /// `WATCHDOG=trigger`: the manager does at once what it does when the timeout runs out.
    Trigger,
    /// SIGABRT, for a core.
    Abort,
}

/// How a [`Watchdog`] goes about it.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The manager's.
    pub timeout: Duration,
    /// Between two questions.
    pub interval: Duration,
    /// An answer that is later than this is overdue: the journal and `STATUS=` tell.
    pub warn_after: Duration,
    /// What to do when it is overdue for good.
    pub on_hang: OnHang,
}

/// A running watchdog. Pings only on its owner's word: [`Verdict::Well`] for the tick that was asked.
/// Dropping it ends the thread.
#[derive(Debug)]
pub struct Watchdog {
    worker: Worker<Command>,
    activity: Arc<Activity>,
}

#[derive(Debug)]
enum Command {
    Answer { tick: u64, verdict: Verdict },
    Enable,
    Disable,
    Stop,
}

/// With a full queue at the manager, for the last word.
const PATIENCE: Duration = Duration::from_secs(1);

/// A full queue at the manager is tried again after this long.
const RETRY: Duration = Duration::from_millis(5);

impl Watchdog {
    /// Starts the thread, which asks by calling `tell` at once and then every interval, but never
    /// while an answer is outstanding.
    pub fn start(
        notifier: Arc<Notifier>,
        settings: Settings,
        tell: impl FnMut(Event) + Send + 'static,
    ) -> Result<Self, Errno> {
        let activity = Arc::<Activity>::default();
        let seen = activity.clone();
        let worker = Worker::start("sd-watchdog", move |inbox| {
            let keeper = Keeper {
                inbox,
                notifier,
                interval: settings.interval.max(Duration::from_millis(1)),
                deadlines: Deadlines::new(settings.timeout, settings.warn_after),
                on_hang: settings.on_hang,
                activity: seen,
                tell,
                enabled: true,
                tick: 0,
                next_tick: Instant::now(),
                asked: None,
                failure: None,
                hidden: None,
                ping_due: false,
                unsent: None,
            };
            keeper.run();
        })?;
        Ok(Self { worker, activity })
    }

    /// Answers an [`Event::Tick`]. An answer to any other tick than the last counts for nothing.
    pub fn answer(&self, tick: u64, verdict: Verdict) {
        self.worker.tell(Command::Answer { tick, verdict });
    }

    /// Says that the owner works on an answer, and how long the VM's run queues are.
    pub fn take_up(&self, tick: u64, run_queues: Vec<u64>) {
        self.activity.take_up(tick, run_queues);
    }

    /// Says what is being checked for an answer.
    pub fn checking(&self, tick: u64, what: &str) {
        self.activity.checking(tick, what);
    }

    /// Takes up asking again, at once.
    pub fn enable(&self) {
        self.worker.tell(Command::Enable);
    }

    /// Neither asks nor pings until [`Watchdog::enable`].
    pub fn disable(&self) {
        self.worker.tell(Command::Disable);
    }

    /// Ends asking and pinging for good, without waiting for the thread.
    pub fn stop(&self) {
        self.worker.tell(Command::Stop);
    }
}

struct Keeper<Tell> {
    inbox: Receiver<Command>,
    notifier: Arc<Notifier>,
    interval: Duration,
    deadlines: Deadlines,
    on_hang: OnHang,
    activity: Arc<Activity>,
    tell: Tell,
    enabled: bool,
    tick: u64,
    next_tick: Instant,
    asked: Option<Asked>,
    /// That of the last check, while it is in the place of the user's status.
    failure: Option<String>,
    /// The user's status that was last replaced by the failure.
    hidden: Option<Vec<u8>>,
    ping_due: bool,
    unsent: Option<Errno>,
}

impl<Tell: FnMut(Event)> Keeper<Tell> {
    fn run(mut self) {
        loop {
            let received = match self.wake_at() {
                Some(wake_at) => self.inbox.recv_deadline(wake_at),
                None => self.inbox.recv().map_err(RecvTimeoutError::from),
            };
            match received {
                Ok(Command::Answer { tick, verdict }) => self.answered(tick, verdict),
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
        let late = self.asked.as_ref().map(|asked| asked.wake_at(&self.deadlines));
        [retry, tick, late].into_iter().flatten().min()
    }

    fn woken(&mut self) {
        let now = Instant::now();
        if self.ping_due {
            self.ping();
        }
        if let Some(asked) = &mut self.asked {
            match asked.due(now, &self.deadlines, &self.activity) {
                Due::Nothing => (),
                Due::Report { line, is_first } => {
                    send_status(&self.notifier, &line);
                    if is_first {
                        (self.tell)(Event::Overdue(self.tick));
                    }
                }
                // At other times the manager may have been asked for more patience.
                Due::Hang | Due::Act if !self.notifier.is_running() => (),
                Due::Hang => (self.tell)(Event::Hangs(self.tick)),
                Due::Act => self.act(),
            }
        } else if self.enabled && now >= self.next_tick {
            self.tick += 1;
            self.next_tick = now + self.interval;
            self.asked = Some(Asked::new(self.tick, now));
            (self.tell)(Event::Tick(self.tick));
        }
    }

    fn answered(&mut self, tick: u64, verdict: Verdict) {
        let Some(asked) = self.asked.take_if(|asked| asked.tick == tick) else { return };
        let well = verdict == Verdict::Well;
        let mut news = asked.is_reported().then(|| overdue::report_answer(asked.lasts(), well));
        match verdict {
            Verdict::Well if self.failure.take().is_some() => {
                news.get_or_insert_with(|| "watchdog: well again".to_owned());
            }
            // The user has sent another one meanwhile.
            Verdict::NotWell
                if self.failure.is_some() && self.notifier.last_status() != self.hidden =>
            {
                news.get_or_insert_default();
            }
            Verdict::Well | Verdict::NotWell => (),
            Verdict::Failed(text) => {
                self.failure = Some(format!("watchdog: {text}"));
                news.get_or_insert_default();
            }
        }
        if let Some(instead) = news {
            self.show_status(&instead);
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
        let is_reported = self.asked.take().is_some_and(|asked| asked.is_reported());
        if self.failure.take().is_some() || is_reported {
            self.show_status("watchdog: disabled");
        }
    }

    fn ping(&mut self) {
        let result = self.notifier.send_now(&Message::of(Assignment::Watchdog));
        self.ping_due = result == Err(Errno::EAGAIN);
        let unsent = result.err();
        if let Some(errno) = unsent
            && self.unsent != unsent
        {
            (self.tell)(Event::PingFailed(errno));
        }
        self.unsent = unsent;
    }

    fn act(&mut self) {
        let Some(asked) = &self.asked else { return };
        match self.on_hang {
            OnHang::Withhold => (),
            OnHang::Trigger => {
                overdue::report_hang(asked.lasts(), "watchdog_on_hang: WATCHDOG=trigger is sent");
                let trigger = Assignment::Custom { key: b"WATCHDOG", value: b"trigger" };
                let _ = self.notifier.send(&Message::of(trigger), PATIENCE);
            }
            OnHang::Abort => {
                overdue::report_hang(asked.lasts(), "watchdog_on_hang: the VM is aborted");
                std::process::abort();
            }
        }
    }

    /// What has failed, or the user's own; `instead` where another notifier has sent that, and its text is
    /// not known.
    fn show_status(&mut self, instead: &str) {
        let notifier = &self.notifier;
        let status = notifier.last_status();
        self.hidden.clone_from(&status);
        match (&self.failure, status) {
            (Some(failure), _) => send_status(notifier, failure),
            (None, Some(text)) => notifier.send_status_now(&text),
            (None, None) if notifier.has_announced(Announcement::Status) => {
                send_status(notifier, instead);
            }
            (None, None) => send_status(notifier, ""),
        }
    }
}

/// In characters, so that it fits into a message whatever they are.
const LONGEST_STATUS: usize = Message::LONGEST / 5;

fn send_status(notifier: &Notifier, line: &str) {
    let status: String = line.chars().take(LONGEST_STATUS).collect();
    notifier.send_status_now(status.as_bytes());
}
