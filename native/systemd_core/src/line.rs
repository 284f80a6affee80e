//! Who waits for the journal, in the order of their coming.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A line of those who wait. The first few may hold a thread each; the others wait for their turn
/// without one, because such threads come from a pool that others need too.
#[derive(Debug)]
pub struct Line<Who> {
    waiting: Mutex<VecDeque<(u64, Who)>>,
    long: AtomicBool,
    last: AtomicU64,
}

/// How many may wait in a thread at a time.
const FIRST: usize = 4;

impl<Who: Copy> Line<Who> {
    /// Joins at the end: a number to leave with, and whether it is among the first already.
    pub fn join(&self, who: Who) -> (u64, bool) {
        let mut waiting = self.lock();
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        waiting.push_back((number, who));
        self.long.store(waiting.len() >= FIRST, Ordering::Release);
        (number, waiting.len() <= FIRST)
    }

    /// Leaves, wherever it stands by now; once is enough. Calls `wake` with the one that is among
    /// the first by that. Who leaves after having been woken knows of it by then.
    pub fn leave(&self, number: u64, wake: impl FnOnce(u64, Who)) {
        let mut waiting = self.lock();
        let Some(place) = waiting.iter().position(|&(other, _)| other == number) else { return };
        waiting.remove(place);
        self.long.store(waiting.len() >= FIRST, Ordering::Release);
        if let Some(&(next, who)) = waiting.get(FIRST - 1).filter(|_| place < FIRST) {
            wake(next, who);
        }
    }

    /// Whether one who joins would not be among the first: one who passed it would be pushing in.
    pub fn is_long(&self) -> bool {
        self.long.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(u64, Who)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Who> Default for Line<Who> {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            long: AtomicBool::default(),
            last: AtomicU64::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn woken<Who: Copy>(line: &Line<Who>, number: u64) -> Option<(u64, Who)> {
        let mut woken = None;
        line.leave(number, |next, who| woken = Some((next, who)));
        woken
    }

    #[test]
    fn four_are_first_and_then_the_next_in_line() {
        let line = Line::default();
        assert!(!line.is_long());
        let numbers: Vec<_> =
            ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map(|who| line.join(who)).into();
        let first: Vec<_> = numbers.iter().map(|&(_, first)| first).collect();
        assert_eq!(first, [true, true, true, true, false, false, false]);
        let number = |index: usize| numbers[index].0;
        let leave = |number| woken(&line, number);
        // From the middle of the first, from the end, twice, and one that never was.
        assert_eq!(leave(number(1)), Some((number(4), 'e')));
        assert_eq!(leave(number(6)), None);
        assert_eq!(leave(number(1)), None);
        assert_eq!(leave(99), None);
        assert_eq!(leave(number(0)), Some((number(5), 'f')));
        for index in [2, 3, 4, 5] {
            assert_eq!(line.is_long(), index == 2);
            assert_eq!(leave(number(index)), None);
        }
    }

    proptest! {
        #[test]
        fn everybody_is_first_once_before_it_leaves_from_there(leaves in prop::collection::vec(0usize..20, 0..200)) {
            let line = Line::default();
            let mut standing: Vec<u64> = Vec::new();
            let mut first = std::collections::HashSet::new();
            for leave in leaves {
                if leave < standing.len() {
                    let number = standing.remove(leave);
                    if let Some((next, ())) = woken(&line, number) {
                        prop_assert!(first.insert(next));
                    }
                } else {
                    let (number, is_first) = line.join(());
                    standing.push(number);
                    if is_first {
                        prop_assert!(first.insert(number));
                    }
                }
                prop_assert!(standing.iter().take(FIRST).all(|number| first.contains(number)));
                prop_assert_eq!(line.is_long(), standing.len() >= FIRST);
            }
        }
    }
}
