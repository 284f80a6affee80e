//! The watchdog as its owner sees it, see sd_watchdog_enabled(3). [`keeper`] is the thread behind it.

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

/// What the thread says to its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Are you well? The owner answers by [`Watchdog::answer`] with this tick.
    Tick(u64),
    /// The answer to that tick is overdue, and the journal says so.
    Overdue(u64),
    /// The service runs, and that answer is overdue for three quarters of the timeout. In a moment the thread does
    /// what [`Settings::on_hang`] says.
    Hangs(u64),
    /// For the process that is bound to the scheduler of that number: as soon as it runs, it calls [`Watchdog::ran`].
    Wake(usize),
    /// A scheduler is stuck. Which processes do not answer? The owner says so by [`Watchdog::found`].
    Stuck,
    /// `WATCHDOG=1` could not be sent.
    PingFailed(Errno),
}

/// The owner's answer to an [`Event::Tick`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The thread sends `WATCHDOG=1`.
    Well,
    /// It sends nothing.
    NotWell,
    /// It sends no ping, and this text as `STATUS=`, which stays until all is well again.
    Failed(String),
}

/// What the thread does about a VM that hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnHang {
    /// Nothing: the manager's timeout runs out.
    Withhold,
    /// It sends `WATCHDOG=trigger`, on which the manager acts as if the timeout had run out.
    Trigger,
    /// It raises SIGABRT, for a core dump.
    Abort,
}

/// For [`Watchdog::start`].
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The manager's, from `WatchdogSec=`.
    pub timeout: Duration,
    /// Between two questions.
    pub interval: Duration,
    /// An answer that takes longer is overdue: the journal and `STATUS=` say so.
    pub warn_after: Duration,
    /// For an answer that is still overdue after three quarters of the timeout.
    pub on_hang: OnHang,
    /// How many the VM has.
    pub schedulers: usize,
}

/// A running watchdog. It pings only after [`Verdict::Well`] for the tick that it asked last. Dropping it ends the
/// thread.
#[derive(Debug)]
pub struct Watchdog(Sender<Command>);

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Watchdog {
    /// Starts the thread. It asks at once, and then every interval, but never while an answer is outstanding. A second
    /// thread calls `tell`.
    pub fn start(
        notifier: Arc<Notifier>,
        settings: Settings,
        tell: impl FnMut(Event) + Send + 'static,
    ) -> Result<Self, Errno> {
        Self::start_in(PathBuf::from("/proc/self"), notifier, settings, tell)
    }

    fn start_in(
        process: PathBuf,
        notifier: Arc<Notifier>,
        settings: Settings,
        tell: impl FnMut(Event) + Send + 'static,
    ) -> Result<Self, Errno> {
        // Not by the watchdog's thread: `tell` runs code of the VM, which is not locked in memory, see `mlock`.
        let (events, said) = unbounded();
        spawn("sd-tell", move || said.into_iter().for_each(tell))?;
        keeper::start(process, notifier, settings, events).map(Self)
    }

    fn tell(&self, command: Command) {
        // It fails after the thread has ended, when there is nothing left to do.
        let _ = self.0.send(command);
    }

    /// Answers an [`Event::Tick`]. The thread ignores answers to earlier ticks.
    pub fn answer(&self, tick: u64, verdict: Verdict) {
        self.tell(Command::Answer { tick, verdict });
    }

    /// Says that the owner works on an answer. `run_queues` has the lengths of the VM's run queues, `online` is the
    /// number of schedulers online, and `busy` has the numbers of those with something to run, without the owner's.
    pub fn take_up(&self, tick: u64, run_queues: Vec<u64>, online: usize, busy: Vec<usize>) {
        self.tell(Command::TakeUp { tick, run_queues, online, busy });
    }

    /// Answers an [`Event::Wake`]: the scheduler of that number runs processes.
    pub fn ran(&self, number: usize) {
        self.tell(Command::Ran(number));
    }

    /// Answers an [`Event::Stuck`].
    pub fn found(&self, processes: &str) {
        self.tell(Command::Found(processes.to_owned()));
    }

    /// Says what is being checked for an answer.
    pub fn checking(&self, tick: u64, what: &str) {
        self.tell(Command::Check { tick, what: what.to_owned() });
    }

    /// Asks again, at once.
    pub fn enable(&self) {
        self.tell(Command::Enable);
    }

    /// Neither asks nor pings until [`Watchdog::enable`].
    pub fn disable(&self) {
        self.tell(Command::Disable);
    }

    /// Ends asking and pinging for good, without waiting for the thread.
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

    /// As in a service above its `MemoryHigh=`, where the kernel puts a thread that opens a file to sleep.
    #[test]
    fn nothing_waits_for_what_is_read() {
        let name = format!("systemd-core-held-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        let address = Address::parse(format!("@{name}").as_bytes()).unwrap();
        let notifier = Arc::new(Notifier::open(address, Box::leak(Box::default())).unwrap());
        let process = std::env::temp_dir().join(&name);
        std::fs::create_dir_all(process.join("task/1")).unwrap();
        // Opening it waits for a writer.
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
        watchdog.answer(1, Verdict::Well);
        let len = manager.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..len], b"STATUS=\n");
        let len = manager.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..len], b"WATCHDOG=1\n");
        drop(watchdog);
        std::fs::write(process.join("task/1/stat"), "1 (one) S").unwrap();
        std::fs::remove_dir_all(process).unwrap();
    }
}
