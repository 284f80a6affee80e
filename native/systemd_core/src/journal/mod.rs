//! The way to journald, see systemd-journald.service(8).

pub(crate) mod entry;
pub(crate) mod field_name;
pub(crate) mod journal_stream;
pub(crate) mod timestamp;

use crate::memfd;
use crate::socket::{Socket, peer_is_gone, wait_for};
use entry::Entry;
use field_name::FieldName;
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

    /// Whether it is that to this path.
    pub fn is_at(&self, path: &Path) -> bool {
        self.peer.path() == Some(path)
    }

    fn socket(&self) -> Result<&Socket, Errno> {
        self.socket.get_or_try_init(|| {
            let socket = Socket::open(self.peer)?;
            socket.reserve(Self::UNDER_WAY);
            // Where nobody listens yet, sending connects again.
            let _ = socket.connect();
            Ok(socket)
        })
    }

    /// Whether somebody listens: connecting once more, which doesn't block, is nothing that senders feel.
    pub fn is_reachable(&self) -> bool {
        self.socket().and_then(Socket::connect).is_ok()
    }

    /// Sends by one system call that doesn't block. Any error may pass by [`Self::send`].
    pub fn try_send(&self, entry: &Entry) -> Result<(), Errno> {
        if entry.as_bytes().len() > Self::LONGEST_AT_ONCE {
            return Err(Errno::EMSGSIZE);
        }
        self.socket()?.try_send(entry.as_bytes())?;
        self.reached();
        Ok(())
    }

    /// Sends, and waits until `deadline` while journald's queue is full or its socket is missing. What is too large
    /// for a datagram goes in a sealed memfd, or is cut where there can be none.
    ///
    /// `EAGAIN` when the queue still is full. Nobody waits for a missing socket that was never there, nor once
    /// somebody has done so in vain, until it is there again.
    pub fn send(&self, entry: &Entry, deadline: Instant) -> Result<(), Errno> {
        let socket = self.socket()?;
        let mut instead = None;
        let mut reconnected = false;
        loop {
            match send_as(socket, entry, instead.as_ref()) {
                Ok(()) => {
                    self.reached();
                    return Ok(());
                }
                Err(Errno::EINTR) => (),
                Err(errno) if is_too_large(errno) && instead.is_none() => {
                    instead = Some(Instead::of(entry));
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

/// What goes in the place of an entry that is too large for a datagram.
enum Instead {
    Sealed(OwnedFd),
    Cut(Entry),
}

impl Instead {
    /// No memfd can be had where a seccomp filter refuses it, under `vm.memfd_noexec=2` in some kernels, above
    /// `LimitFSIZE=`, or without a descriptor to spare. A file, as libsystemd has in its place, would not get to
    /// journald from a unit whose `/dev` or `/tmp` is its own.
    fn of(entry: &Entry) -> Self {
        let file = memfd::with("journal-entry", entry.as_bytes());
        match file.and_then(|file| memfd::seal(&file).map(|()| file)) {
            Ok(file) => Self::Sealed(file),
            Err(errno) => Self::Cut(entry.cut(errno)),
        }
    }
}

fn send_as(socket: &Socket, entry: &Entry, instead: Option<&Instead>) -> Result<(), Errno> {
    match instead {
        None => socket.try_send(entry.as_bytes()),
        Some(Instead::Sealed(file)) => socket.send_with_fds(&[], &[file.as_fd()]),
        Some(Instead::Cut(entry)) => socket.try_send(entry.as_bytes()),
    }
}

/// For threads that log without anybody's help. Open from the start, so that mostly no descriptor is needed later.
#[derive(Debug)]
pub(crate) struct Reporter(Journal);

impl Reporter {
    /// See syslog(3).
    pub(crate) const CRITICAL: i64 = 2;
    pub(crate) const WARNING: i64 = 4;

    pub(crate) fn open() -> Result<Self, Errno> {
        let journal = Journal::new(Path::new(Journal::PATH))?;
        let _ = journal.socket();
        Ok(Self(journal))
    }

    /// `MESSAGE=` at a syslog priority, and more fields. Never blocks.
    pub(crate) fn write(&self, priority: i64, message: &str, more: &[(&str, String)]) {
        let mut entry = Entry::default();
        entry.push_number(&FieldName::from_any(b"PRIORITY"), priority);
        entry.push(&FieldName::from_any(b"MESSAGE"), message.as_bytes());
        for (name, value) in more {
            entry.push(&FieldName::from_any(name.as_bytes()), value.as_bytes());
        }
        // Nobody is left to complain to.
        let _ = self.0.send(&entry, Instant::now());
    }
}

/// As sd_journal_send(3) has it, `ENOBUFS` says so too.
fn is_too_large(errno: Errno) -> bool {
    matches!(errno, Errno::EMSGSIZE | Errno::ENOBUFS)
}
