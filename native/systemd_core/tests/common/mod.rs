//! Helpers for the tests of the notifier and of the journal.

#![allow(clippy::unwrap_used, missing_docs)]

use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixDatagram;

/// Receives a datagram with one descriptor.
pub fn receive_with_fd(manager: &UnixDatagram) -> (String, OwnedFd) {
    let mut bytes = [0; 100];
    let mut data = [IoSliceMut::new(&mut bytes)];
    let mut space = nix::cmsg_space!([RawFd; 1]);
    let received =
        recvmsg::<()>(manager.as_raw_fd(), &mut data, Some(&mut space), MsgFlags::empty())
            .unwrap();
    let (len, control) = (received.bytes, received.cmsgs().unwrap().next());
    let Some(ControlMessageOwned::ScmRights(fds)) = control else { panic!("{control:?}") };
    // SAFETY: the kernel has just opened this descriptor for this process.
    let fd = unsafe { OwnedFd::from_raw_fd(fds[0]) };
    (String::from_utf8(bytes[..len].to_vec()).unwrap(), fd)
}
