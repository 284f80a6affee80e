//! `$LISTEN_FDS`, `$LISTEN_PID` and `$LISTEN_FDNAMES`: the descriptors that are handed over are those
//! of a plain reading of sd_listen_fds(3). And the names that they are stored under.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::fs::File;
use std::os::fd::IntoRawFd;
use std::sync::Once;
use systemd_core::{FdName, HandedOver, listen_fds};

/// Of the numbers from 3 on, so many are open at least.
const OPEN: usize = 64;

/// No more of those that are closed are looked for.
const MOST_CLOSED: usize = 100;

static OPENED: Once = Once::new();

fuzz_target!(|variables: (Option<&[u8]>, Option<&[u8]>, Option<&[u8]>, u8)| {
    OPENED.call_once(|| {
        while File::open("/proc/self/exe").unwrap().into_raw_fd() < 3 + OPEN as i32 {}
    });
    let (count, pid, names, own_pid) = variables;
    // To process 1 it matters which others there are, see `PrivatePIDs=`.
    let own_pid = own_pid.max(2);
    let HandedOver { fds, complaints } = listen_fds(count, pid, None, names, own_pid.into());
    let for_us = pid.and_then(number) == Some(own_pid.into());
    let many = count.and_then(number).filter(|&count| count > 0 && count + 3 < 1 << 31);
    match many {
        Some(many) if for_us => {
            let mut all_names =
                names.into_iter().flat_map(|names| names.split(|&byte| byte == b':'));
            let mut closed = 0;
            let open: Vec<_> = (3..3 + many.min(10 * OPEN as u64) as i32)
                .map(|fd| (fd, all_names.next().filter(|name| !name.is_empty())))
                .take_while(|&(fd, _)| {
                    closed += usize::from(!is_open(fd));
                    closed <= MOST_CLOSED
                })
                .filter(|&(fd, _)| is_open(fd) && !is_null(fd))
                .collect();
            assert_eq!(fds, open);
            let named = names.is_none_or(|names| {
                let split = names.split(|&byte| byte == b':').count() as u64;
                split == many && !names.is_empty()
            });
            let all_open = (3..3 + many as i32).all(is_open);
            assert_eq!(complaints.is_empty(), named && all_open);
        }
        _ => assert!(fds.is_empty() && complaints.is_empty() == count.is_none()),
    }
    if let Some(name) = names {
        let legal = |byte: &u8| (b' '..=b'~').contains(byte) && *byte != b':';
        let valid = (1..256).contains(&name.len()) && name.iter().all(legal);
        assert_eq!(FdName::parse(name).map(FdName::as_bytes), valid.then_some(name));
    }
});

fn is_open(fd: i32) -> bool {
    std::fs::symlink_metadata(format!("/proc/self/fd/{fd}")).is_ok()
}

/// It stands for one that was handed out and closed.
fn is_null(fd: i32) -> bool {
    std::fs::read_link(format!("/proc/self/fd/{fd}"))
        .is_ok_and(|file| file.as_os_str() == "/dev/null")
}

fn number(digits: &[u8]) -> Option<u64> {
    let all_digits = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    all_digits.then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}
