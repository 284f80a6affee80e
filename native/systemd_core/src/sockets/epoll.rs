//! Replaces the file of a descriptor that is registered with epoll(7), as the VM's descriptors are.

use super::listener::{for_each_fd, inode};
use crate::errno::errno_of;
use crate::raw_fd::{borrow, duplicate, replace_file};
use crate::worker::spawn;
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use std::fs::{read_link, read_to_string};
use std::io::ErrorKind;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// An epoll instance in which a descriptor is registered, and its events.
struct Registration {
    epoll: Epoll,
    event: EpollEvent,
}

/// Makes `number`, which is a descriptor of the socket `of`, a descriptor of `by`. Whoever waits for the number goes on
/// waiting, for `by`.
///
/// epoll knows a file by its address and its number. When a number gets another file, `EPOLL_CTL_MOD` of that number fails,
/// and the VM never polls the number again, whatever file it has later. So `by` is registered under the number first, by a
/// thread that has a table of descriptors of its own.
///
/// The socket `of` stays registered, but disarmed, until [`forget`]. A thread of the VM that has already looked it up still
/// calls `EPOLL_CTL_MOD` for it. That arms it again, which costs one accept that finds nothing.
pub(super) fn replace(number: RawFd, of: u64, by: BorrowedFd<'_>) -> Result<(), Errno> {
    let before = duplicate(number)?;
    let registered = registrations(number, of)?;
    let is_added = elsewhere(number, by.as_raw_fd(), &registered, add);
    if inode(&before)? != of || inode(borrow(number)?)? != of {
        return Err(Errno::EBADF);
    }
    if is_added {
        replace_file(number, by)?;
        // The VM may have registered the number meanwhile. The number has its new file, also if that can't be found out.
        let registered = registrations(number, of).unwrap_or(registered);
        if registered.is_empty() {
            let _ = forget(number);
        }
        let _ = each(&registered, number, add_new);
        elsewhere(number, before.as_raw_fd(), &registered, disarm);
        Ok(())
    } else {
        // No thread can be started, or `unshare` is forbidden. If the VM calls `EPOLL_CTL_MOD` in between, it stops polling
        // the number.
        let _ = each(&registered, number, delete);
        let result = replace_file(number, by);
        let _ = each(&registered, number, add);
        result
    }
}

/// Deletes the registration that `replace` has left for the file of `number`, which has its number again. Nobody may wait for
/// the number yet.
pub(super) fn forget(number: RawFd) -> Result<(), Errno> {
    each(&registrations(number, inode(borrow(number)?)?)?, number, delete)
}

/// Changes the registrations for `file` under that number. Returns whether it could.
fn elsewhere(
    number: RawFd,
    file: RawFd,
    registered: &Arc<Vec<Registration>>,
    change: Change,
) -> bool {
    if registered.is_empty() {
        return true;
    }
    let is_done = Arc::new(AtomicBool::new(false));
    let (registered, result) = (registered.clone(), is_done.clone());
    let thread = spawn("sd-epoll", move || {
        let done = unshare(CloneFlags::CLONE_FILES)
            .and_then(|()| replace_file(number, borrow(file)?))
            .and_then(|()| each(&registered, number, change));
        result.store(done.is_ok(), Ordering::Release);
    });
    thread.is_ok_and(|thread| thread.join().is_ok()) && is_done.load(Ordering::Acquire)
}

type Change = fn(&Registration, BorrowedFd<'_>) -> Result<(), Errno>;

fn add(at: &Registration, fd: BorrowedFd<'_>) -> Result<(), Errno> {
    match at.epoll.add(fd, at.event) {
        // The file had this number before, or an earlier attempt has failed halfway.
        Err(Errno::EEXIST) => at.epoll.modify(fd, &mut at.event.clone()),
        result => result,
    }
}

/// Leaves alone what is registered, because the VM may have changed it.
fn add_new(at: &Registration, fd: BorrowedFd<'_>) -> Result<(), Errno> {
    match at.epoll.add(fd, at.event) {
        Err(Errno::EEXIST) => Ok(()),
        result => result,
    }
}

/// epoll reports errors and hang-ups of any file, of this one once at most.
fn disarm(at: &Registration, fd: BorrowedFd<'_>) -> Result<(), Errno> {
    at.epoll.modify(fd, &mut EpollEvent::new(EpollFlags::EPOLLONESHOT, at.event.data()))
}

fn delete(at: &Registration, fd: BorrowedFd<'_>) -> Result<(), Errno> {
    at.epoll.delete(fd)
}

/// Changes all of them, and returns the last error.
fn each(registered: &[Registration], number: RawFd, change: Change) -> Result<(), Errno> {
    let fd = borrow(number)?;
    let mut result = Ok(());
    for at in registered {
        result = change(at, fd).and(result);
    }
    result
}

/// The registrations in all epoll instances of this process: see `/proc/pid/fdinfo` in proc(5).
fn registrations(number: RawFd, inode: u64) -> Result<Arc<Vec<Registration>>, Errno> {
    // The loop below opens descriptors.
    let mut fds = Vec::new();
    for_each_fd(|fd| fds.push(fd))?;
    let mut found = Vec::new();
    for fd in fds {
        let of = |folder: &str| Path::new("/proc/self").join(folder).join(fd.to_string());
        let is_epoll =
            read_link(of("fd")).is_ok_and(|link| link.as_os_str() == "anon_inode:[eventpoll]");
        if !is_epoll {
            continue;
        }
        let info = match read_to_string(of("fdinfo")) {
            Ok(info) => info,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(errno_of(error)),
        };
        for event in info.lines().filter_map(|line| event(line, number, inode)) {
            found.push(Registration { epoll: Epoll(duplicate(fd)?), event });
        }
    }
    Ok(Arc::new(found))
}

/// Parses a line such as `tfd: 26 events: 40000019 data: 7fb70000001a pos:0 ino:32c7c6a sdev:f`.
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
    use std::thread;

    #[test]
    fn waiting_threads_notice_nothing() {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
        let (number, mut peer) = UnixStream::pair().unwrap();
        let event = EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLONESHOT, 7);
        epoll.add(&number, event).unwrap();
        let file = number.try_clone().unwrap();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut event = event;
                while !is_over.load(Ordering::Relaxed) {
                    assert_eq!(epoll.modify(&number, &mut event), Ok(()));
                }
            });
            let (other, mut other_peer) = UnixStream::pair().unwrap();
            let (one, two) = (inode(&file).unwrap(), inode(&other).unwrap());
            for _ in 0..200 {
                replace(number.as_raw_fd(), one, other.as_fd()).unwrap();
                replace(number.as_raw_fd(), two, file.as_fd()).unwrap();
            }
            assert_eq!(replace(number.as_raw_fd(), two, other.as_fd()), Err(Errno::EBADF));
            replace(number.as_raw_fd(), one, other.as_fd()).unwrap();
            is_over.store(true, Ordering::Relaxed);
            peer.write_all(b"nobody reads it").unwrap();
            let mut events = [EpollEvent::empty()];
            assert_eq!(epoll.wait(&mut events, EpollTimeout::from(20_u8)), Ok(0));
            other_peer.write_all(b"hello").unwrap();
            assert_eq!(epoll.wait(&mut events, EpollTimeout::from(1000_u16)), Ok(1));
            assert_eq!(events[0].data(), 7);
        });
        assert_eq!(epoll.delete(&number), Ok(()));
        replace_file(number.as_raw_fd(), file.as_fd()).unwrap();
        assert_eq!(epoll.add(&number, event), Err(Errno::EEXIST));
        assert_eq!(forget(number.as_raw_fd()), Ok(()));
        assert_eq!(epoll.add(&number, event), Ok(()));
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
