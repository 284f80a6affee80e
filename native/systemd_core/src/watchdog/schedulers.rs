//! The schedulers of the VM: woken while an answer is outstanding or one of them is stuck, and which that is.
//!
//! The work of an idle VM collapses onto one run queue. When native code holds the scheduler of that queue, the others
//! sleep, and nobody wakes them to take the work. A message to a process that is bound to one of them does: it finds
//! nothing else to do, and steals.

use std::time::{Duration, Instant};

/// An answer is late so long after the question, or after half of an interval that is short.
const LATE: Duration = Duration::from_millis(50);
const BETWEEN_ROUNDS: Duration = Duration::from_millis(100);

/// One that runs nothing for so long is stuck,
const STUCK: Duration = Duration::from_secs(1);
/// when another one has run something so long ago: after a stop of the whole VM they go on one after the other.
const GRACE: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(crate) struct Schedulers {
    late: Duration,
    /// What each has not run yet, by its number less one.
    sent: Vec<Option<Sent>>,
    last_round: Option<Instant>,
    /// So many of them are to run what they are given.
    online: usize,
    /// The numbers of those that had something to run when a question was taken up last.
    busy: Vec<usize>,
}

/// A message to the process on a scheduler.
#[derive(Debug, Clone, Copy)]
struct Sent {
    since: Instant,
    /// Another scheduler has run something.
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

    /// When to wake those that have run what they were sent: because of a question that was asked then, or because one
    /// runs nothing, so that all that waits for it is taken by the others.
    pub(crate) fn round_at(&self, asked: Option<Instant>) -> Option<Instant> {
        let late = asked.map(|asked| asked + self.late);
        let held_up = self.expected().filter(|(_, sent)| sent.others.is_some());
        let held_up = held_up.map(|(_, sent)| sent.since + BETWEEN_ROUNDS).min();
        let wanted = [late, held_up].into_iter().flatten().min()?;
        let next = self.last_round.map_or(wanted, |last| wanted.max(last + BETWEEN_ROUNDS));
        self.sent.iter().any(Option::is_none).then_some(next)
    }

    /// The numbers of those to wake now.
    pub(crate) fn round(&mut self, now: Instant) -> Vec<usize> {
        self.last_round = Some(now);
        (1..=self.sent.len()).filter(|&number| self.send(number, now)).collect()
    }

    /// False where it has not run what it was sent before.
    fn send(&mut self, number: usize, now: Instant) -> bool {
        let index = number.checked_sub(1);
        let sent = index.and_then(|index| self.sent.get_mut(index)).filter(|sent| sent.is_none());
        sent.map(|sent| *sent = Some(Sent { since: now, others: None })).is_some()
    }

    /// One has run what it was sent.
    pub(crate) fn ran(&mut self, number: usize, now: Instant) {
        if let Some(sent) = number.checked_sub(1).and_then(|index| self.sent.get_mut(index)) {
            *sent = None;
        }
        self.one_runs(now);
    }

    /// A scheduler takes up a question. So many are to run, and of the others these have something to run. Gives the
    /// numbers of those to wake now: what is busy the second time may be stuck.
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

    fn expected(&self) -> impl Iterator<Item = (usize, &Sent)> {
        let numbered = self.sent.iter().take(self.online).enumerate();
        numbered.filter_map(|(index, sent)| Some((index + 1, sent.as_ref()?)))
    }

    /// When the first one, apart from these, is stuck, unless it runs something before.
    pub(crate) fn stuck_at(&self, known: &[usize]) -> Option<Instant> {
        let others = self.expected().filter(|(number, _)| !known.contains(number));
        others.filter_map(|(_, sent)| sent.stuck_at()).min()
    }

    /// Their numbers, and since when the first one of them has run nothing.
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
        // The question is answered, and the second one still runs nothing.
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
        // All are, or none: the VM as a whole has no answer.
        assert_eq!(schedulers.stuck_at(&[]), None);
        schedulers.ran(1, start);
        schedulers.ran(3, start);
        schedulers.run(3, Vec::new(), start + MILLISECOND);
        assert_eq!(schedulers.stuck_at(&[]), Some(start + STUCK));
        assert_eq!(schedulers.stuck_at(&[2]), None);
        assert_eq!(schedulers.stuck(start + STUCK / 2), None);
        // The fourth is not online.
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
