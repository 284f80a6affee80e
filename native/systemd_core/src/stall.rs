//! The watchdog's question that is outstanding, and what is due while no answer comes.

use crate::activity::Activity;
use crate::overdue;
use crate::threads::Snapshot;
use std::time::{Duration, Instant};

/// One question.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) tick: u64,
    since: Instant,
    /// Taken when the answer is late: what the threads do from then on is compared with it.
    before: Option<Snapshot>,
    reported: Option<Reported>,
    hang: Hang,
}

#[derive(Debug)]
struct Reported {
    first: Instant,
    last: Instant,
}

#[derive(Debug, PartialEq)]
enum Hang {
    NotYet,
    Told(Instant),
    Over,
}

/// When what is due.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadlines {
    /// Since the question was asked.
    warn: Duration,
    /// Since the first report: a VM that was stopped as a whole has a chance to answer.
    hang: Duration,
    /// Since the owner was told of the hang.
    act: Duration,
}

/// What is to be done now.
#[derive(Debug, PartialEq)]
pub(crate) enum Due {
    Nothing,
    /// The journal has it; this is what it says. One of a stall that goes on is not the first.
    Report {
        line: String,
        is_first: bool,
    },
    /// The owner is to be told, which may still do something about it.
    Hang,
    /// The thread is to do something about it.
    Act,
}

/// A healthy VM is much faster, and the threads are not looked at.
const LATE: Duration = Duration::from_millis(100);

const BETWEEN_REPORTS: Duration = Duration::from_secs(60);

impl Deadlines {
    /// A hang is what lasts for three quarters of the manager's timeout.
    pub(crate) fn new(timeout: Duration, warn_after: Duration) -> Self {
        let hang_after = (timeout / 4 * 3).saturating_sub(warn_after);
        Self { warn: warn_after, hang: hang_after, act: timeout / 20 }
    }

    fn late(&self) -> Duration {
        LATE.min(self.warn / 2)
    }
}

impl Asked {
    pub(crate) fn new(tick: u64, now: Instant) -> Self {
        Self { tick, since: now, before: None, reported: None, hang: Hang::NotYet }
    }

    pub(crate) fn is_reported(&self) -> bool {
        self.reported.is_some()
    }

    pub(crate) fn lasts(&self) -> Duration {
        self.since.elapsed()
    }

    pub(crate) fn wake_at(&self, deadlines: &Deadlines) -> Instant {
        match (&self.before, &self.reported) {
            (None, _) => self.since + deadlines.late(),
            (_, None) => self.since + deadlines.warn,
            (_, Some(Reported { first, last })) => {
                let next = *last + BETWEEN_REPORTS;
                match self.hang {
                    Hang::NotYet => next.min(*first + deadlines.hang),
                    Hang::Told(when) => next.min(when + deadlines.act),
                    Hang::Over => next,
                }
            }
        }
    }

    /// One thing at a time.
    pub(crate) fn due(
        &mut self,
        now: Instant,
        deadlines: &Deadlines,
        activity: &Activity,
    ) -> Due {
        if now < self.wake_at(deadlines) {
            return Due::Nothing;
        }
        let Some(before) = &self.before else {
            self.before = Some(Snapshot::take());
            return Due::Nothing;
        };
        let first = match (&self.reported, &self.hang) {
            (None, _) => now,
            (Some(reported), Hang::NotYet) if now >= reported.first + deadlines.hang => {
                self.hang = Hang::Told(now);
                return Due::Hang;
            }
            (Some(_), Hang::Told(when)) if now >= *when + deadlines.act => {
                self.hang = Hang::Over;
                return Due::Act;
            }
            (Some(reported), _) => reported.first,
        };
        let is_first = self.reported.is_none();
        self.reported = Some(Reported { first, last: now });
        let overdue = now - self.since;
        let line = overdue::report(overdue, self.tick, &activity.seen(), before);
        Due::Report { line, is_first }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// What becomes of a question without an answer, second by second.
    fn story(deadlines: &Deadlines, seconds: u32) -> Vec<(u32, &'static str)> {
        let start = Instant::now();
        let mut asked = Asked::new(1, start);
        let mut story = Vec::new();
        for second in 0..seconds {
            let now = start + SECOND * second;
            while now >= asked.wake_at(deadlines) {
                match asked.due(now, deadlines, &Activity::default()) {
                    Due::Nothing => (),
                    Due::Report { is_first: true, .. } => story.push((second, "first")),
                    Due::Report { is_first: false, .. } => story.push((second, "again")),
                    Due::Hang => story.push((second, "hang")),
                    Due::Act => story.push((second, "act")),
                }
            }
        }
        story
    }

    #[test]
    fn reported_at_once_then_every_minute_and_a_hang_after_three_quarters() {
        let deadlines = Deadlines::new(SECOND * 20, SECOND * 10);
        assert_eq!(
            story(&deadlines, 140),
            [(10, "first"), (15, "hang"), (16, "act"), (70, "again"), (130, "again")]
        );
        let long = Deadlines::new(SECOND * 1000, SECOND * 700);
        assert_eq!(story(&long, 790), [(700, "first"), (750, "hang"), (760, "again")]);
    }

    #[test]
    fn a_late_warning_is_before_the_hang() {
        let deadlines = Deadlines::new(SECOND * 20, SECOND * 18);
        assert_eq!(story(&deadlines, 30), [(18, "first"), (18, "hang"), (19, "act")]);
    }

    #[test]
    fn a_vm_that_was_stopped_as_a_whole_has_time_to_answer() {
        let deadlines = Deadlines::new(SECOND * 20, SECOND * 10);
        let start = Instant::now();
        let mut asked = Asked::new(1, start);
        let activity = Activity::default();
        let thawed = start + SECOND * 3600;
        assert_eq!(asked.due(thawed, &deadlines, &activity), Due::Nothing);
        assert!(matches!(asked.due(thawed, &deadlines, &activity), Due::Report { .. }));
        assert_eq!(asked.due(thawed, &deadlines, &activity), Due::Nothing);
        assert_eq!(asked.wake_at(&deadlines), thawed + SECOND * 5);
    }
}
