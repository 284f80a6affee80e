//! A descriptor whose file is replaced while somebody waits for it by epoll(7), as the VM does.

use super::listener::{for_each_fd, inode};
use crate::errno::errno_of;
use crate::raw_fd::{borrow, duplicate, replace_file};
use crossbeam_channel::bounded;
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use std::fs::{read_link, read_to_string};
use std::os::fd::{BorrowedFd, RawFd};
use std::path::Path;
use std::thread;

/// Where a descriptor is registered, and for what.
struct Registration {
    epoll: Epoll,
    event: EpollEvent,
}

/// The number goes on to be a descriptor of `by`, and who waits for it goes on to wait, for `by`.
///
/// epoll knows a file by its address and its number. Where a number gets another file, who changes what he waits for under that
/// number fails, and the VM doesn't get over it: whatever has the number later, it isn't polled. So the new file has to be registered
/// under the number before it has it, and a thread can do that which has a table of descriptors of its own.
pub(super) fn replace(number: RawFd, by: BorrowedFd<'_>) -> Result<(), Errno> {
    let before = duplicate(number)?;
    let registered = registrations(number, inode(&before)?)?;
    if registered.is_empty() {
        return replace_file(number, by);
    }
    let (prepared, is_prepared) = bounded(1);
    let (replaced, is_replaced) = bounded::<()>(1);
    thread::scope(|scope| {
        let registered = &registered;
        let before = &before;
        let elsewhere = move || {
            // It owns nothing: what it closed would be closed here alone.
            let is_ready = unshare(CloneFlags::CLONE_FILES)
                .and_then(|()| replace_file(number, by))
                .and_then(|()| register(number, registered));
            let is_own = is_ready.is_ok();
            let _ = prepared.send(is_own);
            if is_own && is_replaced.recv().is_ok() {
                let _ =
                    replace_file(number, before).and_then(|()| unregister(number, registered));
            }
        };
        let thread = thread::Builder::new().name("sd-epoll".to_owned());
        let thread = thread.spawn_scoped(scope, elsewhere).map_err(errno_of);
        if thread.is_ok() && is_prepared.recv() == Ok(true) {
            let result = replace_file(number, by);
            let _ = replaced.send(());
            return result;
        }
        // Where `unshare` is forbidden there is a moment in which the VM may fail.
        let _ = unregister(number, registered);
        replace_file(number, by)?;
        let _ = register(number, registered);
        Ok(())
    })
}

fn register(number: RawFd, registered: &[Registration]) -> Result<(), Errno> {
    registered.iter().try_for_each(|at| match at.epoll.add(borrow(number)?, at.event) {
        Err(Errno::EEXIST) => Ok(()),
        result => result,
    })
}

fn unregister(number: RawFd, registered: &[Registration]) -> Result<(), Errno> {
    registered.iter().try_for_each(|at| at.epoll.delete(borrow(number)?))
}

/// In all of this process. See `/proc/pid/fdinfo` in proc(5).
fn registrations(number: RawFd, inode: u64) -> Result<Vec<Registration>, Errno> {
    let mut found = Vec::new();
    for_each_fd(|fd| {
        let of = |folder: &str| Path::new("/proc/self").join(folder).join(fd.to_string());
        let is_epoll =
            read_link(of("fd")).is_ok_and(|link| link.as_os_str() == "anon_inode:[eventpoll]");
        if is_epoll && let Ok(info) = read_to_string(of("fdinfo")) {
            let events = info.lines().filter_map(|line| event(line, number, inode));
            found.extend(events.filter_map(|event| {
                Some(Registration { epoll: Epoll(duplicate(fd).ok()?), event })
            }));
        }
    })?;
    Ok(found)
}

/// From a line such as `tfd: 26 events: 40000019 data: 7fb70000001a pos:0 ino:32c7c6a sdev:f`.
fn event(line: &str, number: RawFd, inode: u64) -> Option<EpollEvent> {
    let value = |key| line.split_once(key)?.1.split_whitespace().next();
    let hex = |key| u64::from_str_radix(value(key)?, 16).ok();
    if value("tfd:")?.parse() != Ok(number) || hex("ino:")? != inode {
        return None;
    }
    let events =
        EpollFlags::from_bits_truncate(u32::try_from(hex("events:")?).ok()?.cast_signed());
    Some(EpollEvent::new(events, hex("data:")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::epoll::{EpollCreateFlags, EpollTimeout};
    use std::io::Write;
    use std::os::fd::{AsFd, AsRawFd};
    use std::os::unix::net::UnixStream;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn who_waits_notices_nothing() {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
        let (number, mut peer) = UnixStream::pair().unwrap();
        let event = EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLONESHOT, 7);
        epoll.add(&number, event).unwrap();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut event = event;
                while !is_over.load(Ordering::Relaxed) {
                    assert_eq!(epoll.modify(&number, &mut event), Ok(()));
                }
            });
            let file = number.try_clone().unwrap();
            let (other, mut other_peer) = UnixStream::pair().unwrap();
            for _ in 0..200 {
                replace(number.as_raw_fd(), other.as_fd()).unwrap();
                replace(number.as_raw_fd(), file.as_fd()).unwrap();
            }
            replace(number.as_raw_fd(), other.as_fd()).unwrap();
            is_over.store(true, Ordering::Relaxed);
            peer.write_all(b"nobody reads it").unwrap();
            let mut events = [EpollEvent::empty()];
            assert_eq!(epoll.wait(&mut events, EpollTimeout::from(20_u8)), Ok(0));
            other_peer.write_all(b"hello").unwrap();
            assert_eq!(epoll.wait(&mut events, EpollTimeout::from(1000_u16)), Ok(1));
            assert_eq!(events[0].data(), 7);
        });
        assert_eq!(epoll.delete(&number), Ok(()));
    }

    #[test]
    fn of_the_kernel() {
        let line =
            "tfd:       26 events: 40000019 data:     7fb70000001a  pos:0 ino:32c7c6a sdev:f";
        let found = event(line, 26, 0x032c_7c6a).unwrap();
        assert_eq!(found.data(), 0x7fb7_0000_001a);
        assert!(found.events().contains(EpollFlags::EPOLLIN | EpollFlags::EPOLLONESHOT));
        assert_eq!(event(line, 2, 0x032c_7c6a), None);
        assert_eq!(event(line, 26, 0), None);
        assert_eq!(event("pos:\t0", 26, 0), None);
    }
}
