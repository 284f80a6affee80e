//! What this process has told the manager of its life.

use std::sync::atomic::{AtomicU8, Ordering};

/// What the manager may have been told so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Announcement {
    /// `READY=1`
    Ready = 1,
    /// `STOPPING=1`
    Stopping = 2,
    /// Any `STATUS=`
    Status = 4,
    /// `RELOADING=1`, until the next `READY=1`
    Reloading = 8,
}

/// The [`Announcement`]s of this process. One byte, which is all that several copies of this library share.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct Announced(AtomicU8);

impl Announced {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self(AtomicU8::new(0))
    }

    /// As in a process that has announced nothing.
    pub fn forget(&self) {
        self.0.store(0, Ordering::Release);
    }

    /// Whether it was announced.
    pub fn has(&self, announcement: Announcement) -> bool {
        self.0.load(Ordering::Acquire) & announcement as u8 != 0
    }

    pub(crate) fn add(&self, announcements: u8) {
        let is = |announcement| announcements & announcement as u8 != 0;
        if is(Announcement::Ready) && !is(Announcement::Reloading) {
            self.0.fetch_and(!(Announcement::Reloading as u8), Ordering::Release);
        }
        // Mostly it was announced before, and looking costs less than writing.
        if announcements & !self.0.load(Ordering::Acquire) != 0 {
            self.0.fetch_or(announcements, Ordering::Release);
        }
    }
}
