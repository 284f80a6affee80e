//! State that outlives this process: each piece under a name, in a sealed memfd. The manager's
//! store has one descriptor of it, this process another.
//!
//! That other one is found by the name of its file in `/proc/self/fd`: one that the manager
//! handed over, and after a restart of the VM in place one that was stored before it.

use crate::errno::errno_of;
use crate::fd_name::FdName;
use crate::listen_fds::{is_handed_over, release};
use crate::memfd::sealed;
use crate::notifier::Sent;
use crate::raw_fd::borrow;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, SealFlag, fcntl};
use nix::unistd::dup3;
use std::collections::BTreeMap;
use std::fs::{File, read_dir, read_link};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

const PREFIX: &str = "systemd-term:";

type Terms = BTreeMap<Vec<u8>, OwnedFd>;

/// `None` until they have been looked for.
static TERMS: Mutex<Option<Terms>> = Mutex::new(None);

/// A file with these bytes, for [`keep`]. `EINVAL` for a name of more than 236 bytes.
pub fn file(name: FdName<'_>, bytes: &[u8]) -> Result<OwnedFd, Errno> {
    // Whoever looks for files must not take this one for left over.
    with_terms(|_| Ok(()))?;
    sealed(&format!("{PREFIX}{}", String::from_utf8_lossy(name.as_bytes())), bytes)
}

/// Has `send` send the file to the manager's store, and then keeps it for [`fetch`]. One at a time, so
/// that what is kept is what was sent last: `send` must not wait.
pub fn keep(
    name: FdName<'_>,
    file: &OwnedFd,
    send: impl FnOnce() -> Result<Sent, Errno>,
) -> Result<Sent, Errno> {
    with_terms(|terms| {
        let kept = file.try_clone().map_err(errno_of)?;
        let sent = send()?;
        if sent == Sent::Done {
            match terms.get_mut(name.as_bytes()) {
                Some(slot) => dup3(&kept, slot, OFlag::O_CLOEXEC)?,
                None => drop(terms.insert(name.as_bytes().to_vec(), kept)),
            }
        }
        Ok(sent)
    })
}

/// What was kept last under that name, by this process or by the one before it.
pub fn fetch(name: FdName<'_>) -> Result<Option<Vec<u8>>, Errno> {
    let file = with_terms(|terms| {
        terms.get(name.as_bytes()).map(OwnedFd::try_clone).transpose().map_err(errno_of)
    })?;
    file.map(|file| read(file.into())).transpose()
}

/// [`fetch`] finds nothing from now on.
pub fn forget(name: FdName<'_>) -> Result<(), Errno> {
    with_terms(|terms| terms.remove(name.as_bytes()).map_or(Ok(()), discard))
}

/// The lock is held for a few system calls that don't wait.
fn with_terms<T>(action: impl FnOnce(&mut Terms) -> Result<T, Errno>) -> Result<T, Errno> {
    let mut terms = TERMS.lock().unwrap_or_else(PoisonError::into_inner);
    match &mut *terms {
        Some(terms) => action(terms),
        None => action(terms.insert(find())),
    }
}

fn find() -> Terms {
    let mut found = BTreeMap::new();
    for entry in read_dir("/proc/self/fd").into_iter().flatten().flatten() {
        let link = read_link(entry.path()).unwrap_or_default();
        let name = link.as_os_str().as_bytes();
        let name =
            name.strip_prefix(b"/memfd:").and_then(|name| name.strip_suffix(b" (deleted)"));
        let Some(name) = name.and_then(|name| name.strip_prefix(PREFIX.as_bytes())) else {
            continue;
        };
        let fd = entry.file_name().to_str().and_then(|fd| fd.parse().ok());
        if let Some(fd) = fd.filter(|&fd: &RawFd| is_ours(fd)) {
            found.insert(fd, name.to_vec());
        }
    }
    let mut terms = Terms::new();
    for (fd, name) in found {
        // The manager hands the newest of a name over first.
        // SAFETY: nobody else opens such a file for writing, see `is_ours`.
        terms.entry(name).or_insert_with(|| unsafe { OwnedFd::from_raw_fd(fd) });
    }
    terms
}

/// Sealed, and open for writing as memfd_create(2) does it: one that somebody opened to read it isn't.
fn is_ours(fd: RawFd) -> bool {
    let Ok(fd) = borrow(fd) else { return false };
    let access = fcntl(fd, FcntlArg::F_GETFL)
        .map(|flags| OFlag::from_bits_truncate(flags) & OFlag::O_ACCMODE);
    if access != Ok(OFlag::O_RDWR) {
        return false;
    }
    let seals = fcntl(fd, FcntlArg::F_GET_SEALS).map(SealFlag::from_bits_truncate);
    seals.is_ok_and(|seals| seals.contains(SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SHRINK))
        && fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).is_ok()
}

fn read(file: File) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; file.metadata().map_err(errno_of)?.len() as usize];
    file.read_exact_at(&mut bytes, 0).map_err(errno_of)?;
    Ok(bytes)
}

fn discard(fd: OwnedFd) -> Result<(), Errno> {
    if is_handed_over(fd.as_raw_fd()) { release(fd.into_raw_fd()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> FdName<'_> {
        FdName::parse(name.as_bytes()).unwrap()
    }

    fn store(of: &str, bytes: &[u8], sent: Result<Sent, Errno>) -> Result<Sent, Errno> {
        keep(name(of), &file(name(of), bytes)?, || sent)
    }

    fn kept(of: &str, bytes: &[u8]) {
        assert_eq!(store(of, bytes, Ok(Sent::Done)), Ok(Sent::Done));
    }

    fn fetched(of: &str) -> Option<Vec<u8>> {
        fetch(name(of)).unwrap()
    }

    /// All in one test: other threads would share the descriptors.
    #[test]
    fn the_last_one_is_fetched_also_by_those_who_look_for_it_anew() {
        kept("state", b"one");
        kept("state", b"two");
        kept("other", &vec![7; 5_000_000]);
        assert_eq!(fetched("state").as_deref(), Some(&b"two"[..]));

        for fd in TERMS.lock().unwrap().as_ref().unwrap().values() {
            assert_eq!(fcntl(fd, FcntlArg::F_GETFD), Ok(FdFlag::FD_CLOEXEC.bits()));
        }
        // As after a restart in place: the descriptors are all that is left.
        for (_, fd) in TERMS.lock().unwrap().take().unwrap() {
            let _ = fd.into_raw_fd();
        }
        assert_eq!(fetched("state").as_deref(), Some(&b"two"[..]));
        assert_eq!(fetched("other").map(|bytes| bytes.len()), Some(5_000_000));

        // A reader's own descriptor is left alone.
        let file = sealed(&format!("{PREFIX}state"), b"two").unwrap();
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let reader = File::open(path).unwrap();
        assert!(!is_ours(reader.as_raw_fd()));
        drop(file);

        forget(name("state")).unwrap();
        forget(name("state")).unwrap();
        assert_eq!(fetched("state"), None);
        let found = std::mem::ManuallyDrop::new(find());
        assert!(found.keys().eq([b"other"]));

        let longest = "n".repeat(236);
        kept(&longest, b"");
        assert_eq!(fetched(&longest), Some(vec![]));
        let too_long = "n".repeat(237);
        assert_eq!(store(&too_long, b"", Ok(Sent::Done)), Err(Errno::EINVAL));
        // What was not sent is not kept.
        assert_eq!(store("failed", b"", Err(Errno::ENOENT)), Err(Errno::ENOENT));
        assert_eq!(store("failed", b"", Ok(Sent::NotYet)), Ok(Sent::NotYet));
        assert_eq!(fetched("failed"), None);
    }
}
