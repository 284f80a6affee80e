//! How many threads may wait at a time.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Waiting threads come from a pool that others need too: the VM reads its files with it.
const MOST_WAITING: usize = 4;

/// The places that threads can wait at.
#[derive(Debug, Default)]
pub struct Places(AtomicUsize);

impl Places {
    /// `None` when all are taken.
    pub fn take(&self) -> Option<Place<'_>> {
        let place = Place(&self.0);
        (self.0.fetch_add(1, Ordering::AcqRel) < MOST_WAITING).then_some(place)
    }
}

/// Given back when it is dropped.
#[derive(Debug)]
pub struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
