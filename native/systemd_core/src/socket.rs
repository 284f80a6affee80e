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

/// Its descriptor stays the same for life: reconnecting is another `connect` on it, so that
/// senders need no lock.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    peer: UnixAddr,
}

impl Socket {
    /// Not connected yet.
    pub fn open(peer: UnixAddr) -> Result<Self, Errno> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
        Ok(Self { fd, peer })
    }

    /// So many bytes may wait for the peer; fewer where the system doesn't let this process have more.
    pub fn reserve(&self, bytes: usize) {
        let _ = setsockopt(&self.fd, sockopt::SndBufForce, &bytes)
            .or_else(|_| setsockopt(&self.fd, sockopt::SndBuf, &bytes));
    }

    /// One system call that never blocks.
    pub fn try_send(&self, bytes: &[u8]) -> Result<(), Errno> {
        send(self.fd.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL).map(drop)
    }

    /// Waits until the peer's queue has room, and connects once more when the peer is a new one.
    /// `EAGAIN` when the time is over.
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

    /// One system call that never blocks, with descriptors.
    pub fn send_with_fds(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(), Errno> {
        if fds.is_empty() {
            return self.try_send(bytes);
        }
        let fds: Vec<_> = fds.iter().map(AsRawFd::as_raw_fd).collect();
        let (data, rights) = ([IoSlice::new(bytes)], [ControlMessage::ScmRights(&fds)]);
        sendmsg::<()>(self.fd.as_raw_fd(), &data, &rights, MsgFlags::MSG_NOSIGNAL, None).map(drop)
    }

    /// Connects to the one that listens now.
    pub fn connect(&self) -> Result<(), Errno> {
        connect(self.fd.as_raw_fd(), &self.peer)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// True where connecting again is all that can help.
pub fn peer_is_gone(errno: Errno) -> bool {
    matches!(errno, Errno::ECONNREFUSED | Errno::ENOTCONN | Errno::EDESTADDRREQ | Errno::EPIPE)
}

/// Polls one descriptor; `EAGAIN` when the time is over.
pub fn wait_for(fd: BorrowedFd<'_>, events: PollFlags, deadline: Instant) -> Result<(), Errno> {
    loop {
        let rest = deadline.saturating_duration_since(Instant::now());
        // Rounded up, so that the last wait isn't a busy one.
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
