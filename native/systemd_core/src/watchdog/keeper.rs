//! The watchdog's thread: its commands, its timers and the pings.

use super::activity::Activity;
use super::mlock::lock_code;
use super::question::{Deadlines, Due, Question};
use super::schedulers::Schedulers;
use super::status::Status;
use super::stuck::{self, StuckSchedulers};
use super::thread_dump::ThreadDump;
use super::{Event, OnHang, Settings, Verdict, overdue};
use crate::journal::Reporter;
use crate::notify::assignment::Assignment;
use crate::notify::message::Message;
use crate::notify::notifier::Notifier;
use crate::worker::spawn;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use nix::errno::Errno;
use std::path::PathBuf;
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

/// A command from the owner, or the result of a [`ThreadDump`].
#[derive(Debug)]
pub(super) enum Command {
    Received { tick: u64, run_queues: Vec<u64>, online: usize, busy: Vec<usize> },
    Check { tick: u64, what: String },
    Answer { tick: u64, verdict: Verdict },
    DumpedForOverdue { tick: u64, threads: ThreadDump },
    Ran(usize),
    Found(String),
    DumpedForStuck { processes: String, threads: ThreadDump },
    Enable,
    Disable,
    Stop,
}

/// How long sending `WATCHDOG=trigger` is retried while the socket buffer is full.
const PATIENCE: Duration = Duration::from_secs(1);

/// The time between two attempts to send while the socket buffer is full.
const RETRY: Duration = Duration::from_millis(5);

struct Keeper {
    inbox: Receiver<Command>,
    to_itself: Sender<Command>,
    events: Sender<Event>,
    notifier: Arc<Notifier>,
    reporter: Reporter,
    process: PathBuf,
    settings: Settings,
    deadlines: Deadlines,
    activity: Activity,
    schedulers: Schedulers,
    stuck: StuckSchedulers,
    status: Status,
    enabled: bool,
    tick: u64,
    next_tick: Instant,
    question: Option<Question>,
    /// The last report of an overdue answer.
    overdue_line: String,
    /// A thread dump for the report of an overdue answer is under way.
    is_dumping: bool,
    owed: Option<Owed>,
    /// Why the last message was not sent.
    unsent: Option<Errno>,
}

/// A message that did not fit into the socket buffer. It is dropped once it is too late or no longer true.
#[derive(Debug, Clone, Copy)]
struct Owed {
    assignment: Assignment<'static>,
    until: Instant,
    retry_at: Instant,
}

/// `process` is the folder of this process in /proc: see proc(5).
pub(super) fn start(
    process: PathBuf,
    notifier: Arc<Notifier>,
    settings: Settings,
    events: Sender<Event>,
) -> Result<Sender<Command>, Errno> {
    let reporter = Reporter::open()?;
    let (commands, inbox) = unbounded();
    let to_itself = commands.clone();
    spawn("sd-watchdog", move || {
        static LOCKED: Once = Once::new();
        LOCKED.call_once(lock_code);
        let keeper = Keeper {
            inbox,
            to_itself,
            events,
            status: Status::new(notifier.clone()),
            notifier,
            reporter,
            process,
            deadlines: Deadlines::new(settings.timeout, settings.warn_after),
            activity: Activity::default(),
            schedulers: Schedulers::new(settings.schedulers, settings.interval),
            stuck: StuckSchedulers::new(settings.warn_after),
            settings,
            enabled: true,
            tick: 0,
            next_tick: Instant::now(),
            question: None,
            overdue_line: String::new(),
            is_dumping: false,
            owed: None,
            unsent: None,
        };
        keeper.run();
    })?;
    Ok(commands)
}

impl Keeper {
    fn run(mut self) {
        loop {
            let received = match self.wake_at() {
                Some(wake_at) => self.inbox.recv_deadline(wake_at),
                None => self.inbox.recv().map_err(RecvTimeoutError::from),
            };
            match received {
                Ok(Command::Received { tick, run_queues, online, busy }) => {
                    self.activity.received(tick, run_queues);
                    let woken = self.schedulers.run(online, busy, Instant::now());
                    self.wake(woken);
                    self.see_end_of_stuck();
                }
                Ok(Command::Check { tick, what }) => self.activity.check(tick, what),
                Ok(Command::Answer { tick, verdict }) => self.answered(tick, verdict),
                Ok(Command::DumpedForOverdue { tick, threads }) => {
                    self.dumped_for_overdue(tick, &threads);
                }
                Ok(Command::Ran(number)) => {
                    self.schedulers.ran(number, Instant::now());
                    self.see_end_of_stuck();
                }
                Ok(Command::Found(processes)) => self.found(processes),
                Ok(Command::DumpedForStuck { processes, threads }) => {
                    self.dumped_for_stuck(&processes, &threads);
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

    /// `None` while disabled: then there is no question, and nothing to send again.
    fn wake_at(&self) -> Option<Instant> {
        if !self.enabled {
            return None;
        }
        let retry = self.owed.map(|owed| owed.retry_at);
        let question = self.question.as_ref().map(|question| question.wake_at(&self.deadlines));
        let tick = Some(question.unwrap_or(self.next_tick));
        let stuck = self.stuck.wake_at(&self.schedulers);
        [retry, tick, self.round_at(), stuck].into_iter().flatten().min()
    }

    fn round_at(&self) -> Option<Instant> {
        self.schedulers.round_at(self.question.as_ref().map(Question::since))
    }

    fn woken(&mut self) {
        let now = Instant::now();
        if let Some(owed) = self.owed.take().filter(|owed| now < owed.until) {
            self.send(owed.assignment, owed.until);
        }
        if self.round_at().is_some_and(|at| now >= at) {
            let woken = self.schedulers.round(now);
            self.wake(woken);
        }
        match self.stuck.due(now, &self.schedulers) {
            stuck::Due::Nothing => (),
            stuck::Due::Look => self.tell(Event::Stuck),
            stuck::Due::Show(line) => self.status.show_stuck(&line),
        }
        if self.question.is_some() {
            self.wait(now);
        } else if now >= self.next_tick {
            self.tick += 1;
            self.next_tick = now + self.settings.interval.max(Duration::from_millis(1));
            self.question = Some(Question::new(self.tick, now));
            self.tell(Event::Tick(self.tick));
        }
    }

    fn wake(&self, schedulers: Vec<usize>) {
        for number in schedulers {
            self.tell(Event::Wake(number));
        }
    }

    fn wait(&mut self, now: Instant) {
        let Some(question) = &mut self.question else { return };
        match question.due(now, &self.deadlines, self.notifier.is_running()) {
            Due::Nothing => (),
            due @ (Due::Overdue | Due::StillOverdue) => {
                // The answer behind an unsent ping may no longer be true.
                self.owed = None;
                let lasts = question.lasts();
                self.overdue_line =
                    overdue::report(&self.reporter, lasts, self.tick, &self.activity);
                self.status.show(&self.overdue_line);
                if due == Due::Overdue {
                    self.tell(Event::Overdue(self.tick));
                }
                if !self.is_dumping {
                    let tick = self.tick;
                    self.is_dumping = self
                        .dump_threads(move |threads| Command::DumpedForOverdue { tick, threads });
                }
            }
            Due::Hang => self.tell(Event::Hangs(self.tick)),
            Due::Act => self.act(),
        }
    }

    fn act(&mut self) {
        let Some(question) = &self.question else { return };
        let report = |action| overdue::report_hang(&self.reporter, question.lasts(), action);
        match self.settings.on_hang {
            OnHang::Withhold => (),
            OnHang::Trigger => {
                report("watchdog_on_hang: WATCHDOG=trigger is sent");
                let assignment = Assignment::Custom { key: b"WATCHDOG", value: b"trigger" };
                self.send(assignment, Instant::now() + PATIENCE);
            }
            OnHang::Abort => {
                report("watchdog_on_hang: the VM is aborted");
                std::process::abort();
            }
        }
    }

    /// Runs in a thread of its own, because it may take long. Returns false if no thread can be started.
    fn dump_threads(&self, command: impl FnOnce(ThreadDump) -> Command + Send + 'static) -> bool {
        let (process, inbox) = (self.process.clone(), self.to_itself.clone());
        let dump = move || {
            let _ = inbox.send(command(ThreadDump::take(&process)));
        };
        spawn("sd-look", dump).is_ok()
    }

    fn dumped_for_overdue(&mut self, tick: u64, threads: &ThreadDump) {
        self.is_dumping = false;
        if self.question.as_ref().is_some_and(|question| question.tick == tick) {
            threads.report(&self.reporter);
            self.status.show(&format!("{}; {}", self.overdue_line, threads.line));
        }
    }

    fn found(&mut self, processes: String) {
        if self.stuck.is_looking() {
            self.dump_threads(|threads| Command::DumpedForStuck { processes, threads });
        }
    }

    fn dumped_for_stuck(&mut self, processes: &str, threads: &ThreadDump) {
        if self.stuck.is_looking() {
            self.stuck.report(&self.schedulers, &self.reporter, processes, threads);
            // If `STATUS=` shows an earlier report, that is outdated.
            self.status.hide_stuck("watchdog: recovered");
        }
    }

    fn see_end_of_stuck(&mut self) {
        if let Some(line) = self.stuck.report_end(&self.schedulers, &self.reporter) {
            self.status.hide_stuck(&line);
        }
    }

    fn answered(&mut self, tick: u64, verdict: Verdict) {
        let Some(question) = self.question.take_if(|question| question.tick == tick) else {
            return;
        };
        let healthy = verdict == Verdict::Healthy;
        self.owed = None;
        let report = question
            .is_reported()
            .then(|| overdue::report_answer(&self.reporter, question.lasts(), healthy));
        self.status.answered(verdict, report);
        if healthy {
            // After this time systemd has stopped waiting for the ping.
            let until = Instant::now() + self.settings.timeout;
            self.send(Assignment::Watchdog, until);
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
        self.stuck.forget();
        self.status.disabled(self.question.take().is_some_and(|question| question.is_reported()));
    }

    fn send(&mut self, assignment: Assignment<'static>, until: Instant) {
        let message = Message::of(&assignment);
        let result = message.and_then(|message| self.notifier.send_now(&message));
        if result == Err(Errno::EAGAIN) {
            self.owed = Some(Owed { assignment, until, retry_at: Instant::now() + RETRY });
        }
        let unsent = result.err();
        if let Some(errno) = unsent
            && self.unsent != unsent
        {
            self.tell(Event::PingFailed(errno));
        }
        self.unsent = unsent;
    }
}
