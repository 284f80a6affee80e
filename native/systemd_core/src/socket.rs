//! A connected, non-blocking AF_UNIX datagram socket.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, connect, send,
    sendmsg, setsockopt, socket, sockopt,
};
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Instant;

/// The descriptor never changes: reconnecting calls `connect` on it again. So senders need no lock.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    peer: UnixAddr,
}

impl Socket {
    /// Opens a socket without connecting it.
    pub fn open(peer: UnixAddr) -> Result<Self, Errno> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
        Ok(Self { fd, peer })
    }

    /// Sets the size of the send buffer. The kernel gives an unprivileged process at most `net.core.wmem_max`: see
    /// socket(7).
    pub fn reserve(&self, bytes: usize) {
        let _ = setsockopt(&self.fd, sockopt::SndBufForce, &bytes)
            .or_else(|_| setsockopt(&self.fd, sockopt::SndBuf, &bytes));
    }

    /// Sends with one non-blocking system call.
    pub fn try_send(&self, bytes: &[u8]) -> Result<(), Errno> {
        send(self.fd.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL).map(drop)
    }

    /// Sends, and waits while the socket buffer is full. Reconnects once if the peer's socket was replaced. Fails with
    /// `EAGAIN` at the deadline.
    pub fn send_until(
        &self,
        bytes: &[u8],
        fds: &[BorrowedFd<'_>],
        deadline: Instant,
    ) -> Result<(), Errno> {
        let mut reconnected = false;
        loop {
            match self.send_with_fds(bytes, fds) {
                Err(Errno::EINTR) => (),
                Err(Errno::EAGAIN) if Instant::now() < deadline => {
                    wait_for(self.fd.as_fd(), PollFlags::POLLOUT, deadline)?;
                }
                Err(errno) if peer_is_gone(errno) && !reconnected => {
                    self.connect()?;
                    reconnected = true;
                }
                result => return result,
            }
        }
    }

    /// Sends with descriptors, with one non-blocking system call.
    pub fn send_with_fds(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(), Errno> {
        if fds.is_empty() {
            return self.try_send(bytes);
        }
        let fds: Vec<_> = fds.iter().map(AsRawFd::as_raw_fd).collect();
        let (data, rights) = ([IoSlice::new(bytes)], [ControlMessage::ScmRights(&fds)]);
        sendmsg::<()>(self.fd.as_raw_fd(), &data, &rights, MsgFlags::MSG_NOSIGNAL, None).map(drop)
    }

    /// Connects to the socket that is bound to the address now.
    pub fn connect(&self) -> Result<(), Errno> {
        connect(self.fd.as_raw_fd(), &self.peer)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// True for errors that only another `connect` can resolve.
pub fn peer_is_gone(errno: Errno) -> bool {
    matches!(errno, Errno::ECONNREFUSED | Errno::ENOTCONN | Errno::EDESTADDRREQ | Errno::EPIPE)
}

/// Polls one descriptor. Fails with `EAGAIN` at the deadline.
pub fn wait_for(fd: BorrowedFd<'_>, events: PollFlags, deadline: Instant) -> Result<(), Errno> {
    loop {
        let rest = deadline.saturating_duration_since(Instant::now());
        // Rounded up: rounding down would make the last fraction of a millisecond a busy loop.
        let millis = i32::try_from(rest.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX);
        let timeout = PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(fd, events)], timeout) {
            Ok(0) => return Err(Errno::EAGAIN),
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => (),
            Err(errno) => return Err(errno),
        }
    }
}
