//! Sends log entries to journald: see systemd-journald.service(8).

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

/// Sends [`Entry`]s to journald, from any thread. Opens its socket on first use, and connects when necessary. So
/// journald need not run yet.
#[derive(Debug)]
pub struct Journal {
    peer: UnixAddr,
    socket: OnceCell<Socket>,
    /// True until the first entry was sent, and again after a sender has waited for a missing socket until its
    /// deadline.
    lost: AtomicBool,
}

impl Journal {
    /// Where journald listens.
    pub const PATH: &str = "/run/systemd/journal/socket";

    /// Copying a longer entry takes too long for a thread that must not be delayed.
    const LONGEST_AT_ONCE: usize = 64 * 1024;

    /// The size of the send buffer that sd_journal_send(3) requests.
    const SEND_BUFFER: usize = 8 * 1024 * 1024;

    /// The time between two attempts to connect to a missing socket.
    const RETRY: Duration = Duration::from_millis(10);

    /// Fails only if `path` can't be a socket address.
    pub fn new(path: &Path) -> Result<Self, Errno> {
        let peer = UnixAddr::new(path)?;
        Ok(Self { peer, socket: OnceCell::new(), lost: AtomicBool::new(true) })
    }

    /// Whether this sends to `path`.
    pub fn is_at(&self, path: &Path) -> bool {
        self.peer.path() == Some(path)
    }

    fn socket(&self) -> Result<&Socket, Errno> {
        self.socket.get_or_try_init(|| {
            let socket = Socket::open(self.peer)?;
            socket.reserve(Self::SEND_BUFFER);
            // If nothing listens yet, `send` connects again.
            let _ = socket.connect();
            Ok(socket)
        })
    }

    /// Whether journald listens. Connects again, which doesn't block and doesn't disturb senders.
    pub fn is_reachable(&self) -> bool {
        self.socket().and_then(Socket::connect).is_ok()
    }

    /// Sends with one non-blocking system call. After any error, [`Self::send`] may still succeed.
    pub fn try_send(&self, entry: &Entry) -> Result<(), Errno> {
        if entry.as_bytes().len() > Self::LONGEST_AT_ONCE {
            return Err(Errno::EMSGSIZE);
        }
        self.socket()?.try_send(entry.as_bytes())?;
        self.reached();
        Ok(())
    }

    /// Sends, and waits until `deadline` while journald's socket buffer is full or its socket is missing. An entry that
    /// is too large for a datagram is sent in a sealed memfd, or is cut if there can be no memfd.
    ///
    /// Fails with `EAGAIN` if the socket buffer is still full at the deadline. Does not wait for a missing socket that
    /// was never reached. After one sender has waited for a missing socket until its deadline, others don't wait for it
    /// until an entry was sent again.
    pub fn send(&self, entry: &Entry, deadline: Instant) -> Result<(), Errno> {
        let socket = self.socket()?;
        let mut fallback = None;
        let mut reconnected = false;
        loop {
            match send_as(socket, entry, fallback.as_ref()) {
                Ok(()) => {
                    self.reached();
                    return Ok(());
                }
                Err(Errno::EINTR) => (),
                Err(errno) if is_too_large(errno) && fallback.is_none() => {
                    fallback = Some(Fallback::of(entry));
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

/// What is sent in place of an entry that is too large for a datagram.
enum Fallback {
    Sealed(OwnedFd),
    Cut(Entry),
}

impl Fallback {
    /// There can be no memfd if a seccomp filter forbids it, under `vm.memfd_noexec=2` in some kernels, above
    /// `LimitFSIZE=`, or if no descriptor is free. libsystemd then uses a file. That does not work for a unit with a
    /// private `/dev` or `/tmp`, where journald can't open the file.
    fn of(entry: &Entry) -> Self {
        let file = memfd::with("journal-entry", entry.as_bytes());
        match file.and_then(|file| memfd::seal(&file).map(|()| file)) {
            Ok(file) => Self::Sealed(file),
            Err(errno) => Self::Cut(entry.cut(errno)),
        }
    }
}

fn send_as(socket: &Socket, entry: &Entry, fallback: Option<&Fallback>) -> Result<(), Errno> {
    match fallback {
        None => socket.try_send(entry.as_bytes()),
        Some(Fallback::Sealed(file)) => socket.send_with_fds(&[], &[file.as_fd()]),
        Some(Fallback::Cut(entry)) => socket.try_send(entry.as_bytes()),
    }
}

/// For threads that log without the VM. The socket is opened at the start, so that usually no descriptor is needed
/// later.
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

    /// Writes `MESSAGE=` with a syslog priority, and more fields. Never blocks.
    pub(crate) fn write(&self, priority: i64, message: &str, more: &[(&str, String)]) {
        let mut entry = Entry::default();
        entry.push_number(&FieldName::from_any(b"PRIORITY"), priority);
        entry.push(&FieldName::from_any(b"MESSAGE"), message.as_bytes());
        for (name, value) in more {
            entry.push(&FieldName::from_any(name.as_bytes()), value.as_bytes());
        }
        // There is no other place to report an error.
        let _ = self.0.send(&entry, Instant::now());
    }
}

/// sd_journal_send(3) also treats `ENOBUFS` as too large.
fn is_too_large(errno: Errno) -> bool {
    matches!(errno, Errno::EMSGSIZE | Errno::ENOBUFS)
}
