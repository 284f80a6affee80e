//! Threads of our own. The library is never unmapped, so that nobody waits for one to end.

use crate::errno::errno_of;
use nix::errno::Errno;
use nix::sys::signal::SigSet;
use std::thread::{self, JoinHandle};

/// `EAGAIN` where `TasksMax=` or `LimitNPROC=` of the unit allows no more.
pub(crate) fn spawn(
    name: &str,
    run: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, Errno> {
    start(name, Box::new(run))
}

/// Once in the library, however many kinds of threads there are.
fn start(name: &str, run: Box<dyn FnOnce() + Send>) -> Result<JoinHandle<()>, Errno> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
        // Signals are the VM's business.
        let _ = SigSet::all().thread_block();
        run();
    });
    thread.map_err(errno_of)
}
