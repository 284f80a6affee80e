//! State that outlives this process. Each term has a name, and is in a sealed memfd. systemd's descriptor store holds
//! one descriptor of it, and this process another one.
//!
//! The second descriptor belongs to the process and not to this library: it outlives an upgrade, and a restart of the
//! VM in place. It is found by the name of its file in `/proc/self/fd`. Its number alone identifies nothing, because
//! other code may have closed it, also another copy of this library. So it is used only after a check that it still has
//! the recorded file. A file that is being sent to systemd is not sealed yet, so nobody finds it.

use super::fd_name::FdName;
use super::listen_fds::{is_handed_over, release};
use crate::errno::errno_of;
use crate::memfd;
use crate::raw_fd::{borrow, duplicate, replace_file};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::fstat;
use nix::unistd::close;
use std::fs::{File, read_dir, read_link};
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

const PREFIX: &str = "systemd-term:";

/// Serializes all operations on stored terms by this copy of the library.
static TERMS: Mutex<()> = Mutex::new(());

/// A descriptor, and the file that it had when it was found.
#[derive(Debug, Clone, Copy)]
struct Kept {
    fd: RawFd,
    file: Identity,
}

/// Device and inode of a file.
type Identity = (libc::dev_t, libc::ino_t);

/// A term that is being sent to systemd.
#[derive(Debug)]
pub struct Incoming {
    file: OwnedFd,
    before: Option<Kept>,
}

impl Incoming {
    /// Fails with `EINVAL` for a name of more than 236 bytes: memfd_create(2) allows 249, and the prefix has 13.
    pub fn new(name: FdName<'_>, bytes: &[u8]) -> Result<Self, Errno> {
        let file =
            memfd::with(&format!("{PREFIX}{}", String::from_utf8_lossy(name.as_bytes())), bytes)?;
        Ok(Self { file, before: None })
    }

    /// Finds the descriptor of an earlier term. Called before sending, so that nothing is sent if it fails.
    pub fn find_before(&mut self, name: FdName<'_>) -> Result<(), Errno> {
        let _guard = lock();
        self.before = find(name)?;
        Ok(())
    }

    /// The descriptor to send.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Called after the term was sent to systemd. [`fetch`] finds it from now on.
    pub fn keep(self) -> Result<(), Errno> {
        let _guard = lock();
        match self.before.filter(Kept::is_there) {
            None => {
                memfd::seal(&self.file)?;
                let _ = self.file.into_raw_fd();
            }
            Some(Kept { fd, .. }) => {
                replace_file(fd, self.file)?;
                memfd::seal(borrow(fd)?)?;
            }
        }
        Ok(())
    }

    /// Called if systemd has removed the earlier term but did not receive this one. [`fetch`] finds neither from now
    /// on.
    pub fn give_up(self) {
        let _guard = lock();
        if let Some(before) = self.before {
            let _ = before.discard();
        }
    }
}

/// Returns the term that this process, or the one before it, has last kept under this name.
pub fn fetch(name: FdName<'_>) -> Result<Option<Vec<u8>>, Errno> {
    let file = {
        let _guard = lock();
        find(name)?.map(|kept| duplicate(kept.fd)).transpose()?
    };
    file.map(|file| read(file.into())).transpose()
}

/// Removes the term from this process: [`fetch`] finds nothing from now on.
pub fn forget(name: FdName<'_>) -> Result<(), Errno> {
    let _guard = lock();
    // systemd may have passed several descriptors with one name.
    while let Some(kept) = find(name)? {
        kept.discard()?;
    }
    Ok(())
}

fn lock() -> MutexGuard<'static, ()> {
    TERMS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Kept {
    fn is_there(&self) -> bool {
        identity(self.fd) == Ok(self.file)
    }

    fn discard(self) -> Result<(), Errno> {
        if !self.is_there() {
            Ok(())
        } else if is_handed_over(self.fd) {
            release(self.fd)
        } else {
            close(self.fd)
        }
    }
}

/// Finds the descriptor with the lowest number: of several with one name, systemd passes the newest first.
fn find(name: FdName<'_>) -> Result<Option<Kept>, Errno> {
    let file = [b"/memfd:", PREFIX.as_bytes(), name.as_bytes(), b" (deleted)"].concat();
    let is_it =
        |path: &Path| read_link(path).is_ok_and(|link| link.as_os_str().as_bytes() == file);
    let entries = match read_dir("/proc/self/fd").map_err(errno_of) {
        // Without /proc nothing can be found, and nothing was kept.
        Err(Errno::ENOENT) => return Ok(None),
        entries => entries?,
    };
    let numbers = entries
        .flatten()
        .filter(|entry| is_it(&entry.path()))
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|&fd| is_kept(fd));
    Ok(numbers.min().and_then(|fd| Some(Kept { fd, file: identity(fd).ok()? })))
}

/// Whether the file is sealed or was passed by systemd, and is open for reading and writing, as memfd_create(2) opens
/// it. The descriptor of a program that has opened the file only to read it doesn't count.
fn is_kept(fd: RawFd) -> bool {
    let Ok(file) = borrow(fd) else { return false };
    let access = fcntl(file, FcntlArg::F_GETFL).map(OFlag::from_bits_truncate);
    access.is_ok_and(|flags| flags & OFlag::O_ACCMODE == OFlag::O_RDWR)
        && (memfd::is_sealed(file) || is_handed_over(fd))
}

fn identity(fd: RawFd) -> Result<Identity, Errno> {
    let stat = fstat(borrow(fd)?)?;
    Ok((stat.st_dev, stat.st_ino))
}

fn read(file: File) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; file.metadata().map_err(errno_of)?.len() as usize];
    file.read_exact_at(&mut bytes, 0).map_err(errno_of)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    fn name(name: &str) -> FdName<'_> {
        FdName::parse(name.as_bytes()).unwrap()
    }

    fn incoming(of: &str, bytes: &[u8]) -> Incoming {
        let mut incoming = Incoming::new(name(of), bytes).unwrap();
        incoming.find_before(name(of)).unwrap();
        incoming
    }

    fn kept(of: &str, bytes: &[u8]) {
        incoming(of, bytes).keep().unwrap();
    }

    fn fetched(of: &str) -> Option<Vec<u8>> {
        fetch(name(of)).unwrap()
    }

    fn number(of: &str) -> Option<RawFd> {
        find(name(of)).unwrap().map(|kept| kept.fd)
    }

    #[test]
    fn the_last_one_is_fetched() {
        kept("state", b"one");
        let first = number("state");
        kept("state", b"two");
        kept("other", &vec![7; 5_000_000]);
        assert_eq!(fetched("state").as_deref(), Some(&b"two"[..]));
        assert_eq!(fetched("other").map(|bytes| bytes.len()), Some(5_000_000));
        assert_eq!(number("state"), first);

        forget(name("state")).unwrap();
        forget(name("state")).unwrap();
        assert_eq!(fetched("state"), None);
        forget(name("other")).unwrap();

        let longest = "n".repeat(236);
        kept(&longest, b"");
        assert_eq!(fetched(&longest), Some(vec![]));
        forget(name(&longest)).unwrap();
        assert_eq!(Incoming::new(name(&"n".repeat(237)), b"").unwrap_err(), Errno::EINVAL);
    }

    #[test]
    fn one_on_its_way_is_not_found_and_one_that_is_given_up_leaves_nothing() {
        kept("way", b"one");
        let on_its_way = incoming("way", b"two");
        assert_eq!(fetched("way").as_deref(), Some(&b"one"[..]));
        forget(name("way")).unwrap();
        assert_eq!(fetched("way"), None);
        on_its_way.keep().unwrap();
        assert_eq!(fetched("way").as_deref(), Some(&b"two"[..]));

        incoming("way", b"three").give_up();
        assert_eq!(fetched("way"), None);
    }

    #[test]
    fn a_number_that_is_another_file_by_now_is_left_alone() {
        kept("taken", b"one");
        let (stays, gone) = (incoming("taken", b"two"), incoming("taken", b"three"));
        // As if another copy of this library had closed the descriptor, and other code had got its number.
        let fd = number("taken").unwrap();
        replace_file(fd, File::open("/dev/null").unwrap()).unwrap();
        let stranger = identity(fd);
        gone.give_up();
        stays.keep().unwrap();
        assert_eq!(identity(fd), stranger);
        assert_eq!(fetched("taken").as_deref(), Some(&b"two"[..]));
        forget(name("taken")).unwrap();
        assert_eq!(identity(fd), stranger);
        close(fd).unwrap();
    }

    #[test]
    fn a_readers_own_descriptor_is_left_alone() {
        kept("read", b"one");
        let path = format!("/proc/self/fd/{}", number("read").unwrap());
        let reader = File::open(path).unwrap();
        assert!(!is_kept(reader.as_raw_fd()));
        forget(name("read")).unwrap();
        assert_eq!(fetched("read"), None);
        assert!(identity(reader.as_raw_fd()).is_ok());
    }
}
