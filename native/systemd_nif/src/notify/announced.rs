//! The byte that all copies of this library in a VM share.

use std::sync::atomic::{AtomicPtr, Ordering};
use systemd_core::Announced;

static ANNOUNCED: AtomicPtr<Announced> = AtomicPtr::new(std::ptr::null_mut());

/// What this process has announced.
pub fn announced() -> &'static Announced {
    // SAFETY: what `share` has returned, before the VM could call any function of this library.
    unsafe { &*ANNOUNCED.load(Ordering::Acquire) }
}

/// The byte that a former copy has made, or a new one.
///
/// # Safety
///
/// It must be null, or what this function has returned, in any copy.
pub unsafe fn share(former: *mut Announced) -> *mut Announced {
    let shared = if former.is_null() { Box::leak(Box::default()) } else { former };
    ANNOUNCED.store(shared, Ordering::Release);
    shared
}
