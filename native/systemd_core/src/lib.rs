//! systemd's notification, watchdog and journal protocols, for a process that must never block.
//!
//! A [`Notifier`] owns the socket to `$NOTIFY_SOCKET`. A [`Message`] is one datagram of [`Assignment`]s. A [`Watchdog`]
//! is the thread that satisfies `WatchdogSec=` for as long as its owner answers. See sd_notify(3) and
//! sd_watchdog_enabled(3).
//!
//! [`listen_fds`] returns the descriptors that systemd has passed, and [`socket_info`] describes one of them.
//! [`stored_term`] keeps state that outlives the process. See sd_listen_fds(3), and `FDSTORE=1` in sd_notify(3).
//!
//! A [`MemoryPressure`] is the thread that reports when memory is short: see "Memory Pressure Handling in systemd".
//!
//! A [`Journal`] owns the socket to journald, and sends each [`Entry`] there: see systemd-journald.service(8) and
//! systemd.journal-fields(7).

mod environment;
mod errno;
mod jobs;
mod journal;
mod memfd;
mod memory;
mod notify;
mod pidfd;
mod raw_fd;
mod socket;
mod sockets;
mod watchdog;
mod worker;

pub use environment::{InvalidVariable, WatchdogTimeout, is_meant, watchdog_timeout};
pub use jobs::Jobs;
pub use journal::Journal;
pub use journal::entry::Entry;
pub use journal::field_name::FieldName;
pub use journal::journal_stream::is_journal_stream;
pub use journal::timestamp::rfc3339;
pub use memory::{MemoryPressure, Pressure};
pub use nix::errno::Errno;
pub use nix::sys::socket::SockType;
pub use notify::address::Address;
pub use notify::announced::{Announced, Announcement};
pub use notify::assignment::Assignment;
pub use notify::message::{Message, Rejected};
pub use notify::notifier::{Barrier, Notifier};
pub use pidfd::own_pidfd_id;
pub use raw_fd::duplicate;
pub use sockets::connections::{Connections, connections};
pub use sockets::fd_name::FdName;
pub use sockets::listen_fds::{HandedOver, Named, hand_out, listen_fds};
pub use sockets::listener::{TakenAway, listening_on, take_away};
pub use sockets::socket_info::{LocalAddress, SocketInfo, socket_info};
pub use sockets::stored_term;
pub use watchdog::memory::{exceeded, resident_memory, unit_memory};
pub use watchdog::{Event, OnHang, Settings, Verdict, Watchdog};
