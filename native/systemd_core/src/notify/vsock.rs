//! Notifications from a virtual machine to systemd on its host.

use crate::socket::wait_for;
use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{
    AddressFamily, MsgFlags, Shutdown, SockFlag, SockType, VsockAddr, connect, getsockopt, send,
    shutdown, socket, sockopt::SocketError,
};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Instant;

/// Sends one message on its own connection: the host reads one message from each connection.
pub fn send_until(
    peer: &VsockAddr,
    kind: Option<SockType>,
    bytes: &[u8],
    deadline: Instant,
) -> Result<(), Errno> {
    if let Some(kind) = kind {
        return send_over(kind, peer, bytes, deadline);
    }
    match send_over(SockType::SeqPacket, peer, bytes, deadline) {
        Err(Errno::ESOCKTNOSUPPORT | Errno::EPROTONOSUPPORT | Errno::ENODEV) => {
            send_over(SockType::Stream, peer, bytes, deadline)
        }
        result => result,
    }
}

fn send_over(
    socket_type: SockType,
    peer: &VsockAddr,
    bytes: &[u8],
    deadline: Instant,
) -> Result<(), Errno> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Vsock, socket_type, flags, None)?;
    if let Err(errno) = connect(fd.as_raw_fd(), peer) {
        if errno != Errno::EINPROGRESS {
            return Err(errno);
        }
        wait_for(fd.as_fd(), PollFlags::POLLOUT, deadline)?;
        match getsockopt(&fd, SocketError)? {
            0 => (),
            errno => return Err(Errno::from_raw(errno)),
        }
    }
    let mut rest = bytes;
    while !rest.is_empty() {
        match send(fd.as_raw_fd(), rest, MsgFlags::MSG_NOSIGNAL) {
            Ok(sent) => rest = rest.get(sent..).unwrap_or_default(),
            Err(Errno::EAGAIN) => wait_for(fd.as_fd(), PollFlags::POLLOUT, deadline)?,
            Err(Errno::EINTR) => (),
            Err(errno) => return Err(errno),
        }
    }
    // The message is sent, so errors don't matter: a host that has closed its end by now has read it.
    let _ = shutdown(fd.as_raw_fd(), Shutdown::Write);
    Ok(())
}
