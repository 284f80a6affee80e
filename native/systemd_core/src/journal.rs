//! One entry in the journal, written without anybody's help.

use crate::socket::Socket;
use nix::errno::Errno;
use nix::sys::socket::UnixAddr;

const JOURNAL: &str = "/run/systemd/journal/socket";

/// Sends `MESSAGE=` at a syslog priority, see systemd.journal-fields(7). Never blocks.
pub fn write(priority: u8, message: &str) -> Result<(), Errno> {
    let message = message.replace('\n', " ");
    let entry = format!("PRIORITY={priority}\nMESSAGE={message}\n");
    Socket::open(UnixAddr::new(JOURNAL)?)?.try_send(entry.as_bytes())
}
