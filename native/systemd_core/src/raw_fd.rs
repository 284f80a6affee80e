//! Descriptors of which only the number is known.

use crate::errno::errno_of;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::dup3_raw;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};

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

/// The number becomes one more descriptor of that file, close-on-exec.
pub(crate) fn replace_file(fd: RawFd, by: impl AsFd) -> Result<(), Errno> {
    // SAFETY: the number goes on to be an open descriptor, and the system call changes it at once.
    let fd = unsafe { dup3_raw(by, fd, OFlag::O_CLOEXEC) }?;
    let _ = fd.into_raw_fd();
    Ok(())
}
