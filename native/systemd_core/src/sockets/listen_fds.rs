//! The descriptors that systemd passes to this process: see sd_listen_fds(3).

use super::socket_info::socket_info;
use crate::environment::{is_meant, positive};
use crate::errno::errno_of;
use crate::pidfd::own_pidfd_id;
use crate::raw_fd::{borrow, replace_file};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::stat::{SFlag, fstat, makedev};
use std::fs::File;
use std::ops::Range;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::{Mutex, PoisonError};

const FIRST: RawFd = 3;

/// The search ends after this many closed descriptors.
const MOST_CLOSED: usize = 100;

/// A descriptor with its name, if it has one.
pub type Named<'a> = (RawFd, Option<&'a [u8]>);

/// The passed descriptors, and what is wrong with the variables.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct HandedOver<'a> {
    /// In the order of their numbers.
    pub fds: Vec<Named<'a>>,
    /// Lines for the log.
    pub complaints: Vec<String>,
}

/// Checks that the descriptors are open, and makes them close-on-exec. They stay open for as long as this process runs,
/// except for a connection that was handed out: see [`hand_out`].
pub fn listen_fds<'a>(
    fds: Option<&[u8]>,
    pid: Option<&[u8]>,
    pidfd_id: Option<&[u8]>,
    names: Option<&'a [u8]>,
    own_pid: u32,
) -> HandedOver<'a> {
    let Some(count) = fds else { return HandedOver::default() };
    let numbers = match numbers(count, pid, pidfd_id, own_pid) {
        Ok(numbers) => numbers,
        Err(why) => {
            let count = String::from_utf8_lossy(count);
            let complaint = format!("ignoring LISTEN_FDS={count}: {why}");
            return HandedOver { fds: Vec::new(), complaints: vec![complaint] };
        }
    };
    let mut complaints = Vec::new();
    let given: Vec<_> = match names {
        None | Some(b"") => Vec::new(),
        Some(names) => names.split(|&byte| byte == b':').collect(),
    };
    if let Some(names) = names
        && given.len() != numbers.len()
    {
        let (count, names) = (numbers.len(), String::from_utf8_lossy(names));
        let has = given.len();
        complaints
            .push(format!("LISTEN_FDS={count}, but LISTEN_FDNAMES={names} has {has} names"));
    }
    let mut handed_over = Vec::new();
    let mut closed = Vec::new();
    for (index, fd) in numbers.clone().enumerate() {
        match adopt(fd) {
            Ok(true) => (),
            Ok(false) => {
                let name = given.get(index).filter(|name| !name.is_empty());
                handed_over.push((fd, name.copied()));
            }
            Err(_) if closed.len() == MOST_CLOSED => break,
            Err(_) => closed.push(fd.to_string()),
        }
    }
    if !closed.is_empty() {
        let (count, closed) = (numbers.len(), closed.join(", "));
        complaints
            .push(format!("LISTEN_FDS={count}, but these descriptors are closed: {closed}"));
    }
    HandedOver { fds: handed_over, complaints }
}

fn numbers(
    fds: &[u8],
    pid: Option<&[u8]>,
    pidfd_id: Option<&[u8]>,
    own_pid: u32,
) -> Result<Range<RawFd>, String> {
    let invalid = |name, value| {
        let value = String::from_utf8_lossy(value);
        format!("{name}={value} is not a valid value")
    };
    let pid = pid.ok_or("LISTEN_PID is not set")?;
    let pid = positive(pid).ok_or_else(|| invalid("LISTEN_PID", pid))?;
    if !is_meant(pid, own_pid) {
        let private =
            if own_pid == 1 { ". PrivatePIDs= may hide which process it means" } else { "" };
        return Err(format!(
            "LISTEN_PID={pid} is not this process ({own_pid}). A script in ExecStart= must exec the VM{private}"
        ));
    }
    // systemd 259 and later set LISTEN_PIDFDID. With PrivatePIDs=, systemd 262 sets it to the ID of the process that
    // has created the namespace.
    if own_pid != 1
        && let Some(id) = pidfd_id
        && let Some(own) = own_pidfd_id()
    {
        let id = positive(id).ok_or_else(|| invalid("LISTEN_PIDFDID", id))?;
        if id != own {
            return Err(format!("LISTEN_PIDFDID={id} is not this process ({own})"));
        }
    }
    positive(fds)
        .and_then(|count| RawFd::try_from(count).ok()?.checked_add(FIRST))
        .map(|end| FIRST..end)
        .ok_or_else(|| invalid("LISTEN_FDS", fds))
}

/// Whether systemd has passed a descriptor with this number to this process.
pub(crate) fn is_handed_over(fd: RawFd) -> bool {
    let variables = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_PIDFDID"].map(std::env::var_os);
    let [fds, pid, pidfd_id] =
        variables.each_ref().map(|value| value.as_ref().map(|v| v.as_bytes()));
    fds.and_then(|fds| numbers(fds, pid, pidfd_id, std::process::id()).ok())
        .is_some_and(|numbers| numbers.contains(&fd))
}

/// For a caller that has its own descriptor of the same socket. It may keep that one if this returns `Ok`. A connection
/// ends only when all its descriptors are closed. So for a connection that systemd has passed, the first call closes
/// the descriptor `fd`, and later calls fail with `ENOTSOCK`.
pub fn hand_out(fd: RawFd) -> Result<(), Errno> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    if !is_handed_over(fd) {
        return Ok(());
    }
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if socket_info(fd)?.is_connection() { release(fd) } else { Ok(()) }
}

/// Closes a passed descriptor, and puts `/dev/null` in its place. `$LISTEN_FDS` still includes the number, so no other
/// file may get it.
pub(crate) fn release(fd: RawFd) -> Result<(), Errno> {
    let null = File::open("/dev/null").map_err(errno_of)?;
    replace_file(fd, null)
}

/// Makes a passed descriptor close-on-exec. Returns true if it was released before: see [`release`].
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
    ) -> (Vec<Named<'a>>, String) {
        let HandedOver { fds, complaints } = listen_fds(Some(fds), pid, None, names, 4711);
        (fds, complaints.join("; "))
    }

    #[test]
    fn nothing_is_handed_over() {
        assert_eq!(listen_fds(None, Some(OWN), None, Some(b"a"), 4711), HandedOver::default());
    }

    #[test]
    fn meant_for_another_process() {
        for (pid, why) in [
            (Some(&b"1"[..]), "LISTEN_PID=1 is not this process (4711)"),
            (None, "LISTEN_PID is not set"),
            (Some(b"x"), "LISTEN_PID=x is not a valid value"),
        ] {
            let (fds, complaint) = handed_over(b"1", pid, None);
            assert_eq!(fds, []);
            assert!(complaint.contains(&format!("ignoring LISTEN_FDS=1: {why}")), "{complaint}");
        }
    }

    /// Another process with the same PID, later or in another namespace.
    #[test]
    fn meant_for_another_process_of_that_number() {
        let complaint = |id: &str| {
            let all = listen_fds(Some(b"1"), Some(OWN), Some(id.as_bytes()), None, 4711);
            all.complaints.join("; ")
        };
        let Some(own) = own_pidfd_id() else { return };
        assert!(!complaint(&own.to_string()).contains("LISTEN_PIDFDID"));
        let another = format!("LISTEN_PIDFDID={} is not this process ({own})", own + 1);
        assert!(complaint(&(own + 1).to_string()).contains(&another));
        let invalid = "LISTEN_PIDFDID=x is not a valid value";
        assert!(complaint("x").contains(invalid));
    }

    #[test]
    fn with_private_pids_it_is_that_of_another_process() {
        let all = listen_fds(Some(b"1"), Some(b"1"), Some(b"1"), None, 1);
        let complaints = all.complaints.join("; ");
        assert!(!complaints.contains("another process"), "{complaints}");
    }

    #[test]
    fn values_that_no_manager_sets() {
        for value in [&b""[..], b"0", b"-1", b"+1", b"1 ", b"x", b"2147483645", b"\xff"] {
            let (fds, complaint) = handed_over(value, Some(OWN), None);
            assert_eq!(fds, []);
            assert!(complaint.ends_with(" is not a valid value"), "{complaint}");
        }
    }

    #[test]
    fn those_that_are_not_open() {
        let (fds, complaint) = handed_over(b"2147483644", Some(OWN), None);
        assert!(fds.len() < 10_000);
        assert!(complaint.contains("but these descriptors are closed: "), "{complaint}");
        assert_eq!(complaint.matches(", ").count(), MOST_CLOSED);
    }

    proptest! {
        #[test]
        fn never_panics(
            fds: Vec<u8>,
            pid: Option<Vec<u8>>,
            pidfd_id: Option<Vec<u8>>,
            names: Option<Vec<u8>>,
        ) {
            let _ = listen_fds(
                Some(&fds),
                pid.as_deref(),
                pidfd_id.as_deref(),
                names.as_deref(),
                1,
            );
        }
    }
}
