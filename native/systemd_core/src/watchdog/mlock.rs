//! Locks this library's code in memory, see mlock(2).
//!
//! Above `MemoryHigh=` the kernel first reclaims the pages of programs. A thread that needs such a page sleeps for two
//! seconds, and by then the kernel has reclaimed the page again. The watchdog's thread, which reports why the service
//! is killed, would never reach its next instruction.

use nix::sys::mman::mlock;
use std::ffi::c_void;
use std::fs;
use std::ptr::NonNull;

/// Parts of the names of the files with the code that this library's threads run. glibc before 2.34 has other file
/// names.
const FILES: &str = "/systemd_nif.so /ld- /ld64 /libc.so /libc-2 /libpthread /libgcc_s";

/// The code is some 3 MB, mostly shared with other processes. Locks as much of it as `LimitMEMLOCK=` allows.
pub(crate) fn lock_code() {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let ours = |line: &&str| FILES.split(' ').any(|file| line.contains(file));
    // Locks instructions first, in case the limit is low.
    for kind in ["r-x", "r--"] {
        for (start, length) in maps.lines().filter(ours).filter_map(|line| mapping(line, kind)) {
            // SAFETY: locking changes nothing in those pages, and they are never unmapped.
            let _ = unsafe { mlock(start, length) };
        }
    }
}

/// Start and length, if the mapping has these permissions: see `/proc/pid/maps` in proc(5).
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
        lock_code();
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let locked = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap();
        assert_ne!(locked.trim(), "0 kB");
    }
}
