//! The byte that all loaded copies of this library share.

use std::sync::atomic::{AtomicPtr, Ordering};
use systemd_core::Announced;

static ANNOUNCED: AtomicPtr<Announced> = AtomicPtr::new(std::ptr::null_mut());

pub fn announced() -> &'static Announced {
    // SAFETY: `share` has stored a valid pointer before the VM can call any function of this library.
    unsafe { &*ANNOUNCED.load(Ordering::Acquire) }
}

/// Returns the byte that an earlier copy has allocated, or allocates it.
///
/// # Safety
///
/// `former` must be null, or a pointer that this function has returned in any copy of the library.
pub unsafe fn share(former: *mut Announced) -> *mut Announced {
    let shared = if former.is_null() { Box::leak(Box::default()) } else { former };
    ANNOUNCED.store(shared, Ordering::Release);
    shared
}
