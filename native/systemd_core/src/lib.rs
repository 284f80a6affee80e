//! systemd's notification, watchdog and journal protocols, for a process that must never block.
//!
//! A [`Notifier`] owns the socket to `$NOTIFY_SOCKET`, a [`Message`] is one datagram made of
//! [`Assignment`]s, and a [`Watchdog`] is the thread that keeps `WatchdogSec=` satisfied for
//! as long as its owner answers. See sd_notify(3) and sd_watchdog_enabled(3).
//!
//! [`listen_fds`] are the descriptors that the manager hands over, [`socket_info`] tells what they are,
//! and [`stored_term`] keeps what is to outlive the process. See sd_listen_fds(3), and `FDSTORE=1` in
//! sd_notify(3).
//!
//! A [`MemoryPressure`] is the thread that tells when memory is short: see "Memory Pressure Handling in
//! systemd".
//!
//! A [`Journal`] owns the socket to journald, and an [`Entry`] is what it sends: see
//! systemd-journald.service(8) and systemd.journal-fields(7).

mod activity;
mod address;
mod announced;
mod assignment;
mod entry;
mod environment;
mod errno;
mod fd_name;
mod field_name;
mod jobs;
mod journal;
mod journal_stream;
mod listen_fds;
mod memfd;
mod memory_pressure;
mod message;
mod notifier;
mod overdue;
mod raw_fd;
mod resident;
mod socket;
mod socket_info;
mod stall;
pub mod stored_term;
mod threads;
mod timestamp;
mod vsock;
mod watchdog;
mod worker;

pub use address::Address;
pub use announced::{Announced, Announcement};
pub use assignment::Assignment;
pub use entry::Entry;
pub use environment::{InvalidVariable, watchdog_timeout};
pub use fd_name::FdName;
pub use field_name::FieldName;
pub use jobs::Jobs;
pub use journal::Journal;
pub use journal_stream::is_journal_stream;
pub use listen_fds::{Named, NotHandedOver, hand_out, listen_fds};
pub use memory_pressure::{MemoryPressure, Pressure};
pub use message::{Message, Rejected};
pub use nix::errno::Errno;
pub use nix::sys::socket::SockType;
pub use notifier::{Barrier, Notifier};
pub use raw_fd::duplicate;
pub use socket_info::{LocalAddress, SocketInfo, socket_info};
pub use timestamp::rfc3339;
pub use watchdog::{Event, OnHang, Settings, Verdict, Watchdog};
