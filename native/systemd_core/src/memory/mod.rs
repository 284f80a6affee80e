//! The thread that watches what `$MEMORY_PRESSURE_WATCH` names, see "Memory Pressure Handling in systemd".

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

/// What the thread says to its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pressure {
    /// It could not be opened. The thread has ended.
    Failed(Errno),
    /// Memory is short. Said again only after [`MemoryPressure::done`].
    Felt,
    /// The other side has closed it, or the control group is gone. The thread has ended.
    Closed,
}

/// A running watch. Dropping it ends the thread.
#[derive(Debug)]
pub struct MemoryPressure {
    /// Its end of file is the thread's end.
    control: UnixStream,
}

impl MemoryPressure {
    /// Starts the thread, which opens or connects to `path`, writes `data` there, calls `tell`, and otherwise sleeps.
    /// It fails with `EINVAL` where `path` is none of the three kinds of the protocol.
    pub fn start(
        path: PathBuf,
        data: Vec<u8>,
        mut tell: impl FnMut(Pressure) + Send + 'static,
    ) -> Result<Self, Errno> {
        let (control, inbox) = UnixStream::pair().map_err(errno_of)?;
        spawn("sd-pressure", move || match Watched::open(&path, &data) {
            Ok(watched) => run(watched, inbox, tell),
            Err(errno) => tell(Pressure::Failed(errno)),
        })?;
        Ok(Self { control })
    }

    /// What was to be done about [`Pressure::Felt`] is done. What came meanwhile is said once.
    pub fn done(&self) {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        // Where there is no room for another byte, or no thread, none is needed.
        let _ = send(self.control.as_raw_fd(), &[0], flags);
    }

    /// Ends the watch for good, without waiting for the thread.
    pub fn stop(&self) {
        let _ = self.control.shutdown(Shutdown::Both);
    }
}

struct Watched {
    file: File,
    /// A kernel's PSI file, which is never read.
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
        // Any other file would only be overwritten.
        if is_psi && !is_of_the_kernel(&file)? {
            return Err(Errno::EINVAL);
        }
        file.write_all(data).map_err(errno_of)?;
        if kind.is_fifo() {
            // It would come back as an event: as much is taken out again.
            let _ = file.read_exact(&mut vec![0; data.len()]);
        }
        Ok(Self { file, is_psi })
    }

    /// Nothing where there was nothing but a signal, or somebody else has read it.
    fn look(&mut self, events: PollFlags) -> Option<Pressure> {
        if self.is_psi {
            let pressed = events == PollFlags::POLLPRI;
            return Some(if pressed { Pressure::Felt } else { Pressure::Closed });
        }
        // What is left after this much is said afterwards.
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

/// For writing too: without a writer a FIFO would be at its end.
fn opened(path: &Path) -> Result<File, Errno> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(flags.bits()).open(path).map_err(errno_of)
}

fn is_of_the_kernel(file: &File) -> Result<bool, Errno> {
    let kind = fstatfs(file)?.filesystem_type();
    Ok(kind == CGROUP2_SUPER_MAGIC || kind == PROC_SUPER_MAGIC)
}

fn run(mut watched: Watched, mut inbox: UnixStream, mut tell: impl FnMut(Pressure)) {
    while let Some(pressure) = wait(&mut watched, &mut inbox) {
        tell(pressure);
        if pressure == Pressure::Closed || !is_done(&mut inbox) {
            return;
        }
    }
}

/// Until the next event; nothing where the watch is over.
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
        let [told, seen] = fds.map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
        // It was told twice that it's done, or is to end.
        if !told.is_empty() && !is_done(inbox) {
            return None;
        }
        if !seen.is_empty()
            && let Some(pressure) = watched.look(seen)
        {
            return Some(pressure);
        }
    }
}

/// Waits until the owner is done; false where it is gone.
fn is_done(inbox: &mut UnixStream) -> bool {
    inbox.read_exact(&mut [0]).is_ok()
}
