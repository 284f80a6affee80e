//! Sends notifications to systemd.

use super::address::Address;
use super::announced::{Announced, Announcement};
use super::assignment::Assignment;
use super::message::{Message, decoded};
use super::vsock;
use crate::errno::errno_of;
use crate::socket::{Socket, wait_for};
use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{SockType, VsockAddr};
use std::io::{PipeReader, pipe};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Sends [`Message`]s to systemd, from any thread.
#[derive(Debug)]
pub struct Notifier {
    transport: Transport,
    announced: &'static Announced,
    encoded_status: Mutex<Option<Vec<u8>>>,
    sent: AtomicU64,
    failed: AtomicU64,
}

#[derive(Debug)]
enum Transport {
    Unix(Socket),
    Vsock(VsockAddr, Option<SockType>),
}

impl Notifier {
    /// Fails only if the socket can't be opened. If systemd can't be reached, sending fails later.
    pub fn open(address: Address, announced: &'static Announced) -> Result<Self, Errno> {
        let transport = match address {
            Address::Unix(peer) => {
                let socket = Socket::open(peer)?;
                let _ = socket.connect();
                Transport::Unix(socket)
            }
            Address::Vsock(peer, kind) => Transport::Vsock(peer, kind),
        };
        Ok(Self {
            transport,
            announced,
            encoded_status: Mutex::default(),
            sent: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        })
    }

    /// Sends with one non-blocking system call. After any error, [`Self::send`] may still succeed.
    pub fn try_send(&self, message: &Message) -> Result<(), Errno> {
        let Transport::Unix(socket) = &self.transport else { return Err(Errno::EAGAIN) };
        self.counted(socket.try_send(message.as_bytes()))?;
        self.remember(message);
        Ok(())
    }

    /// Sends, and waits until `deadline` while the socket buffer is full. Fails with `EAGAIN` if it is still full then.
    pub fn send(&self, message: &Message, deadline: Instant) -> Result<(), Errno> {
        self.send_with_fds(message, &[], deadline)
    }

    /// [`Self::send`] with descriptors: at most 252, which every libc can send.
    pub fn send_with_fds(
        &self,
        message: &Message,
        fds: &[BorrowedFd<'_>],
        deadline: Instant,
    ) -> Result<(), Errno> {
        let result = match &self.transport {
            Transport::Unix(socket) => socket.send_until(message.as_bytes(), fds, deadline),
            Transport::Vsock(..) if !fds.is_empty() => Err(Errno::EOPNOTSUPP),
            Transport::Vsock(peer, kind) => {
                vsock::send_until(peer, *kind, message.as_bytes(), deadline)
            }
        };
        self.counted(result)?;
        self.remember(message);
        Ok(())
    }

    /// Whether any notifier that shares [`Announced`] has sent this announcement.
    pub fn has_announced(&self, announcement: Announcement) -> bool {
        self.announced.has(announcement)
    }

    /// Whether the service has started, and is neither reloading nor stopping.
    pub(crate) fn is_running(&self) -> bool {
        self.has_announced(Announcement::Ready)
            && !self.has_announced(Announcement::Reloading)
            && !self.has_announced(Announcement::Stopping)
    }

    /// The text of the last `STATUS=` that this notifier sent for a caller. Lines of this library's own threads don't
    /// count.
    pub fn last_status(&self) -> Option<Vec<u8>> {
        self.encoded_status.lock().unwrap_or_else(PoisonError::into_inner).as_deref().map(decoded)
    }

    /// How many datagrams were sent, and how many were given up on.
    pub fn counts(&self) -> (u64, u64) {
        (self.sent.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }

    /// Counts a datagram that its sender has given up on.
    pub fn count_failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// For this library's threads. Sends without waiting (over vsock, it waits for at most 100 ms), and records neither
    /// announcements nor [`Self::last_status`].
    pub(crate) fn send_now(&self, message: &Message) -> Result<(), Errno> {
        let result = self.counted(match &self.transport {
            Transport::Unix(socket) => socket.send_until(message.as_bytes(), &[], Instant::now()),
            Transport::Vsock(peer, kind) => {
                let deadline = Instant::now() + Duration::from_millis(100);
                vsock::send_until(peer, *kind, message.as_bytes(), deadline)
            }
        });
        // The watchdog's thread retries after `EAGAIN`, so the message has not failed yet.
        if result.is_err_and(|errno| errno != Errno::EAGAIN) {
            self.count_failed();
        }
        result
    }

    pub(crate) fn send_status_now(&self, text: &[u8]) {
        let message = Message::of(&Assignment::Status(text));
        let _ = message.and_then(|message| self.send_now(&message));
    }

    fn counted(&self, result: Result<(), Errno>) -> Result<(), Errno> {
        if result.is_ok() {
            self.sent.fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    fn remember(&self, message: &Message) {
        self.announced.add(message.announcements());
        if let Some(encoded) = message.encoded_status() {
            let mut status = self.encoded_status.lock().unwrap_or_else(PoisonError::into_inner);
            let status = status.get_or_insert_default();
            status.clear();
            status.extend_from_slice(encoded);
        }
    }
}

/// Reached when systemd has processed all earlier notifications: see sd_notify_barrier(3).
#[derive(Debug)]
pub struct Barrier(PipeReader);

impl Barrier {
    /// Also returns the descriptor to send with [`Assignment::Barrier`]. The caller closes it after sending.
    pub fn new() -> Result<(Self, OwnedFd), Errno> {
        let (reader, writer) = pipe().map_err(errno_of)?;
        Ok((Self(reader), writer.into()))
    }

    /// Checks with one non-blocking system call.
    pub fn is_reached(&self) -> Result<bool, Errno> {
        match wait_for(self.0.as_fd(), PollFlags::POLLIN, Instant::now()) {
            Ok(()) => Ok(true),
            Err(Errno::EAGAIN) => Ok(false),
            Err(errno) => Err(errno),
        }
    }
}
