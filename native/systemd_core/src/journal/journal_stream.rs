//! `$JOURNAL_STREAM`, as systemd.exec(5) defines it.

use nix::sys::socket::{UnixAddr, getpeername};
use nix::sys::stat::fstat;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

/// Whether the descriptor is a stream to journald: the one whose device and inode the variable names, or one that is
/// connected to journald's socket for streams. If standard output and standard error are two streams, the variable
/// names only one.
pub fn is_journal_stream(fd: impl AsFd, journal_stream: &[u8]) -> bool {
    is_named(&fd, journal_stream) || peer_is_journald(&fd)
}

/// An example is `StandardError=journal+console`. With `LogNamespace=`, another journald listens in its own folder.
fn peer_is_journald(fd: impl AsFd) -> bool {
    getpeername::<UnixAddr>(fd.as_fd().as_raw_fd())
        .is_ok_and(|peer| peer.path().is_some_and(is_stdout_of_journald))
}

fn is_stdout_of_journald(path: &Path) -> bool {
    let folder = path.strip_prefix("/run/systemd").ok().and_then(|below| below.to_str());
    folder.is_some_and(|below| {
        below == "journal/stdout" || (below.starts_with("journal.") && below.ends_with("/stdout"))
    })
}

fn is_named(fd: impl AsFd, journal_stream: &[u8]) -> bool {
    let named = std::str::from_utf8(journal_stream).ok().and_then(|value| {
        let (device, inode) = value.split_once(':')?;
        Some((device.parse().ok()?, inode.parse().ok()?))
    });
    fstat(fd).is_ok_and(|stat| named == Some((stat.st_dev, stat.st_ino)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;

    #[test]
    fn the_stream_that_is_named_and_no_other() {
        let (one, other) = UnixDatagram::pair().unwrap();
        let stat = fstat(&one).unwrap();
        let name = format!("{}:{}", stat.st_dev, stat.st_ino);
        assert!(is_journal_stream(&one, name.as_bytes()));
        assert!(!is_journal_stream(&other, name.as_bytes()));
        for value in ["", ":", "8:", ":1", "a:b", "8:1:2", "18446744073709551616:1"] {
            assert!(!is_journal_stream(&one, value.as_bytes()), "{value}");
        }
        assert!(!is_journal_stream(&one, b"\xff:1"));
    }

    #[test]
    fn where_journald_takes_streams() {
        for (path, expected) in [
            ("/run/systemd/journal/stdout", true),
            ("/run/systemd/journal.web/stdout", true),
            ("/run/systemd/journal/socket", false),
            ("/run/systemd/journald/stdout", false),
            ("/tmp/run/systemd/journal/stdout", false),
        ] {
            assert_eq!(is_stdout_of_journald(Path::new(path)), expected, "{path}");
        }
    }
}
