//! The watchdog's interface: see sd_watchdog_enabled(3). [`keeper`] is its thread.

pub(crate) mod activity;
pub(crate) mod keeper;
pub(crate) mod memory;
pub(crate) mod mlock;
pub(crate) mod overdue;
pub(crate) mod question;
pub(crate) mod schedulers;
pub(crate) mod status;
pub(crate) mod stuck;
pub(crate) mod thread_dump;
pub(crate) mod threads;

use crate::notify::notifier::Notifier;
use crate::worker::spawn;
use crossbeam_channel::{Sender, unbounded};
use keeper::Command;
use nix::errno::Errno;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A message from the thread to its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Asks whether the VM is healthy. The owner answers with [`Watchdog::answer`] and this tick.
    Tick(u64),
    /// The answer to this tick is overdue. The journal already has an entry about it.
    Overdue(u64),
    /// The service runs, and this tick has had no answer for three quarters of the timeout. Shortly afterwards the
    /// thread does what [`Settings::on_hang`] says.
    Hangs(u64),
    /// For the process that is bound to the scheduler with this number. As soon as it runs, it calls [`Watchdog::ran`].
    Wake(usize),
    /// A scheduler is stuck. The owner finds out which processes do not answer, and calls [`Watchdog::found`].
    Stuck,
    /// `WATCHDOG=1` or `WATCHDOG=trigger` could not be sent.
    PingFailed(Errno),
}

/// The owner's answer to an [`Event::Tick`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The thread sends `WATCHDOG=1`.
    Healthy,
    /// The thread sends nothing.
    Unhealthy,
    /// The thread sends no ping. It shows this text in `STATUS=` until the VM is healthy again.
    Failed(String),
}

/// What the thread does about a VM that hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnHang {
    /// Nothing: the timeout of systemd expires.
    Withhold,
    /// It sends `WATCHDOG=trigger`. systemd then acts as if the timeout had expired.
    Trigger,
    /// It aborts the VM with SIGABRT, for a core dump.
    Abort,
}

/// Settings for [`Watchdog::start`].
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The timeout of systemd, from `WatchdogSec=`.
    pub timeout: Duration,
    /// The time between two questions.
    pub interval: Duration,
    /// An answer that takes longer is overdue, and is reported in the journal and in `STATUS=`.
    pub warn_after: Duration,
    /// What to do if there is no answer after three quarters of the timeout.
    pub on_hang: OnHang,
    /// The number of the VM's schedulers.
    pub schedulers: usize,
}

/// A running watchdog. It pings only after [`Verdict::Healthy`] for its last tick. Dropping it ends the thread.
#[derive(Debug)]
pub struct Watchdog(Sender<Command>);

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Watchdog {
    /// Starts the thread. It asks at once, and then every interval, but never while an answer is outstanding. A second
    /// thread calls `on_event`.
    pub fn start(
        notifier: Arc<Notifier>,
        settings: Settings,
        on_event: impl FnMut(Event) + Send + 'static,
    ) -> Result<Self, Errno> {
        Self::start_in(PathBuf::from("/proc/self"), notifier, settings, on_event)
    }

    fn start_in(
        process: PathBuf,
        notifier: Arc<Notifier>,
        settings: Settings,
        on_event: impl FnMut(Event) + Send + 'static,
    ) -> Result<Self, Errno> {
        // The watchdog's thread does not call `on_event`: that runs code of the VM, which is not locked in memory. See
        // `mlock`.
        let (events, inbox) = unbounded();
        spawn("sd-tell", move || inbox.into_iter().for_each(on_event))?;
        keeper::start(process, notifier, settings, events).map(Self)
    }

    fn tell(&self, command: Command) {
        // This fails only after the thread has ended, and then there is nothing to do.
        let _ = self.0.send(command);
    }

    /// Answers an [`Event::Tick`]. The thread ignores answers to earlier ticks.
    pub fn answer(&self, tick: u64, verdict: Verdict) {
        self.tell(Command::Answer { tick, verdict });
    }

    /// Reports that the owner has received the question. `run_queues` are the lengths of the VM's run queues. `online`
    /// is the number of schedulers online. `busy` are the numbers of the schedulers that have something to run, without
    /// the owner's.
    pub fn received(&self, tick: u64, run_queues: Vec<u64>, online: usize, busy: Vec<usize>) {
        self.tell(Command::Received { tick, run_queues, online, busy });
    }

    /// Answers an [`Event::Wake`]: the scheduler with this number runs processes.
    pub fn ran(&self, number: usize) {
        self.tell(Command::Ran(number));
    }

    /// Answers an [`Event::Stuck`].
    pub fn found(&self, processes: &str) {
        self.tell(Command::Found(processes.to_owned()));
    }

    /// Reports what is being checked for an answer.
    pub fn checking(&self, tick: u64, what: &str) {
        self.tell(Command::Check { tick, what: what.to_owned() });
    }

    /// Asks the next question at once, if it was disabled.
    pub fn enable(&self) {
        self.tell(Command::Enable);
    }

    /// Stops asking and pinging until [`Watchdog::enable`].
    pub fn disable(&self) {
        self.tell(Command::Disable);
    }

    /// Ends the thread, without waiting for it.
    pub fn stop(&self) {
        self.tell(Command::Stop);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::address::Address;
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    use std::sync::mpsc::channel;

    /// Like a service above its `MemoryHigh=`, where the kernel puts a thread that opens a file to sleep.
    #[test]
    fn nothing_waits_for_what_is_read() {
        let name = format!("systemd-core-held-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        let address = Address::parse(format!("@{name}").as_bytes()).unwrap();
        let notifier = Arc::new(Notifier::open(address, Box::leak(Box::default())).unwrap());
        let process = std::env::temp_dir().join(&name);
        std::fs::create_dir_all(process.join("task/1")).unwrap();
        // Opening a FIFO waits for a writer.
        mkfifo(&process.join("task/1/stat"), Mode::S_IRWXU).unwrap();

        let second = Duration::from_secs(1);
        let settings = Settings {
            timeout: second * 2,
            interval: second,
            warn_after: second / 5,
            on_hang: OnHang::Withhold,
            schedulers: 0,
        };
        let (tell, events) = channel();
        let tell = move |event| tell.send(event).unwrap_or_default();
        let watchdog = Watchdog::start_in(process.clone(), notifier, settings, tell).unwrap();
        manager.set_read_timeout(Some(second * 5)).unwrap();
        let mut bytes = [0; 5000];
        let len = manager.recv(&mut bytes).unwrap();
        assert!(bytes[..len].starts_with(b"STATUS=watchdog: VM unresponsive for "));
        assert_eq!(events.recv(), Ok(Event::Tick(1)));
        assert_eq!(events.recv(), Ok(Event::Overdue(1)));
        watchdog.answer(1, Verdict::Healthy);
        let len = manager.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..len], b"STATUS=\n");
        let len = manager.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..len], b"WATCHDOG=1\n");
        drop(watchdog);
        std::fs::write(process.join("task/1/stat"), "1 (one) S").unwrap();
        std::fs::remove_dir_all(process).unwrap();
    }
}
