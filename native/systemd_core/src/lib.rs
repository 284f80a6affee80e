//! systemd's notification, watchdog and journal protocols, for a process that must never block.
//!
//! A [`Notifier`] owns the socket to `$NOTIFY_SOCKET`, a [`Message`] is one datagram made of
//! [`Assignment`]s, and a [`Watchdog`] is the thread that keeps `WatchdogSec=` satisfied for
//! as long as its owner answers. See sd_notify(3) and sd_watchdog_enabled(3).
//!
//! A [`Journal`] owns the socket to journald, and an [`Entry`] is what it sends: see
//! systemd-journald.service(8) and systemd.journal-fields(7).

mod address;
mod assignment;
mod entry;
mod environment;
mod field_name;
mod journal;
mod journal_stream;
mod line;
mod memfd;
mod message;
mod notifier;
mod socket;
mod threads;
mod timestamp;
mod vsock;
mod watchdog;

pub use address::{Address, InvalidAddress};
pub use assignment::{Assignment, NotifyAccess};
pub use entry::Entry;
pub use environment::{InvalidVariable, watchdog_timeout};
pub use field_name::FieldName;
pub use journal::Journal;
pub use journal_stream::is_journal_stream;
pub use line::Line;
pub use message::{Message, Rejected};
pub use nix::errno::Errno;
pub use notifier::{Announcement, Barrier, Notifier, Sent};
pub use timestamp::rfc3339;
pub use watchdog::{Question, Watchdog};
