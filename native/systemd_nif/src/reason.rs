//! Errors of the kernel as the POSIX atoms that `file` and `inet` use.

use rustler::{Atom, Env};
use systemd_core::Errno;

/// `Errno::ENOENT` as `enoent`.
pub fn posix(env: Env<'_>, errno: Errno) -> Atom {
    let name = format!("{errno:?}").to_ascii_lowercase();
    // A name of the C library is always a valid atom.
    Atom::from_str(env, &name).unwrap_or_else(|_| crate::atoms::error())
}
