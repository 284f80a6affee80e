//! Descriptors: which ones systemd has passed, what they are, which connections of a listener have requests, how a
//! listener is taken away from its server, and terms in memfds.

pub(crate) mod connections;
mod epoll;
pub(crate) mod fd_name;
pub(crate) mod listen_fds;
pub(crate) mod listener;
pub(crate) mod socket_info;
pub mod stored_term;
