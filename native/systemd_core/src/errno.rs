//! Converts errors of the standard library to [`Errno`].

use nix::errno::Errno;
use std::io::Error;

pub fn errno_of(error: Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or_default())
}
