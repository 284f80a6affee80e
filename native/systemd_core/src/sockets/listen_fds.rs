//! The descriptors that the manager hands over, as sd_listen_fds(3) defines them.

use super::socket_info::socket_info;
use crate::environment::{InvalidVariable, positive};
use crate::errno::errno_of;
use crate::raw_fd::borrow;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::stat::{SFlag, fstat, makedev};
use std::fs::File;
use std::ops::Range;
use std::os::fd::{IntoRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::{Mutex, PoisonError};

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
/// process runs, but for a connection that was handed out: see [`hand_out`].
pub fn listen_fds<'a>(
    fds: Option<&[u8]>,
    pid: Option<&[u8]>,
    names: Option<&'a [u8]>,
    own_pid: u32,
) -> Result<Vec<Named<'a>>, NotHandedOver> {
    use NotHandedOver::*;
    let Some(fds) = fds else { return Ok(Vec::new()) };
    let numbers = numbers(fds, pid, own_pid)?;
    let mut names = names.map(|names| names.split(|&byte| byte == b':'));
    let mut handed_over = Vec::new();
    for fd in numbers {
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

fn numbers(fds: &[u8], pid: Option<&[u8]>, own_pid: u32) -> Result<Range<RawFd>, NotHandedOver> {
    use NotHandedOver::*;
    let Some(pid) = pid else { return Err(OtherProcess(None)) };
    let pid = positive(pid).ok_or(Invalid(InvalidVariable("LISTEN_PID")))?;
    if pid != u64::from(own_pid) {
        return Err(OtherProcess(Some(pid)));
    }
    positive(fds)
        .and_then(|count| RawFd::try_from(count).ok()?.checked_add(FIRST))
        .map(|end| FIRST..end)
        .ok_or(Invalid(InvalidVariable("LISTEN_FDS")))
}

/// Whether the manager handed something over under that number when it started this process.
pub(crate) fn is_handed_over(fd: RawFd) -> bool {
    let [fds, pid] = ["LISTEN_FDS", "LISTEN_PID"].map(std::env::var_os);
    let pid = pid.as_ref().map(|pid| pid.as_bytes());
    fds.and_then(|fds| numbers(fds.as_bytes(), pid, std::process::id()).ok())
        .is_some_and(|numbers| numbers.contains(&fd))
}

/// To be asked by one who has a descriptor of his own of the same socket: he may keep it if this is
/// `Ok`. A connection that the manager handed over ends when it is closed, so that the one of that
/// number is closed for the first who asks, and is `ENOTSOCK` for the others.
pub fn hand_out(fd: RawFd) -> Result<(), Errno> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    if !is_handed_over(fd) {
        return Ok(());
    }
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if socket_info(fd)?.is_connection() { release(fd) } else { Ok(()) }
}

/// Closes a handed-over descriptor. `/dev/null` takes its place, because `$LISTEN_FDS` goes on to
/// name that number: no other file may come by it.
pub(crate) fn release(fd: RawFd) -> Result<(), Errno> {
    let null = File::open("/dev/null").map_err(errno_of)?;
    // SAFETY: the number goes on to be an open descriptor, and the system call changes it at once.
    let fd = unsafe { nix::unistd::dup3_raw(null, fd, nix::fcntl::OFlag::O_CLOEXEC) }?;
    let _ = fd.into_raw_fd();
    Ok(())
}

/// True for one that was released.
fn adopt(fd: RawFd) -> Result<bool, Errno> {
    let fd = borrow(fd)?;
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
