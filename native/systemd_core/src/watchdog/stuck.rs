//! Schedulers that are stuck while others run: when to examine them, and how the journal and `STATUS=` report them.

use super::schedulers::Schedulers;
use super::thread_dump::ThreadDump;
use crate::journal::Reporter;
use std::time::{Duration, Instant};

/// `MESSAGE_ID=` of the entry about stuck schedulers.
const STUCK: &str = "7d3fee76a14c41a7996ec6e31d08820e";
/// `MESSAGE_ID=` of the entry about schedulers that run again.
const RUNS_AGAIN: &str = "06d5c48f3496480bb38101d27d5c5855";

/// The journal gets at most one entry on stuck schedulers in this time.
const BETWEEN_REPORTS: Duration = Duration::from_secs(60);

/// The shortest time between two examinations, because one may end without an entry.
const BETWEEN_LOOKS: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct StuckSchedulers {
    /// `STATUS=` reports a scheduler that is stuck for longer than this.
    warn_after: Duration,
    /// An examination is under way: the VM and the kernel were asked for the details of the next entry.
    is_looking: bool,
    /// The last entry, until its schedulers run again.
    reported: Option<Reported>,
    last_report: Option<Instant>,
    last_look: Option<Instant>,
}

#[derive(Debug)]
struct Reported {
    numbers: Vec<usize>,
    since: Instant,
    /// The line to show in `STATUS=`, and when to show it.
    unshown: Option<(Instant, String)>,
}

/// The next action.
#[derive(Debug, PartialEq)]
pub(crate) enum Due {
    Nothing,
    /// Ask the VM and the kernel, for [`StuckSchedulers::report`].
    Look,
    /// Show this line in `STATUS=`.
    Show(String),
}

impl StuckSchedulers {
    pub(crate) fn new(warn_after: Duration) -> Self {
        Self { warn_after, is_looking: false, reported: None, last_report: None, last_look: None }
    }

    pub(crate) fn wake_at(&self, schedulers: &Schedulers) -> Option<Instant> {
        let reported = self.reported.as_ref();
        let show_at = reported.and_then(|it| it.unshown.as_ref()).map(|(at, _)| *at);
        let known = reported.map_or(&[][..], |it| &it.numbers);
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
        let unshown = self.reported.as_mut().map(|reported| &mut reported.unshown);
        if let Some((_, line)) = unshown.and_then(|it| it.take_if(|(at, _)| now >= *at)) {
            return Due::Show(line);
        }
        self.is_looking = true;
        self.last_look = Some(now);
        Due::Look
    }

    pub(crate) fn is_looking(&self) -> bool {
        self.is_looking
    }

    /// Ends the examination. The end of the last report is not reported any more.
    pub(crate) fn forget(&mut self) {
        self.is_looking = false;
        self.reported = None;
    }

    /// Ends the examination: writes the entry, unless all schedulers run again. `processes` are those that do not
    /// answer the VM.
    pub(crate) fn report(
        &mut self,
        schedulers: &Schedulers,
        to: &Reporter,
        processes: &str,
        threads: &ThreadDump,
    ) {
        let now = Instant::now();
        self.is_looking = false;
        let Some((numbers, since)) = schedulers.stuck(now) else { return };
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
        let unshown = Some((since + self.warn_after, line));
        self.reported = Some(Reported { numbers, since, unshown });
    }

    /// If all reported schedulers run again, writes the entry, and returns its message.
    pub(crate) fn report_end(
        &mut self,
        schedulers: &Schedulers,
        to: &Reporter,
    ) -> Option<String> {
        let (stuck, _) = schedulers.stuck(Instant::now()).unzip();
        let stuck = stuck.unwrap_or_default();
        let is_over = |it: &mut Reported| !stuck.iter().any(|number| it.numbers.contains(number));
        let Reported { numbers, since, .. } = self.reported.take_if(is_over)?;
        let lasted = since.elapsed();
        let line =
            format!("watchdog: {} run again, after {} ms", names(&numbers), lasted.as_millis());
        to.write(Reporter::WARNING, &line, &fields(RUNS_AGAIN, &numbers, lasted));
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

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_end_is_reported_while_a_look_at_another_one_is_under_way() {
        let now = Instant::now();
        let start = now.checked_sub(SECOND * 2).unwrap();
        let reporter = Reporter::open().unwrap();
        let threads = ThreadDump { line: String::new(), fields: Vec::new() };
        let mut schedulers = Schedulers::new(3, SECOND);
        schedulers.round(start);
        schedulers.run(3, Vec::new(), start);
        schedulers.ran(1, start);
        schedulers.ran(3, start);
        let mut stuck = StuckSchedulers::new(SECOND);
        assert_eq!(stuck.due(start, &schedulers), Due::Nothing);
        assert_eq!(stuck.due(now, &schedulers), Due::Look);
        assert_eq!(stuck.due(now, &schedulers), Due::Nothing);
        stuck.report(&schedulers, &reporter, "none", &threads);
        let Due::Show(line) = stuck.due(now, &schedulers) else { panic!("nothing is shown") };
        assert!(line.starts_with("watchdog: scheduler 2 has run nothing for 2"));

        schedulers.round(now);
        schedulers.ran(1, now);
        assert_eq!(stuck.due(now + BETWEEN_REPORTS / 2, &schedulers), Due::Nothing);
        assert_eq!(stuck.due(now + BETWEEN_REPORTS + SECOND, &schedulers), Due::Look);
        assert_eq!(stuck.report_end(&schedulers, &reporter), None);
        schedulers.ran(2, now);
        let line = stuck.report_end(&schedulers, &reporter).unwrap();
        assert!(line.starts_with("watchdog: scheduler 2 has run again, after 2"));
    }
}
