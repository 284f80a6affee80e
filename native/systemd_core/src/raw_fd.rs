//! Descriptors of which only the number is known.

use crate::errno::errno_of;
use nix::errno::Errno;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

/// For a single system call. `EBADF` for a number that none can have.
pub(crate) fn borrow<'a>(fd: RawFd) -> Result<BorrowedFd<'a>, Errno> {
    if fd < 0 {
        return Err(Errno::EBADF);
    }
    // SAFETY: the callers ask the kernel about it, which refuses one that is not open.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// One more descriptor of the same file, close-on-exec. `EBADF` for one that is not open.
pub fn duplicate(fd: RawFd) -> Result<OwnedFd, Errno> {
    borrow(fd)?.try_clone_to_owned().map_err(errno_of)
}
