//! `$LISTEN_FDS`, `$LISTEN_PID` and `$LISTEN_FDNAMES`: the descriptors that are handed over are those
//! of a plain reading of sd_listen_fds(3). And the names that they are stored under.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::fs::File;
use std::os::fd::IntoRawFd;
use std::sync::Once;
use systemd_core::{FdName, NotHandedOver, listen_fds};

/// Of the numbers from 3 on, so many are open at least.
const OPEN: usize = 64;

static OPENED: Once = Once::new();

fuzz_target!(|variables: (Option<&[u8]>, Option<&[u8]>, Option<&[u8]>, u8)| {
    OPENED.call_once(|| {
        while File::open("/proc/self/exe").unwrap().into_raw_fd() < 3 + OPEN as i32 {}
    });
    let (count, pid, names, own_pid) = variables;
    let handed_over = listen_fds(count, pid, names, own_pid.into());
    let for_us = pid.and_then(number) == Some(own_pid.into()) && own_pid > 0;
    match handed_over {
        Ok(fds) if count.is_none() => assert!(fds.is_empty()),
        Ok(fds) => {
            assert!(for_us);
            let count = count.and_then(number).expect("a number") as i32;
            let mut all_names = names.map(|names| names.split(|&byte| byte == b':'));
            let all: Vec<_> = (3..3 + count)
                .map(|fd| {
                    let name =
                        all_names.as_mut().map(|names| names.next().expect("a name for each"));
                    (fd, name.filter(|name| !name.is_empty()))
                })
                .filter(|&(fd, _)| !is_null(fd))
                .collect();
            assert_eq!(fds, all);
            assert_eq!(all_names.and_then(|mut names| names.next()), None);
        }
        Err(NotHandedOver::Closed(fd)) => assert!(for_us && fd as usize >= 3 + OPEN),
        Err(NotHandedOver::OtherProcess(other)) => {
            assert_eq!(pid.and_then(number), other);
            assert_ne!(other, Some(own_pid.into()));
        }
        Err(NotHandedOver::Invalid(_)) => {
            let many = count.and_then(number).filter(|&count| count > 0 && count < 1 << 31);
            let named = names.is_none_or(|names| {
                names.split(|&byte| byte == b':').count() as u64 == many.unwrap_or(0)
            });
            assert!(!for_us || many.is_none() || !named);
        }
    }
    if let Some(name) = names {
        let legal = |byte: &u8| (b' '..=b'~').contains(byte) && *byte != b':';
        let valid = (1..256).contains(&name.len()) && name.iter().all(legal);
        assert_eq!(FdName::parse(name).map(FdName::as_bytes), valid.then_some(name));
    }
});

/// It stands for one that was handed out and closed.
fn is_null(fd: i32) -> bool {
    std::fs::read_link(format!("/proc/self/fd/{fd}"))
        .is_ok_and(|file| file.as_os_str() == "/dev/null")
}

fn number(digits: &[u8]) -> Option<u64> {
    let all_digits = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    all_digits.then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}
