//! Which states of its lifecycle this process has reported to systemd.

use std::sync::atomic::{AtomicU8, Ordering};

/// A state that this process may have reported to systemd.
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

/// The set of [`Announcement`]s that this process has sent. It is one byte, and the only thing that several loaded
/// copies of this library share.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct Announced(AtomicU8);

impl Announced {
    /// The empty set.
    pub const fn new() -> Self {
        Self(AtomicU8::new(0))
    }

    /// Clears the set.
    pub fn forget(&self) {
        self.0.store(0, Ordering::Release);
    }

    /// Whether this process has sent the announcement.
    pub fn has(&self, announcement: Announcement) -> bool {
        self.0.load(Ordering::Acquire) & announcement as u8 != 0
    }

    pub(crate) fn add(&self, announcements: u8) {
        let is = |announcement| announcements & announcement as u8 != 0;
        if is(Announcement::Ready) && !is(Announcement::Reloading) {
            self.0.fetch_and(!(Announcement::Reloading as u8), Ordering::Release);
        }
        // Most announcements are in the set already, and an atomic load costs less than an atomic write.
        if announcements & !self.0.load(Ordering::Acquire) != 0 {
            self.0.fetch_or(announcements, Ordering::Release);
        }
    }
}
