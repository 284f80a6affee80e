pub(crate) mod fd_store;
pub(crate) mod listen;
pub(crate) mod listener;
