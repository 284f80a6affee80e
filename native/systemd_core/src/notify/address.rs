//! `$NOTIFY_SOCKET`, as sd_notify(3) defines it.

use nix::sys::socket::{SockType, UnixAddr, VsockAddr};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The address on which systemd listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// A path, or `@` and a name in the abstract namespace.
    Unix(UnixAddr),
    /// `vsock:CID:PORT`: systemd on the host of this virtual machine. The forms `vsock-stream:` and `vsock-seqpacket:`
    /// also set the socket type.
    Vsock(VsockAddr, Option<SockType>),
}

/// `sun_path` has 108 bytes. One of them is the NUL that ends a path or begins an abstract name: see unix(7).
const LONGEST_NAME: usize = 107;

impl Address {
    /// Parses the value of `$NOTIFY_SOCKET`. Returns `None` for any other form, and for a name that is too long for a
    /// socket address.
    pub fn parse(value: &[u8]) -> Option<Self> {
        match value {
            [b'@', name @ ..] if !name.is_empty() && name.len() <= LONGEST_NAME => {
                UnixAddr::new_abstract(name).map(Address::Unix).ok()
            }
            [b'/', ..] if value.len() <= LONGEST_NAME && !value.contains(&0) => {
                let path = Path::new(OsStr::from_bytes(value));
                UnixAddr::new(path).map(Address::Unix).ok()
            }
            _ => parse_vsock(value),
        }
    }
}

fn parse_vsock(value: &[u8]) -> Option<Address> {
    let (kind, address) = std::str::from_utf8(value).ok()?.split_once(':')?;
    let kind = match kind {
        "vsock" => None,
        "vsock-stream" => Some(SockType::Stream),
        "vsock-seqpacket" => Some(SockType::SeqPacket),
        _ => return None,
    };
    let (cid, port) = address.split_once(':')?;
    Some(Address::Vsock(VsockAddr::new(decimal(cid)?, decimal(port)?), kind))
}

fn decimal(digits: &str) -> Option<u32> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_forms() {
        assert_eq!(
            Address::parse(b"/run/systemd/notify"),
            Some(Address::Unix(UnixAddr::new("/run/systemd/notify").unwrap()))
        );
        assert_eq!(
            Address::parse(b"@notify"),
            Some(Address::Unix(UnixAddr::new_abstract(b"notify").unwrap()))
        );
        for (value, kind) in [
            ("vsock:2:1234", None),
            ("vsock-stream:2:1234", Some(SockType::Stream)),
            ("vsock-seqpacket:2:1234", Some(SockType::SeqPacket)),
        ] {
            let expected = Some(Address::Vsock(VsockAddr::new(2, 1234), kind));
            assert_eq!(Address::parse(value.as_bytes()), expected);
        }
    }

    #[test]
    fn anything_else_is_invalid() {
        for value in [
            "",
            "@",
            "run/notify",
            "./notify",
            "vsock:",
            "vsock:2",
            "vsock:2:",
            "vsock:a:1",
            "vsock:2:+1",
            "vsock:2:4294967296",
            "vsock:2:1:1",
            "tcp:1:2",
            "vsock-dgram:1:2",
            "vsock-stream",
        ] {
            assert_eq!(Address::parse(value.as_bytes()), None, "{value:?}");
        }
        assert_eq!(Address::parse(b"/run/a\0b"), None);
    }

    #[test]
    fn the_longest_names_fit_exactly() {
        let path = |len: usize| format!("/{}", "a".repeat(len - 1)).into_bytes();
        assert!(Address::parse(&path(107)).is_some());
        assert_eq!(Address::parse(&path(108)), None);
        let name = |len: usize| format!("@{}", "a".repeat(len)).into_bytes();
        assert!(Address::parse(&name(107)).is_some());
        assert_eq!(Address::parse(&name(108)), None);
    }

    proptest! {
        #[test]
        fn never_panics(value in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Address::parse(&value);
        }

        #[test]
        fn every_absolute_path_that_fits_is_kept(name in "[a-z/._-]{0,100}") {
            let path = format!("/{name}");
            match Address::parse(path.as_bytes()) {
                Some(Address::Unix(address)) => prop_assert_eq!(address.path(), Some(Path::new(&path))),
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }
}
