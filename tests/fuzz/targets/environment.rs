//! `$WATCHDOG_USEC` and `$WATCHDOG_PID`: the timeout is this process's exactly when a plain reading of
//! sd_watchdog_enabled(3) says so.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::time::Duration;
use systemd_core::{InvalidVariable, WatchdogTimeout, watchdog_timeout};

fuzz_target!(|variables: (Option<&[u8]>, Option<&[u8]>, u32)| {
    let (usec, pid, own_pid) = variables;
    // To process 1 it matters which others there are, see `PrivatePIDs=`.
    let own_pid = own_pid.max(2);
    let expected = match (usec, pid.map(number)) {
        (None, _) => Ok(None),
        (Some(_), Some(None | Some(0))) => Err(InvalidVariable("WATCHDOG_PID")),
        (Some(usec), pid) => match number(usec) {
            Some(usec) if usec > 0 && usec < u128::from(u64::MAX) => {
                let timeout = Duration::from_micros(usec as u64);
                Ok(Some(match pid {
                    Some(Some(pid)) if pid != u128::from(own_pid) => {
                        WatchdogTimeout::Anothers(timeout)
                    }
                    _ => WatchdogTimeout::Ours(timeout),
                }))
            }
            _ => Err(InvalidVariable("WATCHDOG_USEC")),
        },
    };
    assert_eq!(watchdog_timeout(usec, pid, own_pid), expected);
});

/// Digits alone, at most the largest number of 64 bits.
fn number(digits: &[u8]) -> Option<u128> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u128, |number, digit| {
        let next = number * 10 + u128::from(digit.checked_sub(b'0').filter(|&digit| digit < 10)?);
        (next <= u128::from(u64::MAX)).then_some(next)
    })
}
