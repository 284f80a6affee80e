//! The unanswered question, and the actions that are due while no answer comes.

use std::time::{Duration, Instant};

/// The tick that the owner has not answered.
#[derive(Debug)]
pub(crate) struct Question {
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
    /// Notify the owner at this time.
    At(Instant),
    /// The owner was notified. The thread acts at this time.
    Notified(Instant),
    Acted,
}

/// How long there may be no answer before each action.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadlines {
    /// From the question to the first report.
    warn: Duration,
    /// From the first report to the hang. A VM that was stopped as a whole, and then continued, has this time to
    /// answer.
    hang: Duration,
    /// From notifying the owner of the hang to acting on it.
    act: Duration,
}

/// The next action.
#[derive(Debug, PartialEq)]
pub(crate) enum Due {
    Nothing,
    /// The first report.
    Overdue,
    /// Another report.
    StillOverdue,
    /// The owner gets [`super::Event::Hangs`], and can still stop the VM in its own way.
    Hang,
    /// The thread does what is configured for a hang.
    Act,
}

const BETWEEN_REPORTS: Duration = Duration::from_secs(60);

/// While the service is not running, a hang is postponed by this time.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

impl Deadlines {
    /// The VM hangs if there is no answer for three quarters of the watchdog timeout.
    pub(crate) fn new(timeout: Duration, warn_after: Duration) -> Self {
        let hang = (timeout / 4 * 3).saturating_sub(warn_after);
        Self { warn: warn_after, hang, act: timeout / 20 }
    }
}

impl Question {
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
            Hang::At(when) | Hang::Notified(when) => next.min(*when),
            Hang::Acted => next,
        }
    }

    /// Returns one action. Callers call it again for the next one. `runs` is false while the service starts, reloads or
    /// stops: it may have asked systemd for more time then.
    pub(crate) fn due(&mut self, now: Instant, deadlines: &Deadlines, runs: bool) -> Due {
        if now < self.wake_at(deadlines) {
            return Due::Nothing;
        }
        let Some(reported) = &mut self.reported else {
            self.reported = Some(Reported { last: now, hang: Hang::At(now + deadlines.hang) });
            return Due::Overdue;
        };
        match reported.hang {
            Hang::At(when) | Hang::Notified(when) if now >= when && !runs => {
                reported.hang = Hang::At(now + LOOK_AGAIN);
                Due::Nothing
            }
            Hang::At(when) if now >= when => {
                reported.hang = Hang::Notified(now + deadlines.act);
                Due::Hang
            }
            Hang::Notified(when) if now >= when => {
                reported.hang = Hang::Acted;
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

    /// The actions on an unanswered question, second by second. The service reloads until the second `reloads`.
    fn story(deadlines: &Deadlines, seconds: u32, reloads: u32) -> Vec<(u32, &'static str)> {
        let start = Instant::now();
        let mut question = Question::new(1, start);
        let mut story = Vec::new();
        for second in 0..seconds {
            let now = start + SECOND * second;
            while now >= question.wake_at(deadlines) {
                match question.due(now, deadlines, second >= reloads) {
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
        let mut question = Question::new(1, start);
        let thawed = start + SECOND * 3600;
        assert_eq!(question.due(thawed, &deadlines, true), Due::Overdue);
        assert_eq!(question.due(thawed, &deadlines, true), Due::Nothing);
        assert_eq!(question.wake_at(&deadlines), thawed + SECOND * 5);
    }
}
