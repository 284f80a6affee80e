//! Code that stays in memory.
//!
//! Above `MemoryHigh=` the kernel takes the pages of programs first, and has every thread that comes back for one sleep
//! for two seconds. By then it has taken it again: a thread that has to say why the service is killed would not come to
//! its next instruction.

use nix::sys::mman::mlock;
use std::ffi::c_void;
use std::fs;
use std::ptr::NonNull;

/// The files that a thread of this library runs in, of glibc under its names before 2.34 as well.
const FILES: &str = "/systemd_nif.so /ld- /ld64 /libc.so /libc-2 /libpthread /libgcc_s";

/// As much of them as `LimitMEMLOCK=` allows, some 3 MB that other processes mostly share.
pub(crate) fn keep_code() {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let ours = |line: &&str| FILES.split(' ').any(|file| line.contains(file));
    // Where the limit is low, the instructions first.
    for kind in ["r-x", "r--"] {
        for (start, length) in maps.lines().filter(ours).filter_map(|line| mapping(line, kind)) {
            // SAFETY: what is in those pages stays the same, and they are never unmapped.
            let _ = unsafe { mlock(start, length) };
        }
    }
}

/// One with these rights: see proc(5).
fn mapping(line: &str, kind: &str) -> Option<(NonNull<c_void>, usize)> {
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let address = |digits| usize::from_str_radix(digits, 16).ok();
    let (start, end) = (address(start)?, address(end)?);
    let start_of = NonNull::new(std::ptr::without_provenance_mut(start))?;
    rest.starts_with(kind).then_some((start_of, end.checked_sub(start)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_proc_says() {
        let line = "7f00-9f00 r-xp 00001000 08:01 1234 /usr/lib/x86_64-linux-gnu/libc.so.6";
        let (start, length) = mapping(line, "r-x").unwrap();
        assert_eq!((start.as_ptr().addr(), length), (0x7f00, 0x2000));
        assert!(mapping(line, "r--").is_none());
        assert!(mapping("nonsense", "r-x").is_none());
    }

    #[test]
    fn the_c_library_is_locked() {
        keep_code();
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let locked = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap();
        assert_ne!(locked.trim(), "0 kB");
    }
}
