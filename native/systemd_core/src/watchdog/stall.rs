//! The watchdog's question that is outstanding, and what is due while no answer comes.

use std::time::{Duration, Instant};

/// One question.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) tick: u64,
    since: Instant,
    reported: Option<Reported>,
}

#[derive(Debug)]
struct Reported {
    last: Instant,
    hang: Hang,
}

#[derive(Debug)]
enum Hang {
    /// To be told then, if the service runs.
    At(Instant),
    /// To be acted upon then.
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
    /// Since the owner has got the message about the hang.
    act: Duration,
}

/// What is to be done now.
#[derive(Debug, PartialEq)]
pub(crate) enum Due {
    Nothing,
    /// To be reported, for the first time.
    Overdue,
    /// The same of a stall that goes on.
    StillOverdue,
    /// The owner is to be told, which may still do something about it.
    Hang,
    /// The thread is to do something about it.
    Act,
}

const BETWEEN_REPORTS: Duration = Duration::from_secs(60);

/// A service that doesn't run is looked at again after this long.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

impl Deadlines {
    /// A hang is what lasts for three quarters of the manager's timeout.
    pub(crate) fn new(timeout: Duration, warn_after: Duration) -> Self {
        let hang = (timeout / 4 * 3).saturating_sub(warn_after);
        Self { warn: warn_after, hang, act: timeout / 20 }
    }
}

impl Asked {
    pub(crate) fn new(tick: u64, now: Instant) -> Self {
        Self { tick, since: now, reported: None }
    }

    pub(crate) fn is_reported(&self) -> bool {
        self.reported.is_some()
    }

    pub(crate) fn since(&self) -> Instant {
        self.since
    }

    pub(crate) fn lasts(&self) -> Duration {
        self.since.elapsed()
    }

    pub(crate) fn wake_at(&self, deadlines: &Deadlines) -> Instant {
        let Some(Reported { last, hang }) = &self.reported else {
            return self.since + deadlines.warn;
        };
        let next = *last + BETWEEN_REPORTS;
        match hang {
            Hang::At(when) | Hang::Told(when) => next.min(*when),
            Hang::Over => next,
        }
    }

    /// One thing at a time. `runs`: neither starts, reloads nor stops, when the manager may have been asked for more
    /// patience.
    pub(crate) fn due(&mut self, now: Instant, deadlines: &Deadlines, runs: bool) -> Due {
        if now < self.wake_at(deadlines) {
            return Due::Nothing;
        }
        let Some(reported) = &mut self.reported else {
            self.reported = Some(Reported { last: now, hang: Hang::At(now + deadlines.hang) });
            return Due::Overdue;
        };
        match reported.hang {
            Hang::At(when) | Hang::Told(when) if now >= when && !runs => {
                reported.hang = Hang::At(now + LOOK_AGAIN);
                Due::Nothing
            }
            Hang::At(when) if now >= when => {
                reported.hang = Hang::Told(now + deadlines.act);
                Due::Hang
            }
            Hang::Told(when) if now >= when => {
                reported.hang = Hang::Over;
                Due::Act
            }
            _ => {
                reported.last = now;
                Due::StillOverdue
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// What becomes of a question without an answer, second by second; the service reloads until then.
    fn story(deadlines: &Deadlines, seconds: u32, reloads: u32) -> Vec<(u32, &'static str)> {
        let start = Instant::now();
        let mut asked = Asked::new(1, start);
        let mut story = Vec::new();
        for second in 0..seconds {
            let now = start + SECOND * second;
            while now >= asked.wake_at(deadlines) {
                match asked.due(now, deadlines, second >= reloads) {
                    Due::Nothing => (),
                    Due::Overdue => story.push((second, "first")),
                    Due::StillOverdue => story.push((second, "again")),
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
            story(&deadlines, 140, 0),
            [(10, "first"), (15, "hang"), (16, "act"), (70, "again"), (130, "again")]
        );
        let long = Deadlines::new(SECOND * 1000, SECOND * 700);
        assert_eq!(story(&long, 790, 0), [(700, "first"), (750, "hang"), (760, "again")]);
    }

    #[test]
    fn a_late_warning_is_before_the_hang() {
        let deadlines = Deadlines::new(SECOND * 20, SECOND * 18);
        assert_eq!(story(&deadlines, 30, 0), [(18, "first"), (18, "hang"), (19, "act")]);
    }

    #[test]
    fn a_hang_that_begins_in_a_reload_is_one_when_the_reload_is_over() {
        let deadlines = Deadlines::new(SECOND * 20, SECOND * 10);
        assert_eq!(story(&deadlines, 40, 30), [(10, "first"), (30, "hang"), (31, "act")]);
    }

    #[test]
    fn a_vm_that_was_stopped_as_a_whole_has_time_to_answer() {
        let deadlines = Deadlines::new(SECOND * 20, SECOND * 10);
        let start = Instant::now();
        let mut asked = Asked::new(1, start);
        let thawed = start + SECOND * 3600;
        assert_eq!(asked.due(thawed, &deadlines, true), Due::Overdue);
        assert_eq!(asked.due(thawed, &deadlines, true), Due::Nothing);
        assert_eq!(asked.wake_at(&deadlines), thawed + SECOND * 5);
    }
}
