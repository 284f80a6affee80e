//! What tells this process from every other one since the machine has started.

use nix::errno::Errno;
use nix::libc;
use nix::sys::stat::fstat;
use nix::sys::statfs::{FsType, fstatfs};
use nix::unistd::getpid;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// `PID_FS_MAGIC` of linux/magic.h. Before Linux 6.9 all pidfds have one inode, of another file system.
const PIDFS: FsType = FsType(0x5049_4446);

/// The inode of a pidfd of this process; `None` where that is not its own.
pub(crate) fn own_pidfd_id() -> Option<u64> {
    let pidfd = own_pidfd().ok()?;
    let is_unique = fstatfs(&pidfd).is_ok_and(|statfs| statfs.filesystem_type() == PIDFS);
    is_unique.then(|| fstat(&pidfd).ok().map(|stat| stat.st_ino)).flatten()
}

fn own_pidfd() -> Result<OwnedFd, Errno> {
    // SAFETY: the system call is given numbers only.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, getpid().as_raw(), 0) };
    let fd = RawFd::try_from(Errno::result(fd)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just opened it, close-on-exec, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn another_process_has_another() {
        let script = "import os
for pid in os.getppid(), os.getpid(): print(os.fstat(os.pidfd_open(pid)).st_ino)";
        let output = Command::new("python3").args(["-c", script]).output().unwrap();
        let output = String::from_utf8(output.stdout).unwrap();
        let ids: Vec<u64> = output.lines().map(|id| id.parse().unwrap()).collect();
        if let Some(own) = own_pidfd_id() {
            assert_eq!(ids[0], own);
            assert_ne!(ids[1], own);
        }
    }
}
