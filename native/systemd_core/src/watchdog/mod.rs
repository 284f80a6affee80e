//! The thread that keeps the manager's watchdog satisfied, see sd_watchdog_enabled(3).

pub(crate) mod activity;
pub(crate) mod memory;
pub(crate) mod overdue;
pub(crate) mod resident;
pub(crate) mod schedulers;
pub(crate) mod stall;
pub(crate) mod threads;

use crate::journal::Reporter;
use crate::notify::announced::Announcement;
use crate::notify::assignment::Assignment;
use crate::notify::message::Message;
use crate::notify::notifier::Notifier;
use crate::worker::spawn;
use activity::Activity;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use nix::errno::Errno;
use overdue::Threads;
use resident::keep_code;
use schedulers::Schedulers;
use stall::{Asked, Deadlines, Due};
use std::path::PathBuf;
use std::sync::{Arc, Once};
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
    /// The process that is bound to the scheduler of that number is to run, and to say so by [`Watchdog::ran`].
    Wake(usize),
    /// A scheduler is stuck. Which processes do not answer? To be answered by [`Watchdog::found`].
    Stuck,
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
    /// How many the VM has.
    pub schedulers: usize,
}

/// A running watchdog. Pings only on its owner's word: [`Verdict::Well`] for the tick that was asked.
/// Dropping it ends the thread.
#[derive(Debug)]
pub struct Watchdog(Sender<Command>);

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.stop();
    }
}

#[derive(Debug)]
enum Command {
    TakeUp { tick: u64, run_queues: Vec<u64>, online: usize, busy: Vec<usize> },
    Check { tick: u64, what: String },
    Answer { tick: u64, verdict: Verdict },
    Looked { tick: u64, threads: Threads },
    Ran(usize),
    Found(String),
    LookedForStuck { processes: String, threads: Threads },
    Enable,
    Disable,
    Stop,
}

/// For the last word, with a full queue at the manager.
const PATIENCE: Duration = Duration::from_secs(1);

/// A full queue at the manager is tried again after this long.
const RETRY: Duration = Duration::from_millis(5);

impl Watchdog {
    /// Starts the thread, which asks at once and then every interval, but never while an answer is outstanding, and
    /// another one, which calls `tell`.
    pub fn start(
        notifier: Arc<Notifier>,
        settings: Settings,
        tell: impl FnMut(Event) + Send + 'static,
    ) -> Result<Self, Errno> {
        Self::start_in(PathBuf::from("/proc/self"), notifier, settings, tell)
    }

    /// [`Self::start`] with the place where proc(5) has this process.
    fn start_in(
        process: PathBuf,
        notifier: Arc<Notifier>,
        settings: Settings,
        tell: impl FnMut(Event) + Send + 'static,
    ) -> Result<Self, Errno> {
        // By a thread of its own, because the code of the VM that it runs in may be swapped out.
        let reporter = Reporter::open()?;
        let (events, said) = unbounded();
        spawn("sd-tell", move || said.into_iter().for_each(tell))?;
        let (commands, inbox) = unbounded();
        let to_itself = commands.clone();
        spawn("sd-watchdog", move || {
            static KEPT: Once = Once::new();
            KEPT.call_once(keep_code);
            let keeper = Keeper {
                inbox,
                to_itself,
                notifier,
                reporter,
                process,
                interval: settings.interval.max(Duration::from_millis(1)),
                timeout: settings.timeout,
                deadlines: Deadlines::new(settings.timeout, settings.warn_after),
                on_hang: settings.on_hang,
                activity: Activity::default(),
                schedulers: Schedulers::new(settings.schedulers, settings.interval),
                warn_after: settings.warn_after,
                stall: Stall::None,
                stall_is_shown: false,
                last_stall: None,
                last_look: None,
                events,
                enabled: true,
                tick: 0,
                next_tick: Instant::now(),
                asked: None,
                failure: None,
                hidden: None,
                line: String::new(),
                is_looking: false,
                owed: None,
                unsent: None,
            };
            keeper.run();
        })?;
        Ok(Self(commands))
    }

    fn tell(&self, command: Command) {
        // A thread that has ended neither needs nor misses it.
        let _ = self.0.send(command);
    }

    /// Answers an [`Event::Tick`]. An answer to any other tick than the last counts for nothing.
    pub fn answer(&self, tick: u64, verdict: Verdict) {
        self.tell(Command::Answer { tick, verdict });
    }

    /// Says that the owner works on an answer, how long the VM's run queues are, how many of its schedulers are to run
    /// what they are given, and which of them have something to run, apart from the owner's.
    pub fn take_up(&self, tick: u64, run_queues: Vec<u64>, online: usize, busy: Vec<usize>) {
        self.tell(Command::TakeUp { tick, run_queues, online, busy });
    }

    /// Says that the scheduler of that number runs what it is given.
    pub fn ran(&self, number: usize) {
        self.tell(Command::Ran(number));
    }

    /// Answers an [`Event::Stuck`].
    pub fn found(&self, processes: &str) {
        self.tell(Command::Found(processes.to_owned()));
    }

    /// Says what is being checked for an answer.
    pub fn checking(&self, tick: u64, what: &str) {
        self.tell(Command::Check { tick, what: what.to_owned() });
    }

    /// Takes up asking again, at once.
    pub fn enable(&self) {
        self.tell(Command::Enable);
    }

    /// Neither asks nor pings until [`Watchdog::enable`].
    pub fn disable(&self) {
        self.tell(Command::Disable);
    }

    /// Ends asking and pinging for good, without waiting for the thread.
    pub fn stop(&self) {
        self.tell(Command::Stop);
    }
}

struct Keeper {
    inbox: Receiver<Command>,
    to_itself: Sender<Command>,
    notifier: Arc<Notifier>,
    reporter: Reporter,
    process: PathBuf,
    interval: Duration,
    timeout: Duration,
    deadlines: Deadlines,
    on_hang: OnHang,
    activity: Activity,
    schedulers: Schedulers,
    warn_after: Duration,
    stall: Stall,
    /// It is in the place of the user's status.
    stall_is_shown: bool,
    /// When the thread last wrote an entry about one, and when it last asked the VM about one.
    last_stall: Option<Instant>,
    last_look: Option<Instant>,
    events: Sender<Event>,
    enabled: bool,
    tick: u64,
    next_tick: Instant,
    asked: Option<Asked>,
    /// That of the last check, while it is in the place of the user's status.
    failure: Option<String>,
    /// The user's status that was last replaced by the failure.
    hidden: Option<Vec<u8>>,
    /// What the last report of an answer that is overdue says.
    line: String,
    /// A thread looks at the others.
    is_looking: bool,
    owed: Option<Owed>,
    unsent: Option<Errno>,
}

/// Schedulers that are stuck while others run.
#[derive(Debug)]
enum Stall {
    None,
    /// The VM and the kernel are asked what is to be told, since then.
    Looking(Instant),
    Told {
        numbers: Vec<usize>,
        since: Instant,
        line: String,
    },
}

/// Between two entries.
const BETWEEN_STALLS: Duration = Duration::from_secs(60);

/// Between two looks for what is to be told. Who has not found it by then never does.
const BETWEEN_LOOKS: Duration = Duration::from_secs(5);

/// What is to be sent when there is room for it at the manager, unless it is too late then or not true any more.
#[derive(Debug, Clone, Copy)]
struct Owed {
    assignment: Assignment<'static>,
    until: Instant,
}

impl Keeper {
    fn run(mut self) {
        loop {
            let received = match self.wake_at() {
                Some(wake_at) => self.inbox.recv_deadline(wake_at),
                None => self.inbox.recv().map_err(RecvTimeoutError::from),
            };
            match received {
                Ok(Command::TakeUp { tick, run_queues, online, busy }) => {
                    self.activity.take_up(tick, run_queues);
                    let woken = self.schedulers.run(online, busy, Instant::now());
                    self.wake(woken);
                    self.see_end_of_stall();
                }
                Ok(Command::Check { tick, what }) => self.activity.check(tick, what),
                Ok(Command::Answer { tick, verdict }) => self.answered(tick, verdict),
                Ok(Command::Looked { tick, threads }) => {
                    self.is_looking = false;
                    self.looked(tick, &threads);
                }
                Ok(Command::Ran(number)) => {
                    self.schedulers.ran(number, Instant::now());
                    self.see_end_of_stall();
                }
                Ok(Command::Found(processes)) => self.look_for_stuck(processes),
                Ok(Command::LookedForStuck { processes, threads }) => {
                    self.tell_of_stall(&processes, &threads);
                }
                Ok(Command::Enable) => self.enable(),
                Ok(Command::Disable) => self.disable(),
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => self.woken(),
            }
        }
    }

    fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }

    fn wake_at(&self) -> Option<Instant> {
        let retry = self.owed.is_some().then(|| Instant::now() + RETRY);
        let tick = (self.enabled && self.asked.is_none()).then_some(self.next_tick);
        let late = self.asked.as_ref().map(|asked| asked.wake_at(&self.deadlines));
        [retry, tick, late, self.round_at(), self.stall_at()].into_iter().flatten().min()
    }

    fn round_at(&self) -> Option<Instant> {
        self.enabled.then(|| self.schedulers.round_at(self.asked.as_ref().map(Asked::since)))?
    }

    /// When there is something to tell of schedulers that are stuck.
    fn stall_at(&self) -> Option<Instant> {
        let news = |known: &[usize]| {
            let after = [
                Some(self.schedulers.stuck_at(known)?),
                self.last_stall.map(|last| last + BETWEEN_STALLS),
                self.last_look.map(|last| last + BETWEEN_LOOKS),
            ];
            after.into_iter().flatten().max()
        };
        match &self.stall {
            Stall::None => news(&[]).filter(|_| self.enabled),
            Stall::Looking(since) => Some(*since + BETWEEN_LOOKS),
            Stall::Told { numbers, since, .. } => {
                let shown = (!self.stall_is_shown).then(|| *since + self.warn_after);
                [shown, news(numbers)].into_iter().flatten().min()
            }
        }
    }

    fn watch_schedulers(&mut self, now: Instant) {
        if self.round_at().is_some_and(|at| now >= at) {
            let woken = self.schedulers.round(now);
            self.wake(woken);
        }
        if self.stall_at().is_some_and(|at| now >= at) {
            match &self.stall {
                Stall::Told { since, line, .. }
                    if !self.stall_is_shown && now >= *since + self.warn_after =>
                {
                    self.stall_is_shown = true;
                    // What keeps the pings away is more important.
                    if self.failure.is_none() {
                        send_status(&self.notifier, line);
                    }
                }
                Stall::Looking(_) => self.stall = Stall::None,
                Stall::None | Stall::Told { .. } => {
                    self.stall = Stall::Looking(now);
                    self.last_look = Some(now);
                    self.tell(Event::Stuck);
                }
            }
        }
    }

    fn wake(&self, numbers: Vec<usize>) {
        for number in numbers {
            self.tell(Event::Wake(number));
        }
    }

    fn look_for_stuck(&mut self, processes: String) {
        if !matches!(self.stall, Stall::Looking(_)) {
            return;
        }
        let (process, inbox) = (self.process.clone(), self.to_itself.clone());
        let looks = spawn("sd-look", move || {
            let threads = Threads::look(&process);
            let _ = inbox.send(Command::LookedForStuck { processes, threads });
        });
        if looks.is_err() {
            self.stall = Stall::None;
        }
    }

    fn tell_of_stall(&mut self, processes: &str, threads: &Threads) {
        let now = Instant::now();
        if !matches!(self.stall, Stall::Looking(_)) {
            return;
        }
        self.stall = match self.schedulers.stuck(now) {
            Some((numbers, since)) => {
                self.last_stall = Some(now);
                let lasts = now.duration_since(since);
                let line =
                    overdue::report_stuck(&self.reporter, &numbers, lasts, processes, threads);
                Stall::Told { numbers, since, line }
            }
            None => Stall::None,
        };
        self.hide_stall("watchdog: well again");
    }

    /// Once more, if it lasts, with what is known now.
    fn hide_stall(&mut self, instead: &str) {
        if std::mem::take(&mut self.stall_is_shown) {
            self.show_status(instead);
        }
    }

    fn see_end_of_stall(&mut self) {
        let Stall::Told { numbers, since, .. } = &self.stall else { return };
        let stuck = self.schedulers.stuck(Instant::now());
        let is_over =
            stuck.is_none_or(|(stuck, _)| numbers.iter().all(|number| !stuck.contains(number)));
        if is_over {
            let line = overdue::report_run_again(&self.reporter, numbers, since.elapsed());
            self.stall = Stall::None;
            self.hide_stall(&line);
        }
    }

    fn woken(&mut self) {
        let now = Instant::now();
        if let Some(owed) = self.owed.take().filter(|owed| now < owed.until) {
            self.send(owed);
        }
        self.watch_schedulers(now);
        if self.asked.is_some() {
            self.wait(now);
        } else if self.enabled && now >= self.next_tick {
            self.tick += 1;
            self.next_tick = now + self.interval;
            self.asked = Some(Asked::new(self.tick, now));
            self.tell(Event::Tick(self.tick));
        }
    }

    fn wait(&mut self, now: Instant) {
        let Some(asked) = &mut self.asked else { return };
        match asked.due(now, &self.deadlines, self.notifier.is_running()) {
            Due::Nothing => (),
            due @ (Due::Overdue | Due::StillOverdue) => {
                // What it answered last is not known to be true any more.
                self.owed = None;
                let lasts = asked.lasts();
                self.line = overdue::report(&self.reporter, lasts, self.tick, &self.activity);
                send_status(&self.notifier, &self.line);
                if due == Due::Overdue {
                    self.tell(Event::Overdue(self.tick));
                }
                self.look();
            }
            Due::Hang => self.tell(Event::Hangs(self.tick)),
            Due::Act => self.act(),
        }
    }

    /// By another thread, because it may take long.
    fn look(&mut self) {
        if self.is_looking {
            return;
        }
        let (tick, process, inbox) = (self.tick, self.process.clone(), self.to_itself.clone());
        // Without one there is no second entry.
        let looks = spawn("sd-look", move || {
            let _ = inbox.send(Command::Looked { tick, threads: Threads::look(&process) });
        });
        self.is_looking = looks.is_ok();
    }

    fn looked(&self, tick: u64, threads: &Threads) {
        if self.asked.as_ref().is_some_and(|asked| asked.tick == tick) {
            threads.report(&self.reporter);
            send_status(&self.notifier, &format!("{}; {}", self.line, threads.line));
        }
    }

    fn answered(&mut self, tick: u64, verdict: Verdict) {
        let Some(asked) = self.asked.take_if(|asked| asked.tick == tick) else { return };
        let well = verdict == Verdict::Well;
        self.owed = None;
        let mut news = asked
            .is_reported()
            .then(|| overdue::report_answer(&self.reporter, asked.lasts(), well));
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
            // Worth what the answer is worth, until the next one.
            let until = Instant::now() + self.timeout;
            self.send(Owed { assignment: Assignment::Watchdog, until });
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
        self.owed = None;
        let is_reported = self.asked.take().is_some_and(|asked| asked.is_reported());
        let is_shown = std::mem::take(&mut self.stall_is_shown);
        self.stall = Stall::None;
        if self.failure.take().is_some() || is_reported || is_shown {
            self.show_status("watchdog: disabled");
        }
    }

    fn send(&mut self, owed: Owed) {
        let message = Message::of(&owed.assignment);
        let result = message.and_then(|message| self.notifier.send_now(&message));
        if result == Err(Errno::EAGAIN) {
            self.owed = Some(owed);
        }
        let unsent = result.err();
        if let Some(errno) = unsent
            && self.unsent != unsent
        {
            self.tell(Event::PingFailed(errno));
        }
        self.unsent = unsent;
    }

    fn act(&mut self) {
        let Some(asked) = &self.asked else { return };
        let report = |action| overdue::report_hang(&self.reporter, asked.lasts(), action);
        match self.on_hang {
            OnHang::Withhold => (),
            OnHang::Trigger => {
                report("watchdog_on_hang: WATCHDOG=trigger is sent");
                let assignment = Assignment::Custom { key: b"WATCHDOG", value: b"trigger" };
                self.send(Owed { assignment, until: Instant::now() + PATIENCE });
            }
            OnHang::Abort => {
                report("watchdog_on_hang: the VM is aborted");
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::address::Address;
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    use std::sync::mpsc::channel;

    /// As in a service above its `MemoryHigh=`, where the kernel has a thread sleep that opens a file.
    #[test]
    fn nothing_waits_for_what_is_read() {
        let name = format!("systemd-core-held-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        let address = Address::parse(format!("@{name}").as_bytes()).unwrap();
        let notifier = Arc::new(Notifier::open(address, Box::leak(Box::default())).unwrap());
        let process = std::env::temp_dir().join(&name);
        std::fs::create_dir_all(process.join("task/1")).unwrap();
        // Opening it waits for a writer.
        mkfifo(&process.join("task/1/stat"), Mode::S_IRWXU).unwrap();

        let second = Duration::from_secs(1);
        let settings = Settings {
            timeout: second * 2,
            interval: second,
            warn_after: second / 5,
            on_hang: OnHang::Withhold,
            schedulers: 0,
        };
        let (tell, events) = channel();
        let tell = move |event| tell.send(event).unwrap_or_default();
        let watchdog = Watchdog::start_in(process.clone(), notifier, settings, tell).unwrap();
        manager.set_read_timeout(Some(second * 5)).unwrap();
        let mut bytes = [0; 5000];
        let len = manager.recv(&mut bytes).unwrap();
        assert!(bytes[..len].starts_with(b"STATUS=watchdog: no answer from the VM for "));
        assert_eq!(events.recv(), Ok(Event::Tick(1)));
        assert_eq!(events.recv(), Ok(Event::Overdue(1)));
        watchdog.answer(1, Verdict::Well);
        let len = manager.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..len], b"STATUS=\n");
        let len = manager.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..len], b"WATCHDOG=1\n");
        drop(watchdog);
        std::fs::write(process.join("task/1/stat"), "1 (one) S").unwrap();
        std::fs::remove_dir_all(process).unwrap();
    }
}
