//! A thread of our own.

use crate::errno::errno_of;
use crossbeam_channel::{Receiver, Sender, unbounded};
use nix::errno::Errno;
use nix::sys::signal::SigSet;
use std::thread::{self, JoinHandle};

/// A thread that is told what to do. Dropping it closes its inbox, which must end it, and waits for that.
#[derive(Debug)]
pub(crate) struct Worker<Command> {
    // Dropped in this order.
    commands: Sender<Command>,
    _thread: Joined,
}

impl<Command: Send + 'static> Worker<Command> {
    pub(crate) fn start(
        name: &str,
        run: impl FnOnce(Receiver<Command>) + Send + 'static,
    ) -> Result<Self, Errno> {
        let (commands, inbox) = unbounded();
        Ok(Self { commands, _thread: Joined::start(name, move || run(inbox))? })
    }

    pub(crate) fn tell(&self, command: Command) {
        // A thread that has ended neither needs nor misses it.
        let _ = self.commands.send(command);
    }
}

/// A thread that dropping this waits for.
#[derive(Debug)]
pub(crate) struct Joined(Option<JoinHandle<()>>);

impl Joined {
    pub(crate) fn start(name: &str, run: impl FnOnce() + Send + 'static) -> Result<Self, Errno> {
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            // Signals are the VM's business.
            let _ = SigSet::all().thread_block();
            run();
        });
        Ok(Self(Some(thread.map_err(errno_of)?)))
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            let _ = thread.join();
        }
    }
}
