//! Schedulers that are stuck while others run: when to look at them, and what the journal and `STATUS=` say of them.

use super::schedulers::Schedulers;
use super::thread_dump::ThreadDump;
use crate::journal::Reporter;
use std::time::{Duration, Instant};

/// `MESSAGE_ID=` of the entry on schedulers that are stuck.
const STUCK: &str = "7d3fee76a14c41a7996ec6e31d08820e";
/// `MESSAGE_ID=` of the entry that says that they run again.
const RUNS_AGAIN: &str = "06d5c48f3496480bb38101d27d5c5855";

/// The journal gets at most one entry on stuck schedulers in this time.
const BETWEEN_REPORTS: Duration = Duration::from_secs(60);

/// A look that has no result after this long never gets one.
const BETWEEN_LOOKS: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct StuckSchedulers {
    /// `STATUS=` tells of a scheduler that is stuck for longer.
    warn_after: Duration,
    state: State,
    last_report: Option<Instant>,
    last_look: Option<Instant>,
}

#[derive(Debug)]
enum State {
    Idle,
    /// The VM and the kernel have been asked, at that time, what the entry needs.
    Looking(Instant),
    Reported {
        numbers: Vec<usize>,
        since: Instant,
        /// The line that `STATUS=` does not have yet, and when it is to have it.
        unshown: Option<(Instant, String)>,
    },
}

/// What is to be done now.
#[derive(Debug, PartialEq)]
pub(crate) enum Due {
    Nothing,
    /// The VM and the kernel are to be asked, for [`StuckSchedulers::report`].
    Look,
    /// `STATUS=` is to have this line.
    Show(String),
}

impl StuckSchedulers {
    pub(crate) fn new(warn_after: Duration) -> Self {
        Self { warn_after, state: State::Idle, last_report: None, last_look: None }
    }

    pub(crate) fn wake_at(&self, schedulers: &Schedulers) -> Option<Instant> {
        let (known, show_at) = match &self.state {
            State::Looking(since) => return Some(*since + BETWEEN_LOOKS),
            State::Idle => (&[][..], None),
            State::Reported { numbers, unshown, .. } => {
                (numbers.as_slice(), unshown.as_ref().map(|(at, _)| *at))
            }
        };
        let look_at = schedulers.stuck_at(known).map(|at| {
            let report_at = self.last_report.map_or(at, |last| at.max(last + BETWEEN_REPORTS));
            self.last_look.map_or(report_at, |last| report_at.max(last + BETWEEN_LOOKS))
        });
        [show_at, look_at].into_iter().flatten().min()
    }

    pub(crate) fn due(&mut self, now: Instant, schedulers: &Schedulers) -> Due {
        if self.wake_at(schedulers).is_none_or(|at| now < at) {
            return Due::Nothing;
        }
        if let State::Reported { unshown, .. } = &mut self.state
            && let Some((_, line)) = unshown.take_if(|(at, _)| now >= *at)
        {
            return Due::Show(line);
        }
        if self.is_looking() {
            self.forget();
            return Due::Nothing;
        }
        self.state = State::Looking(now);
        self.last_look = Some(now);
        Due::Look
    }

    pub(crate) fn is_looking(&self) -> bool {
        matches!(self.state, State::Looking(_))
    }

    /// Nothing is looked for any more, and no end is reported.
    pub(crate) fn forget(&mut self) {
        self.state = State::Idle;
    }

    /// Ends a look: writes the entry, unless all run again. `processes` are those that do not answer the VM.
    pub(crate) fn report(
        &mut self,
        schedulers: &Schedulers,
        to: &Reporter,
        processes: &str,
        threads: &ThreadDump,
    ) {
        let now = Instant::now();
        let Some((numbers, since)) = schedulers.stuck(now) else { return self.forget() };
        let lasts = now.duration_since(since);
        let line = format!(
            "watchdog: {} run nothing for {} ms, while others run; not answering: {processes}; {}",
            names(&numbers),
            lasts.as_millis(),
            threads.line
        );
        let mut fields = fields(STUCK, &numbers, lasts);
        fields.push(("SYSTEMD_BEAM_STUCK_PROCESSES", processes.to_owned()));
        fields.extend_from_slice(&threads.fields);
        to.write(Reporter::WARNING, &line, &fields);
        self.last_report = Some(now);
        self.state =
            State::Reported { numbers, since, unshown: Some((since + self.warn_after, line)) };
    }

    /// Once all that were reported run again: writes the entry, and returns its message.
    pub(crate) fn report_end(
        &mut self,
        schedulers: &Schedulers,
        to: &Reporter,
    ) -> Option<String> {
        let State::Reported { numbers, since, .. } = &self.state else { return None };
        let (stuck, _) = schedulers.stuck(Instant::now()).unzip();
        if stuck.is_some_and(|stuck| stuck.iter().any(|number| numbers.contains(number))) {
            return None;
        }
        let lasted = since.elapsed();
        let line =
            format!("watchdog: {} run again, after {} ms", names(numbers), lasted.as_millis());
        to.write(Reporter::WARNING, &line, &fields(RUNS_AGAIN, numbers, lasted));
        self.forget();
        Some(line)
    }
}

fn fields(id: &str, numbers: &[usize], lasts: Duration) -> Vec<(&'static str, String)> {
    vec![
        ("MESSAGE_ID", id.to_owned()),
        ("SYSTEMD_BEAM_STUCK_SCHEDULERS", list(numbers)),
        ("SYSTEMD_BEAM_STUCK_USEC", lasts.as_micros().to_string()),
    ]
}

fn names(numbers: &[usize]) -> String {
    match numbers {
        [_] => format!("scheduler {} has", list(numbers)),
        _ => format!("schedulers {} have", list(numbers)),
    }
}

fn list(numbers: &[usize]) -> String {
    numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(" ")
}
