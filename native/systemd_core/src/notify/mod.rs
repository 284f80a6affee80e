//! Notifications: see sd_notify(3).

pub(crate) mod address;
pub(crate) mod announced;
pub(crate) mod assignment;
pub(crate) mod message;
pub(crate) mod notifier;
pub(crate) mod vsock;
