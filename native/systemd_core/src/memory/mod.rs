//! The thread that watches the file in `$MEMORY_PRESSURE_WATCH`: see "Memory Pressure Handling in systemd".

use crate::errno::errno_of;
use crate::worker::spawn;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, send, socket,
};
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, PROC_SUPER_MAGIC, fstatfs};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// A message from the thread to its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pressure {
    /// The file could not be opened. The thread has ended.
    Failed(Errno),
    /// Memory is short. The next message comes only after [`MemoryPressure::done`].
    Felt,
    /// The peer has closed the file, or the control group is gone. The thread has ended.
    Closed,
}

/// A running watch. Dropping it ends the thread.
#[derive(Debug)]
pub struct MemoryPressure {
    /// End of file on this socket ends the thread.
    control: UnixStream,
}

impl MemoryPressure {
    /// Starts the thread. It opens `path` or connects to it, writes `data` there, and calls `on_pressure` for each
    /// event. If `path` is none of the protocol's three kinds of file, it sends [`Pressure::Failed`] with `EINVAL`.
    pub fn start(
        path: PathBuf,
        data: Vec<u8>,
        mut on_pressure: impl FnMut(Pressure) + Send + 'static,
    ) -> Result<Self, Errno> {
        let (control, inbox) = UnixStream::pair().map_err(errno_of)?;
        spawn("sd-pressure", move || match Watched::open(&path, &data) {
            Ok(watched) => run(watched, inbox, on_pressure),
            Err(errno) => on_pressure(Pressure::Failed(errno)),
        })?;
        Ok(Self { control })
    }

    /// Ends the handling of a [`Pressure::Felt`]. All events since then become one message.
    pub fn done(&self) {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        // If there is no room for another byte, or no thread, no byte is needed.
        let _ = send(self.control.as_raw_fd(), &[0], flags);
    }

    /// Ends the thread, without waiting for it.
    pub fn stop(&self) {
        let _ = self.control.shutdown(Shutdown::Both);
    }
}

struct Watched {
    file: File,
    /// Whether this is a PSI file of the kernel. It is never read.
    is_psi: bool,
}

impl Watched {
    fn open(path: &Path, data: &[u8]) -> Result<Self, Errno> {
        if !path.is_absolute() {
            return Err(Errno::EINVAL);
        }
        let kind = path.metadata().map_err(errno_of)?.file_type();
        let is_psi = kind.is_file();
        let mut file = if kind.is_socket() {
            connected(path)?
        } else if kind.is_fifo() || is_psi {
            opened(path)?
        } else {
            return Err(Errno::EINVAL);
        };
        // Writing to any other regular file would overwrite it.
        if is_psi && !is_of_the_kernel(&file)? {
            return Err(Errno::EINVAL);
        }
        file.write_all(data).map_err(errno_of)?;
        if kind.is_fifo() {
            // A FIFO would return the data as an event, so this reads it back at once.
            let _ = file.read_exact(&mut vec![0; data.len()]);
        }
        Ok(Self { file, is_psi })
    }

    /// Returns `None` if a signal has interrupted the read, or another process has read the data.
    fn look(&mut self, events: PollFlags) -> Option<Pressure> {
        if self.is_psi {
            let pressed = events == PollFlags::POLLPRI;
            return Some(if pressed { Pressure::Felt } else { Pressure::Closed });
        }
        // Data beyond this size becomes another event.
        match self.file.read(&mut [0; 1 << 16]) {
            Ok(0) => Some(Pressure::Closed),
            Ok(_) => Some(Pressure::Felt),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::Interrupted => None,
                _ => Some(Pressure::Closed),
            },
        }
    }
}

fn connected(path: &Path) -> Result<File, Errno> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(File::from(fd))
}

/// Opens it for writing too: a FIFO without a writer would be at its end of file.
fn opened(path: &Path) -> Result<File, Errno> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(flags.bits()).open(path).map_err(errno_of)
}

fn is_of_the_kernel(file: &File) -> Result<bool, Errno> {
    let kind = fstatfs(file)?.filesystem_type();
    Ok(kind == CGROUP2_SUPER_MAGIC || kind == PROC_SUPER_MAGIC)
}

fn run(mut watched: Watched, mut inbox: UnixStream, mut on_pressure: impl FnMut(Pressure)) {
    while let Some(pressure) = wait(&mut watched, &mut inbox) {
        on_pressure(pressure);
        if pressure == Pressure::Closed || !is_done(&mut inbox) {
            return;
        }
    }
}

/// Waits for the next event. Returns `None` when the watch has ended.
fn wait(watched: &mut Watched, inbox: &mut UnixStream) -> Option<Pressure> {
    let events = if watched.is_psi { PollFlags::POLLPRI } else { PollFlags::POLLIN };
    loop {
        let mut fds = [
            PollFd::new(inbox.as_fd(), PollFlags::POLLIN),
            PollFd::new(watched.file.as_fd(), events),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => (),
            Err(_) => return Some(Pressure::Closed),
        }
        let [inbox_events, file_events] =
            fds.map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
        // The owner has called `done` more often than necessary, or has ended the watch.
        if !inbox_events.is_empty() && !is_done(inbox) {
            return None;
        }
        if !file_events.is_empty()
            && let Some(pressure) = watched.look(file_events)
        {
            return Some(pressure);
        }
    }
}

/// Waits until the owner is done. Returns false if the owner is gone.
fn is_done(inbox: &mut UnixStream) -> bool {
    inbox.read_exact(&mut [0]).is_ok()
}
