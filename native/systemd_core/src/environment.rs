//! `$WATCHDOG_USEC` and `$WATCHDOG_PID`, see sd_watchdog_enabled(3), and which process systemd means by a PID.

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

/// The name of a variable that has a value which systemd never sets.
#[derive(Debug, PartialEq, Eq)]
pub struct InvalidVariable(pub &'static str);

/// The time within which systemd expects a `WATCHDOG=1`.
#[derive(Debug, PartialEq, Eq)]
pub enum WatchdogTimeout {
    /// From this process.
    Ours(Duration),
    /// From another process.
    Anothers(Duration),
}

/// Evaluates the two variables for process `own_pid`. Returns `None` if the watchdog is off.
pub fn watchdog_timeout(
    usec: Option<&[u8]>,
    pid: Option<&[u8]>,
    own_pid: u32,
) -> Result<Option<WatchdogTimeout>, InvalidVariable> {
    let Some(usec) = usec else { return Ok(None) };
    let is_ours = match pid {
        Some(pid) => is_meant(positive(pid).ok_or(InvalidVariable("WATCHDOG_PID"))?, own_pid),
        None => true,
    };
    let usec = positive(usec).filter(|&usec| usec < u64::MAX);
    let timeout = usec.map(Duration::from_micros).ok_or(InvalidVariable("WATCHDOG_USEC"))?;
    Ok(Some(if is_ours {
        WatchdogTimeout::Ours(timeout)
    } else {
        WatchdogTimeout::Anothers(timeout)
    }))
}

/// Whether systemd means process `own_pid` by `pid`. With `PrivatePIDs=` in the unit, `pid` is from outside the PID
/// namespace, and this process is number 1 inside. Then this accepts the first `pid` that no other process inside has,
/// and afterwards only that one.
pub fn is_meant(pid: u64, own_pid: u32) -> bool {
    static OUTSIDE: OnceLock<u64> = OnceLock::new();
    pid == u64::from(own_pid)
        || own_pid == 1
            && (!is_another(pid) && OUTSIDE.set(pid).is_ok() || OUTSIDE.get() == Some(&pid))
}

/// kill(2) also finds the threads of this process by their IDs. They are not other processes.
fn is_another(pid: u64) -> bool {
    let Ok(number) = i32::try_from(pid) else { return true };
    kill(Pid::from_raw(number), None) != Err(Errno::ESRCH)
        && !Path::new(&format!("/proc/self/task/{number}")).exists()
}

pub(crate) fn positive(value: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(value).ok()?;
    let number = digits.parse().ok().filter(|&number: &u64| number > 0)?;
    digits.starts_with(|first: char| first.is_ascii_digit()).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Timeout = Result<Option<WatchdogTimeout>, InvalidVariable>;

    const USEC: Timeout = Err(InvalidVariable("WATCHDOG_USEC"));

    fn ours(usec: u64) -> Timeout {
        Ok(Some(WatchdogTimeout::Ours(Duration::from_micros(usec))))
    }

    fn timeout(usec: &str) -> Timeout {
        watchdog_timeout(Some(usec.as_bytes()), None, 1)
    }

    #[test]
    fn a_timeout_in_microseconds() {
        assert_eq!(timeout("2000000"), ours(2_000_000));
        assert_eq!(watchdog_timeout(None, Some(b"1"), 1), Ok(None));
    }

    #[test]
    fn the_first_process_of_a_namespace() {
        // The kernel assigns no number as large as this.
        assert!(!is_meant(1 << 30, 2));
        assert!(!is_meant(1 << 40, 1));
        assert!(is_another(1));
        assert!(!is_another(nix::unistd::gettid().as_raw().try_into().unwrap()));
        assert!(is_meant(1 << 30, 1));
        assert!(is_meant(1 << 30, 1));
        assert!(!is_meant((1 << 30) + 1, 1));
    }

    #[test]
    fn values_that_no_manager_sets() {
        for usec in [
            "",
            "0",
            "-1",
            "+1",
            "abc",
            "1s",
            " 1",
            "18446744073709551615",
            "18446744073709551616",
        ] {
            assert_eq!(timeout(usec), USEC, "{usec:?}");
        }
        assert_eq!(watchdog_timeout(Some(b"\xff"), None, 1), USEC);
    }

    #[test]
    fn meant_for_one_process() {
        let timeout = |pid: &[u8]| watchdog_timeout(Some(b"5"), Some(pid), 4711);
        assert_eq!(timeout(b"4711"), ours(5));
        assert_eq!(timeout(b"1"), Ok(Some(WatchdogTimeout::Anothers(Duration::from_micros(5)))));
        assert_eq!(timeout(b"x"), Err(InvalidVariable("WATCHDOG_PID")));
    }

    proptest! {
        #[test]
        fn never_panics(usec: Vec<u8>, pid: Option<Vec<u8>>, own_pid: u32) {
            let _ = watchdog_timeout(Some(&usec), pid.as_deref(), own_pid);
        }

        #[test]
        fn every_timeout_is_kept(usec in 1..u64::MAX) {
            prop_assert_eq!(timeout(&usec.to_string()), ours(usec));
        }
    }
}
