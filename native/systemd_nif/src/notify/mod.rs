//! The NIFs behind `systemd:notify/1`.

pub(crate) mod announced;
pub(crate) mod notifier;
pub(crate) mod states;
