//! The descriptors that the manager hands over, as sd_listen_fds(3) defines them.

use crate::environment::{InvalidVariable, positive};
use crate::errno::errno_of;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::stat::{SFlag, fstat, makedev};
use std::fs::File;
use std::os::fd::{BorrowedFd, IntoRawFd, RawFd};

const FIRST: RawFd = 3;

/// Why there are none, although `$LISTEN_FDS` is set.
#[derive(Debug, PartialEq, Eq)]
pub enum NotHandedOver {
    /// A variable is set to nothing that the manager would set it to.
    Invalid(InvalidVariable),
    /// They are meant for the process in `$LISTEN_PID`, or for none.
    OtherProcess(Option<u64>),
    /// This one was closed in the meantime.
    Closed(RawFd),
}

/// A descriptor with its name, if it has one.
pub type Named<'a> = (RawFd, Option<&'a [u8]>);

/// Checks that they are open, and makes them close-on-exec. They stay open for as long as this
/// process runs, unless one is [`release`]d.
pub fn listen_fds<'a>(
    fds: Option<&[u8]>,
    pid: Option<&[u8]>,
    names: Option<&'a [u8]>,
    own_pid: u32,
) -> Result<Vec<Named<'a>>, NotHandedOver> {
    use NotHandedOver::*;
    let Some(fds) = fds else { return Ok(Vec::new()) };
    let Some(pid) = pid else { return Err(OtherProcess(None)) };
    let pid = positive(pid).ok_or(Invalid(InvalidVariable("LISTEN_PID")))?;
    if pid != u64::from(own_pid) {
        return Err(OtherProcess(Some(pid)));
    }
    let count = positive(fds)
        .and_then(|count| RawFd::try_from(count).ok()?.checked_add(FIRST))
        .ok_or(Invalid(InvalidVariable("LISTEN_FDS")))?
        - FIRST;
    let mut names = names.map(|names| names.split(|&byte| byte == b':'));
    let mut handed_over = Vec::new();
    for fd in FIRST..FIRST + count {
        let name = match &mut names {
            Some(names) => names.next().ok_or(Invalid(InvalidVariable("LISTEN_FDNAMES")))?,
            None => b"",
        };
        if !adopt(fd).map_err(|_| Closed(fd))? {
            handed_over.push((fd, (!name.is_empty()).then_some(name)));
        }
    }
    match names.and_then(|mut names| names.next()) {
        Some(_) => Err(Invalid(InvalidVariable("LISTEN_FDNAMES"))),
        None => Ok(handed_over),
    }
}

/// Whether the manager handed something over under that number when it started this process.
pub(crate) fn is_handed_over(fd: RawFd) -> bool {
    let count = std::env::var("LISTEN_FDS").ok().and_then(|count| count.parse().ok());
    count.is_some_and(|count: RawFd| (FIRST..FIRST.saturating_add(count)).contains(&fd))
}

/// Closes a handed-over descriptor. `/dev/null` takes its place, because `$LISTEN_FDS` goes on to
/// name that number: no other file may come by it.
pub fn release(fd: RawFd) -> Result<(), Errno> {
    let null = File::open("/dev/null").map_err(errno_of)?;
    // SAFETY: numbers that the manager handed over have no other owner in this process.
    let fd = unsafe { nix::unistd::dup3_raw(null, fd, nix::fcntl::OFlag::O_CLOEXEC) }?;
    let _ = fd.into_raw_fd();
    Ok(())
}

/// Whether this process has a descriptor of that number.
pub fn is_open(fd: RawFd) -> bool {
    // SAFETY: only asked about; the kernel refuses one that is not open.
    fd >= 0 && fcntl(unsafe { BorrowedFd::borrow_raw(fd) }, FcntlArg::F_GETFD).is_ok()
}

/// True for one that was released.
fn adopt(fd: RawFd) -> Result<bool, Errno> {
    // SAFETY: only asked about; the kernel refuses one that is not open.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    let stat = fstat(fd)?;
    let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
    Ok(kind == SFlag::S_IFCHR && stat.st_rdev == makedev(1, 3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OWN: &[u8] = b"4711";

    fn handed_over<'a>(
        fds: &[u8],
        pid: Option<&[u8]>,
        names: Option<&'a [u8]>,
    ) -> Result<Vec<Named<'a>>, NotHandedOver> {
        listen_fds(Some(fds), pid, names, 4711)
    }

    fn invalid<T>(name: &'static str) -> Result<T, NotHandedOver> {
        Err(NotHandedOver::Invalid(InvalidVariable(name)))
    }

    #[test]
    fn nothing_is_handed_over() {
        assert_eq!(listen_fds(None, Some(OWN), Some(b"a"), 4711), Ok(vec![]));
    }

    #[test]
    fn meant_for_another_process() {
        use NotHandedOver::OtherProcess;
        assert_eq!(handed_over(b"1", Some(b"1"), None), Err(OtherProcess(Some(1))));
        assert_eq!(handed_over(b"1", None, None), Err(OtherProcess(None)));
        assert_eq!(handed_over(b"1", Some(b"x"), None), invalid("LISTEN_PID"));
    }

    #[test]
    fn values_that_no_manager_sets() {
        for fds in [&b""[..], b"0", b"-1", b"+1", b"1 ", b"x", b"2147483645", b"\xff"] {
            assert_eq!(handed_over(fds, Some(OWN), None), invalid("LISTEN_FDS"), "{fds:?}");
        }
    }

    #[test]
    fn one_that_is_not_open() {
        let closed = handed_over(b"2147483644", Some(OWN), None);
        assert!(matches!(closed, Err(NotHandedOver::Closed(_))), "{closed:?}");
    }

    proptest! {
        #[test]
        fn never_panics(fds: Vec<u8>, pid: Option<Vec<u8>>, names: Option<Vec<u8>>) {
            let _ = listen_fds(Some(&fds), pid.as_deref(), names.as_deref(), 1);
        }
    }
}
