//! How far the VM has got with the watchdog's question, as far as it has said.

use std::time::Instant;

/// What was said last.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    tick: u64,
    checking: String,
    run_queues: Vec<u64>,
    taken_up: Option<Instant>,
}

impl Activity {
    pub(crate) fn take_up(&mut self, tick: u64, run_queues: Vec<u64>) {
        let taken_up = Some(Instant::now());
        *self = Self { tick, checking: String::new(), run_queues, taken_up };
    }

    pub(crate) fn check(&mut self, tick: u64, what: String) {
        if self.tick == tick {
            self.checking = what;
        }
    }

    /// What the VM checks for that tick, or an empty text.
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

    /// Their lengths, and how old those are.
    pub(crate) fn run_queues(&self) -> String {
        let Some(taken_up) = self.taken_up else { return "unknown".to_owned() };
        let lengths: Vec<_> = self.run_queues.iter().map(u64::to_string).collect();
        format!("{} ({} ms ago)", lengths.join(" "), taken_up.elapsed().as_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_counts_for_its_tick() {
        let mut activity = Activity::default();
        assert_eq!(activity.describe(1), "the watchdog process was not scheduled");
        assert_eq!(activity.run_queues(), "unknown");
        activity.take_up(1, vec![3, 0, 1]);
        assert_eq!(activity.describe(1), "the watchdog process has the question");
        activity.check(1, "process x".to_owned());
        assert_eq!(activity.describe(1), "checking process x");
        assert!(activity.run_queues().starts_with("3 0 1 ("));
        activity.check(2, "process y".to_owned());
        assert_eq!(activity.describe(2), "the watchdog process was not scheduled");
        assert_eq!(activity.checking(1), "process x");
        activity.take_up(2, Vec::new());
        assert_eq!(activity.checking(2), "");
    }
}
