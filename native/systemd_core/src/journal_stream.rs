//! `$JOURNAL_STREAM`, as systemd.exec(5) defines it.

use nix::sys::stat::fstat;
use std::os::fd::AsFd;

/// Whether that descriptor is the stream to the journal that the variable names by its device
/// and inode.
pub fn is_journal_stream(fd: impl AsFd, journal_stream: &[u8]) -> bool {
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
}
