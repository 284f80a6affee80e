//! This library's threads. The library is never unmapped, so nothing has to wait for a thread to end.

use crate::errno::errno_of;
use nix::errno::Errno;
use nix::sys::signal::SigSet;
use std::thread::{self, JoinHandle};

/// Fails with `EAGAIN` if the unit's `TasksMax=` or `LimitNPROC=` allows no more threads.
pub(crate) fn spawn(
    name: &str,
    run: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, Errno> {
    start(name, Box::new(run))
}

/// Not generic, so that the library has this code only once.
fn start(name: &str, run: Box<dyn FnOnce() + Send>) -> Result<JoinHandle<()>, Errno> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
        // The VM's own threads handle signals.
        let _ = SigSet::all().thread_block();
        run();
    });
    thread.map_err(errno_of)
}
