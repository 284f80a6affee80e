//! Descriptors that are known only by number.

use crate::errno::errno_of;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::dup3_raw;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

/// Borrows a descriptor for a single system call. Fails with `EBADF` for a negative number.
pub(crate) fn borrow<'a>(fd: RawFd) -> Result<BorrowedFd<'a>, Errno> {
    if fd < 0 {
        return Err(Errno::EBADF);
    }
    // SAFETY: the callers only use it in system calls, and the kernel rejects a descriptor that is not open.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Duplicates a descriptor, close-on-exec. Fails with `EBADF` if it is not open.
pub fn duplicate(fd: RawFd) -> Result<OwnedFd, Errno> {
    borrow(fd)?.try_clone_to_owned().map_err(errno_of)
}

/// Opens `file` once more with the number `fd`, close-on-exec. Fails with `EBADF` if another file has that number.
pub(crate) fn open_as(fd: RawFd, file: impl AsFd) -> Result<(), Errno> {
    let lowest_free = fcntl(file, FcntlArg::F_DUPFD_CLOEXEC(fd))?;
    // SAFETY: the kernel has just opened it, and nothing else owns it.
    let opened = unsafe { OwnedFd::from_raw_fd(lowest_free) };
    if lowest_free != fd {
        return Err(Errno::EBADF);
    }
    let _ = opened.into_raw_fd();
    Ok(())
}

/// Makes the descriptor `fd` refer to the file of `by`, close-on-exec.
pub(crate) fn replace_file(fd: RawFd, by: impl AsFd) -> Result<(), Errno> {
    // SAFETY: the number stays an open descriptor, and the system call replaces its file atomically: see dup2(2).
    let fd = unsafe { dup3_raw(by, fd, OFlag::O_CLOEXEC) }?;
    let _ = fd.into_raw_fd();
    Ok(())
}
