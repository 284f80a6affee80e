//! How far the VM has got with the watchdog's question, according to its own reports.

use std::time::Instant;

/// The last reports.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    tick: u64,
    checking: String,
    run_queues: Vec<u64>,
    received_at: Option<Instant>,
}

impl Activity {
    pub(crate) fn received(&mut self, tick: u64, run_queues: Vec<u64>) {
        let received_at = Some(Instant::now());
        *self = Self { tick, checking: String::new(), run_queues, received_at };
    }

    pub(crate) fn check(&mut self, tick: u64, what: String) {
        if self.tick == tick {
            self.checking = what;
        }
    }

    /// What the VM checks for this tick, or an empty text.
    pub(crate) fn checking(&self, tick: u64) -> &str {
        if self.tick == tick { &self.checking } else { "" }
    }

    pub(crate) fn describe(&self, tick: u64) -> String {
        match self.checking(tick) {
            "" if self.tick == tick => "the watchdog process has the question".to_owned(),
            "" => "the watchdog process was not scheduled".to_owned(),
            what => format!("checking {what}"),
        }
    }

    /// The lengths of the run queues, and the age of that report.
    pub(crate) fn run_queues(&self) -> String {
        let Some(received_at) = self.received_at else { return "unknown".to_owned() };
        let lengths: Vec<_> = self.run_queues.iter().map(u64::to_string).collect();
        format!("{} ({} ms ago)", lengths.join(" "), received_at.elapsed().as_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_counts_for_its_tick() {
        let mut activity = Activity::default();
        assert_eq!(activity.describe(1), "the watchdog process was not scheduled");
        assert_eq!(activity.run_queues(), "unknown");
        activity.received(1, vec![3, 0, 1]);
        assert_eq!(activity.describe(1), "the watchdog process has the question");
        activity.check(1, "process x".to_owned());
        assert_eq!(activity.describe(1), "checking process x");
        assert!(activity.run_queues().starts_with("3 0 1 ("));
        activity.check(2, "process y".to_owned());
        assert_eq!(activity.describe(2), "the watchdog process was not scheduled");
        assert_eq!(activity.checking(1), "process x");
        activity.received(2, Vec::new());
        assert_eq!(activity.checking(2), "");
    }
}
