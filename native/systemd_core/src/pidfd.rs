//! Tells this process apart from every other process since boot, also from one with the same PID.

use nix::errno::Errno;
use nix::libc;
use nix::sys::stat::fstat;
use nix::sys::statfs::{FsType, fstatfs};
use nix::unistd::{Pid, getpid};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// `PID_FS_MAGIC` in linux/magic.h. Before Linux 6.9, all pidfds share one inode of another file system.
const PIDFS: FsType = FsType(0x5049_4446);

/// The inode of a pidfd of this process. `None` if the kernel does not give each process its own inode.
pub fn own_pidfd_id() -> Option<u64> {
    pidfd_id(getpid())
}

fn pidfd_id(pid: Pid) -> Option<u64> {
    let pidfd = open(pid).ok()?;
    let is_unique = fstatfs(&pidfd).is_ok_and(|statfs| statfs.filesystem_type() == PIDFS);
    is_unique.then(|| fstat(&pidfd).ok().map(|stat| stat.st_ino)).flatten()
}

fn open(pid: Pid) -> Result<OwnedFd, Errno> {
    // SAFETY: the arguments are only numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    let fd = RawFd::try_from(Errno::result(fd)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just opened this descriptor, close-on-exec, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn another_process_has_another() {
        let mut other = Command::new("sleep").arg("60").spawn().unwrap();
        let id = pidfd_id(Pid::from_raw(other.id().cast_signed()));
        if let Some(own) = own_pidfd_id() {
            assert_eq!(own_pidfd_id(), Some(own));
            assert!(id.is_some_and(|id| id != own));
        }
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
