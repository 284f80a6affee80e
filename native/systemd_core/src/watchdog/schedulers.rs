//! Which schedulers of the VM to wake, and which are stuck.
//!
//! An idle VM moves its work to one run queue: see `+scl` in erl(1). When native code blocks the scheduler of that
//! queue, the others sleep, and the VM does not wake them to take over the work. A message to a process that is bound
//! to a sleeping scheduler wakes it. After that process has run, the scheduler has nothing else to do, and steals work.
//! Such messages are sent while an answer is late or a scheduler is stuck. A scheduler is stuck if its process does not
//! run although other schedulers run.

use std::time::{Duration, Instant};

/// An answer that takes longer is late. With a short interval the limit is half of the interval.
const LATE: Duration = Duration::from_millis(50);
const BETWEEN_ROUNDS: Duration = Duration::from_millis(100);

/// A scheduler that has not run its process for this long is stuck, if others run.
const STUCK: Duration = Duration::from_secs(1);
/// Others run if one of them has run something at least this long ago. After a stop of the whole VM all schedulers
/// continue, but not all at the same moment.
const GRACE: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(crate) struct Schedulers {
    late: Duration,
    /// For each scheduler, the message that its process has not handled yet. Scheduler 1 is the first.
    sent: Vec<Option<Sent>>,
    last_round: Option<Instant>,
    /// Schedulers with higher numbers run nothing, see `schedulers_online` of erlang:system_flag/2.
    online: usize,
    /// The schedulers that had something to run when the owner last received a question.
    busy: Vec<usize>,
}

/// A message to the process that is bound to a scheduler.
#[derive(Debug, Clone, Copy)]
struct Sent {
    since: Instant,
    /// When another scheduler first ran something after that.
    others: Option<Instant>,
}

impl Sent {
    fn stuck_at(&self) -> Option<Instant> {
        self.others.map(|others| (self.since + STUCK).max(others + GRACE))
    }
}

impl Schedulers {
    pub(crate) fn new(count: usize, interval: Duration) -> Self {
        Self {
            late: LATE.min(interval / 2),
            sent: vec![None; count],
            last_round: None,
            online: 0,
            busy: Vec::new(),
        }
    }

    /// When to wake schedulers next, so that they take over the work of others: while the answer to the question that
    /// was sent at `asked` is late, or while a scheduler may be stuck.
    pub(crate) fn round_at(&self, asked: Option<Instant>) -> Option<Instant> {
        let late = asked.map(|asked| asked + self.late);
        let held_up = self.expected().filter(|(_, sent)| sent.others.is_some());
        let held_up = held_up.map(|(_, sent)| sent.since + BETWEEN_ROUNDS).min();
        let wanted = [late, held_up].into_iter().flatten().min()?;
        let next = self.last_round.map_or(wanted, |last| wanted.max(last + BETWEEN_ROUNDS));
        self.sent.iter().any(Option::is_none).then_some(next)
    }

    /// Returns the numbers of the schedulers to wake now: all that have handled their last message.
    pub(crate) fn round(&mut self, now: Instant) -> Vec<usize> {
        self.last_round = Some(now);
        (1..=self.sent.len()).filter(|&number| self.send(number, now)).collect()
    }

    /// Returns false if the scheduler has not handled its last message.
    fn send(&mut self, number: usize, now: Instant) -> bool {
        let index = number.checked_sub(1);
        let sent = index.and_then(|index| self.sent.get_mut(index)).filter(|sent| sent.is_none());
        sent.map(|sent| *sent = Some(Sent { since: now, others: None })).is_some()
    }

    /// Records that the scheduler has run its process.
    pub(crate) fn ran(&mut self, number: usize, now: Instant) {
        if let Some(sent) = number.checked_sub(1).and_then(|index| self.sent.get_mut(index)) {
            *sent = None;
        }
        self.one_runs(now);
    }

    /// Records that the owner runs on one scheduler, and that the others in `busy` have something to run. Returns the
    /// numbers of the schedulers to wake now: one that is busy for the second time may be stuck.
    pub(crate) fn run(&mut self, online: usize, busy: Vec<usize>, now: Instant) -> Vec<usize> {
        self.online = online;
        let again: Vec<_> = busy.iter().copied().filter(|it| self.busy.contains(it)).collect();
        self.busy = busy;
        let woken = again.into_iter().filter(|&number| self.send(number, now)).collect();
        self.one_runs(now);
        woken
    }

    fn one_runs(&mut self, now: Instant) {
        for sent in self.sent.iter_mut().flatten() {
            sent.others.get_or_insert(now);
        }
    }

    /// The schedulers that should have run their process.
    fn expected(&self) -> impl Iterator<Item = (usize, &Sent)> {
        let numbered = self.sent.iter().take(self.online).enumerate();
        numbered.filter_map(|(index, sent)| Some((index + 1, sent.as_ref()?)))
    }

    /// When the next scheduler will be stuck, apart from those in `known`.
    pub(crate) fn stuck_at(&self, known: &[usize]) -> Option<Instant> {
        let others = self.expected().filter(|(number, _)| !known.contains(number));
        others.filter_map(|(_, sent)| sent.stuck_at()).min()
    }

    /// The numbers of the stuck schedulers, and since when the first of them has run nothing.
    pub(crate) fn stuck(&self, now: Instant) -> Option<(Vec<usize>, Instant)> {
        let is_stuck = |sent: &Sent| sent.stuck_at().is_some_and(|at| now >= at);
        let stuck: Vec<_> = self.expected().filter(|(_, sent)| is_stuck(sent)).collect();
        let since = stuck.iter().map(|(_, sent)| sent.since).min()?;
        Some((stuck.into_iter().map(|(number, _)| number).collect(), since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[test]
    fn woken_again_when_they_have_run() {
        let start = Instant::now();
        let mut schedulers = Schedulers::new(3, MILLISECOND * 300);
        assert_eq!(schedulers.round_at(None), None);
        assert_eq!(schedulers.round_at(Some(start)), Some(start + LATE));
        assert_eq!(schedulers.round(start + LATE), [1, 2, 3]);
        assert_eq!(schedulers.round_at(Some(start)), None);
        schedulers.ran(2, start + LATE);
        schedulers.ran(0, start + LATE);
        schedulers.ran(4, start + LATE);
        assert_eq!(schedulers.round_at(Some(start)), Some(start + LATE + BETWEEN_ROUNDS));
        assert_eq!(schedulers.round(start + LATE + BETWEEN_ROUNDS), [2]);
        let short = Schedulers::new(3, MILLISECOND * 20);
        assert_eq!(short.round_at(Some(start)), Some(start + MILLISECOND * 10));
    }

    #[test]
    fn woken_while_one_is_stuck() {
        let start = Instant::now();
        let mut schedulers = Schedulers::new(2, MILLISECOND * 300);
        schedulers.run(2, Vec::new(), start);
        schedulers.round(start);
        schedulers.ran(1, start);
        // The question is answered, but scheduler 2 still runs nothing.
        assert_eq!(schedulers.round_at(None), Some(start + BETWEEN_ROUNDS));
        assert_eq!(schedulers.round(start + BETWEEN_ROUNDS), [1]);
        schedulers.ran(1, start + BETWEEN_ROUNDS);
        assert_eq!(schedulers.round_at(None), Some(start + BETWEEN_ROUNDS * 2));
        schedulers.ran(2, start + BETWEEN_ROUNDS);
        assert_eq!(schedulers.round_at(None), None);
    }

    #[test]
    fn one_is_stuck_when_another_runs() {
        let start = Instant::now();
        let mut schedulers = Schedulers::new(4, MILLISECOND * 300);
        schedulers.round(start);
        // No scheduler runs: the whole VM does not answer, and none counts as stuck.
        assert_eq!(schedulers.stuck_at(&[]), None);
        schedulers.ran(1, start);
        schedulers.ran(3, start);
        schedulers.run(3, Vec::new(), start + MILLISECOND);
        assert_eq!(schedulers.stuck_at(&[]), Some(start + STUCK));
        assert_eq!(schedulers.stuck_at(&[2]), None);
        assert_eq!(schedulers.stuck(start + STUCK / 2), None);
        // Scheduler 4 is not online.
        assert_eq!(schedulers.stuck(start + STUCK), Some((vec![2], start)));
        schedulers.run(1, Vec::new(), start + STUCK);
        assert_eq!(schedulers.stuck(start + STUCK), None);
        schedulers.run(4, Vec::new(), start + STUCK);
        assert_eq!(schedulers.stuck(start + STUCK), Some((vec![2, 4], start)));
        schedulers.ran(2, start + STUCK);
        schedulers.ran(4, start + STUCK);
        assert_eq!(schedulers.stuck(start + STUCK * 2), None);
    }

    #[test]
    fn one_that_is_busy_again_is_woken() {
        let start = Instant::now();
        let mut schedulers = Schedulers::new(4, MILLISECOND * 300);
        assert_eq!(schedulers.run(4, vec![1, 2], start), []);
        assert_eq!(schedulers.run(4, vec![2, 3, 9, 0], start), [2]);
        assert_eq!(schedulers.run(4, vec![2, 3, 9, 0], start), [3]);
        schedulers.ran(3, start);
        assert_eq!(schedulers.stuck(start + STUCK), Some((vec![2], start)));
        assert_eq!(schedulers.round_at(None), Some(start + BETWEEN_ROUNDS));
    }

    #[test]
    fn none_is_stuck_when_all_go_on() {
        let start = Instant::now();
        let mut schedulers = Schedulers::new(2, MILLISECOND * 300);
        schedulers.run(2, Vec::new(), start);
        schedulers.round(start + MILLISECOND);
        let end = start + STUCK * 3;
        schedulers.ran(1, end);
        assert_eq!(schedulers.stuck(end), None);
        assert_eq!(schedulers.stuck_at(&[]), Some(end + GRACE));
        schedulers.ran(2, end + MILLISECOND);
        assert_eq!(schedulers.stuck(end + STUCK), None);
    }
}
