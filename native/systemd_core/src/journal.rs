//! The way to journald, see systemd-journald.service(8).

use crate::entry::Entry;
use crate::field_name::FieldName;
use crate::memfd;
use crate::notifier::Sent;
use crate::socket::{Socket, peer_is_gone, wait_for};
use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::UnixAddr;
use once_cell::sync::OnceCell;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Sends [`Entry`]s to journald, from any thread. Its socket is opened when it is first needed, and connected
/// whenever it must be, so that a journald which is not there yet hinders nothing.
#[derive(Debug)]
pub struct Journal {
    peer: UnixAddr,
    socket: OnceCell<Socket>,
    /// Nobody has been reached yet, or somebody has waited in vain for a socket to be there.
    lost: AtomicBool,
}

impl Journal {
    /// Where journald listens.
    pub const PATH: &str = "/run/systemd/journal/socket";

    /// Longer entries are not for a thread that must not be held up by copying them.
    const LONGEST_AT_ONCE: usize = 64 * 1024;

    /// As much as sd_journal_send(3) asks for.
    const UNDER_WAY: usize = 8 * 1024 * 1024;

    /// A socket that isn't there yet is tried again after this long.
    const RETRY: Duration = Duration::from_millis(10);

    /// Fails only where that can be no address.
    pub fn new(path: &Path) -> Result<Self, Errno> {
        let peer = UnixAddr::new(path)?;
        Ok(Self { peer, socket: OnceCell::new(), lost: AtomicBool::new(true) })
    }

    fn socket(&self) -> Result<&Socket, Errno> {
        self.socket.get_or_try_init(|| {
            let socket = Socket::open(self.peer)?;
            socket.reserve(Self::UNDER_WAY);
            Ok(socket)
        })
    }

    /// Whether somebody listens, by one system call that doesn't block: connecting once more, which senders
    /// don't feel.
    pub fn is_reachable(&self) -> bool {
        self.socket().and_then(Socket::connect).is_ok()
    }

    /// Sends by one system call that doesn't block, or not at all.
    pub fn try_send(&self, entry: &Entry) -> Result<Sent, Errno> {
        if entry.as_bytes().len() > Self::LONGEST_AT_ONCE {
            return Ok(Sent::NotYet);
        }
        match self.socket()?.try_send(entry.as_bytes()) {
            Ok(()) => {
                self.reached();
                Ok(Sent::Done)
            }
            Err(errno) if errno == Errno::EAGAIN || errno == Errno::EINTR => Ok(Sent::NotYet),
            Err(errno) if is_too_large(errno) || peer_is_gone(errno) => Ok(Sent::NotYet),
            Err(errno) => Err(errno),
        }
    }

    /// Sends, and waits for at most `timeout` while journald's queue is full or its socket is
    /// missing. What is too large for a datagram goes in a sealed memfd.
    ///
    /// `EAGAIN` when the queue still is full. Nobody waits for a missing socket that was never there, nor once
    /// somebody has done so in vain, until it is there again.
    pub fn send(&self, entry: &Entry, timeout: Duration) -> Result<(), Errno> {
        let socket = self.socket()?;
        let deadline = Instant::now() + timeout;
        let mut sealed = None;
        let mut reconnected = false;
        loop {
            match send_as(socket, entry, sealed.as_ref()) {
                Ok(()) => {
                    self.reached();
                    return Ok(());
                }
                Err(Errno::EINTR) => (),
                Err(errno) if is_too_large(errno) && sealed.is_none() => {
                    sealed = Some(memfd::sealed("journal-entry", entry.as_bytes())?);
                }
                Err(Errno::EAGAIN) => {
                    wait_for(socket.as_fd(), PollFlags::POLLOUT, deadline)?;
                }
                Err(errno) if peer_is_gone(errno) => match socket.connect() {
                    Ok(()) if !reconnected => reconnected = true,
                    Ok(()) if Instant::now() >= deadline => return Err(errno),
                    Ok(()) => thread::sleep(Self::RETRY),
                    Err(errno) if self.lost.load(Ordering::Relaxed) => return Err(errno),
                    Err(errno) if Instant::now() >= deadline => {
                        self.lost.store(true, Ordering::Relaxed);
                        return Err(errno);
                    }
                    Err(_) => thread::sleep(Self::RETRY),
                },
                Err(errno) => return Err(errno),
            }
        }
    }

    fn reached(&self) {
        if self.lost.load(Ordering::Relaxed) {
            self.lost.store(false, Ordering::Relaxed);
        }
    }
}

fn send_as(socket: &Socket, entry: &Entry, sealed: Option<&OwnedFd>) -> Result<(), Errno> {
    match sealed {
        None => socket.try_send(entry.as_bytes()),
        Some(file) => socket.send_with_fds(&[], &[file.as_fd()]),
    }
}

/// `MESSAGE=` at a syslog priority, and more fields, for those who log without anybody's help. Never
/// blocks.
pub(crate) fn write(priority: i64, message: &str, more: &[(&str, String)]) -> Result<(), Errno> {
    let mut entry = Entry::default();
    entry.push_number(&FieldName::from_any(b"PRIORITY"), priority);
    entry.push(&FieldName::from_any(b"MESSAGE"), message.as_bytes());
    for (name, value) in more {
        entry.push(&FieldName::from_any(name.as_bytes()), value.as_bytes());
    }
    Socket::open(UnixAddr::new(Journal::PATH)?)?.try_send(entry.as_bytes())
}

/// As sd_journal_send(3) has it, `ENOBUFS` says so too.
fn is_too_large(errno: Errno) -> bool {
    matches!(errno, Errno::EMSGSIZE | Errno::ENOBUFS)
}
