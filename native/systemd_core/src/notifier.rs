//! The way to the service manager.

use crate::address::Address;
use crate::assignment::Assignment;
use crate::errno::errno_of;
use crate::message::{Message, decoded};
use crate::socket::{Socket, peer_is_gone, wait_for};
use crate::vsock;
use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::VsockAddr;
use std::io::{PipeReader, pipe};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Sends [`Message`]s to the service manager, from any thread.
#[derive(Debug)]
pub struct Notifier {
    transport: Transport,
    announced: &'static Announced,
    waiting: AtomicUsize,
    encoded_status: Mutex<Option<Vec<u8>>>,
    sent: AtomicU64,
    failed: AtomicU64,
}

#[derive(Debug)]
enum Transport {
    Unix(Socket),
    Vsock(VsockAddr),
}

/// What became of a message or a journal entry.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Sent {
    /// The receiver has it in its queue.
    Done,
    /// From a `try_send`: it takes more than one system call, so `send` it. From
    /// [`Notifier::send`]: enough threads wait already, so try again in a moment.
    NotYet,
}

/// What the manager may have been told so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Announcement {
    /// `READY=1`
    Ready = 1,
    /// `STOPPING=1`
    Stopping = 2,
    /// Any `STATUS=`
    Status = 4,
    /// `RELOADING=1`, until the next `READY=1`
    Reloading = 8,
}

/// The [`Announcement`]s of this process. A value of one byte in the memory of the process, so that
/// notifiers of several copies of this library may share it.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct Announced(AtomicU8);

impl Announced {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self(AtomicU8::new(0))
    }

    /// As in a process that has announced nothing.
    pub fn forget(&self) {
        self.0.store(0, Ordering::Release);
    }

    fn has(&self, announcement: Announcement) -> bool {
        self.0.load(Ordering::Acquire) & announcement as u8 != 0
    }

    fn add(&self, announcements: u8) {
        let is = |announcement| announcements & announcement as u8 != 0;
        if is(Announcement::Ready) && !is(Announcement::Reloading) {
            self.0.fetch_and(!(Announcement::Reloading as u8), Ordering::Release);
        }
        // Mostly it was announced before, and looking costs less than writing.
        if announcements & !self.0.load(Ordering::Acquire) != 0 {
            self.0.fetch_or(announcements, Ordering::Release);
        }
    }
}

/// Waiting threads come from a pool that others need too: the VM reads its files with it.
const MOST_WAITING: usize = 4;

impl Notifier {
    /// Only the socket can fail here. A manager that can't be reached shows when sending.
    pub fn open(address: Address, announced: &'static Announced) -> Result<Self, Errno> {
        let transport = match address {
            Address::Unix(peer) => Transport::Unix(Socket::open(peer)?),
            Address::Vsock(peer) => Transport::Vsock(peer),
        };
        Ok(Self {
            transport,
            announced,
            waiting: AtomicUsize::new(0),
            encoded_status: Mutex::default(),
            sent: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        })
    }

    /// Sends by one system call that doesn't block, or not at all.
    pub fn try_send(&self, message: &Message) -> Result<Sent, Errno> {
        let Transport::Unix(socket) = &self.transport else { return Ok(Sent::NotYet) };
        match self.counted(socket.try_send(message.as_bytes())) {
            Ok(()) => Ok(self.sent(message)),
            Err(errno) if is_passing(errno) => Ok(Sent::NotYet),
            Err(errno) => Err(errno),
        }
    }

    /// Sends, and waits for at most `timeout` while the manager's queue is full. `EAGAIN` when
    /// it still is.
    pub fn send(&self, message: &Message, timeout: Duration) -> Result<Sent, Errno> {
        self.send_with_fds(message, &[], timeout)
    }

    /// [`Self::send`] with descriptors, 253 at most.
    pub fn send_with_fds(
        &self,
        message: &Message,
        fds: &[BorrowedFd<'_>],
        timeout: Duration,
    ) -> Result<Sent, Errno> {
        self.send_bytes(message.as_bytes(), fds, timeout).map(|sent| match sent {
            Sent::Done => self.sent(message),
            Sent::NotYet => Sent::NotYet,
        })
    }

    /// Asks the manager to say when it has processed all that was sent before, see
    /// sd_notify_barrier(3). `None` when enough threads wait already.
    pub fn barrier(&self, timeout: Duration) -> Result<Option<Barrier>, Errno> {
        let (reader, writer) = pipe().map_err(errno_of)?;
        match self.send_bytes(b"BARRIER=1", &[writer.as_fd()], timeout)? {
            Sent::Done => Ok(Some(Barrier(reader))),
            Sent::NotYet => Ok(None),
        }
    }

    /// Whether it was announced, by any notifier that shares [`Announced`].
    pub fn has_announced(&self, announcement: Announcement) -> bool {
        self.announced.has(announcement)
    }

    /// Whether the service is up, and neither reloads nor stops.
    pub(crate) fn is_running(&self) -> bool {
        self.has_announced(Announcement::Ready)
            && !self.has_announced(Announcement::Reloading)
            && !self.has_announced(Announcement::Stopping)
    }

    /// The text of the last `STATUS=` that was sent through [`Notifier`].
    pub fn last_status(&self) -> Option<Vec<u8>> {
        self.encoded_status.lock().unwrap_or_else(PoisonError::into_inner).as_deref().map(decoded)
    }

    /// How many datagrams were sent, and how many were given up.
    pub fn counts(&self) -> (u64, u64) {
        (self.sent.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }

    /// Counts one that its sender has given up.
    pub fn count_failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// For threads of our own: sends now or not at all, and leaves [`Self::last_status`] alone.
    pub(crate) fn send_now(&self, message: &Message) -> Result<(), Errno> {
        let result = self.counted(match &self.transport {
            Transport::Unix(socket) => socket.send_until(message.as_bytes(), &[], Instant::now()),
            Transport::Vsock(peer) => {
                let deadline = Instant::now() + Duration::from_millis(100);
                vsock::send_until(peer, message.as_bytes(), deadline)
            }
        });
        // A full queue is tried again.
        if result.is_err_and(|errno| errno != Errno::EAGAIN) {
            self.count_failed();
        }
        result
    }

    /// [`Self::send_now`] for a `STATUS=`, which nobody waits for.
    pub(crate) fn send_status_now(&self, text: &[u8]) {
        let mut message = Message::new();
        if message.push(&Assignment::Status(text)).is_ok() {
            let _ = self.send_now(&message);
        }
    }

    fn send_bytes(
        &self,
        bytes: &[u8],
        fds: &[BorrowedFd<'_>],
        timeout: Duration,
    ) -> Result<Sent, Errno> {
        let place = Place::among(&self.waiting);
        let wait = if place.is_some() { timeout } else { Duration::ZERO };
        let result = self.counted(match &self.transport {
            Transport::Unix(socket) => socket.send_until(bytes, fds, Instant::now() + wait),
            Transport::Vsock(_) if !fds.is_empty() => Err(Errno::EOPNOTSUPP),
            Transport::Vsock(peer) => vsock::send_until(peer, bytes, Instant::now() + wait),
        });
        match result {
            Err(Errno::EAGAIN) if wait < timeout => Ok(Sent::NotYet),
            result => result.map(|()| Sent::Done),
        }
    }

    fn counted(&self, result: Result<(), Errno>) -> Result<(), Errno> {
        if result.is_ok() {
            self.sent.fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    fn sent(&self, message: &Message) -> Sent {
        self.announced.add(message.announcements());
        if let Some(encoded) = message.encoded_status() {
            let mut status = self.encoded_status.lock().unwrap_or_else(PoisonError::into_inner);
            let status = status.get_or_insert_default();
            status.clear();
            status.extend_from_slice(encoded);
        }
        Sent::Done
    }
}

/// What [`Notifier::barrier`] waits on: the manager closes its end.
#[derive(Debug)]
pub struct Barrier(PipeReader);

impl Barrier {
    /// One system call that doesn't block.
    pub fn is_reached(&self) -> Result<bool, Errno> {
        match wait_for(self.0.as_fd(), PollFlags::POLLIN, Instant::now()) {
            Ok(()) => Ok(true),
            Err(Errno::EAGAIN) => Ok(false),
            Err(errno) => Err(errno),
        }
    }
}

/// One of the [`MOST_WAITING`].
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn among(waiting: &'a AtomicUsize) -> Option<Self> {
        let place = Self(waiting);
        (waiting.fetch_add(1, Ordering::AcqRel) < MOST_WAITING).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn is_passing(errno: Errno) -> bool {
    matches!(errno, Errno::EAGAIN | Errno::EINTR) || peer_is_gone(errno)
}
