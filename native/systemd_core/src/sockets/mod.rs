pub(crate) mod connections;
mod epoll;
pub(crate) mod fd_name;
pub(crate) mod listen_fds;
pub(crate) mod listener;
pub(crate) mod socket_info;
pub mod stored_term;
