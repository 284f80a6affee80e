//! systemd's notification and watchdog protocols, for a process that must never block.
//!
//! A [`Notifier`] owns the socket to `$NOTIFY_SOCKET`, a [`Message`] is one datagram made of
//! [`Assignment`]s, and a [`Watchdog`] is the thread that keeps `WatchdogSec=` satisfied for
//! as long as its owner answers. See sd_notify(3) and sd_watchdog_enabled(3).

mod address;
mod assignment;
mod environment;
mod journal;
mod message;
mod notifier;
mod socket;
mod threads;
mod vsock;
mod watchdog;

pub use address::{Address, InvalidAddress};
pub use assignment::{Assignment, NotifyAccess};
pub use environment::{InvalidVariable, watchdog_timeout};
pub use message::{Message, Rejected};
pub use nix::errno::Errno;
pub use notifier::{Announcement, Barrier, Notifier, Sent};
pub use watchdog::{Question, Watchdog};
