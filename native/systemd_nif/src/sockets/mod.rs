//! The NIFs behind `systemd:listen_fds/0`, `systemd:drainer/2` and `systemd:store_fds/1`, and those like them.

pub(crate) mod fd_store;
pub(crate) mod listen;
pub(crate) mod listener;
