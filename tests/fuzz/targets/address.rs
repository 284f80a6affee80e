//! `$NOTIFY_SOCKET`: what is taken, written out again, is what was given.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::os::unix::ffi::OsStrExt;
use systemd_core::{Address, SockType};

fuzz_target!(|value: &[u8]| {
    match Address::parse(value) {
        Some(Address::Unix(address)) => match (address.path(), address.as_abstract()) {
            (Some(path), None) => assert_eq!(path.as_os_str().as_bytes(), value),
            (None, Some(name)) => assert_eq!([b"@", name].concat(), value),
            other => panic!("{other:?}"),
        },
        Some(Address::Vsock(address, kind)) => {
            let given: Vec<_> = value.split(|&byte| byte == b':').map(without_zeros).collect();
            let [cid, port] = [address.cid(), address.port()].map(|number| number.to_string());
            let kind: &[u8] = match kind {
                None => b"vsock",
                Some(SockType::Stream) => b"vsock-stream",
                Some(_) => b"vsock-seqpacket",
            };
            assert_eq!(
                given,
                [kind, without_zeros(cid.as_bytes()), without_zeros(port.as_bytes())]
            );
        }
        None => assert!(!is_short_path(value), "refused"),
    }
});

fn without_zeros(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
    &digits[zeros..]
}

fn is_short_path(value: &[u8]) -> bool {
    value.starts_with(b"/") && value.len() < 108 && !value.contains(&0)
}
