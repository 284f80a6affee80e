//! The NIFs for environment variables and PIDs.

use crate::budget::Budget;
use crate::chardata::text;
use crate::{atoms, binary};
use rustler::{Atom, Binary, Encoder, Env, Term};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::parent_id;

/// Returns a variable that the process was started with. It outlives `os:unsetenv/1` and `init:restart/0`. Returns
/// `false` if it was not set.
#[rustler::nif]
fn initial_env<'a>(env: Env<'a>, name: Binary<'a>) -> Term<'a> {
    match std::env::var_os(OsStr::from_bytes(name.as_slice())) {
        Some(value) => binary(env, value.as_bytes()),
        None => false.encode(env),
    }
}

/// Returns the inode of this process's pidfd, or `false` if the kernel does not give each process its own inode.
#[rustler::nif(schedule = "DirtyIo")]
fn pidfd_id(env: Env<'_>) -> Term<'_> {
    systemd_core::own_pidfd_id().map_or_else(|| false.encode(env), |id| id.encode(env))
}

/// Decodes the value of a variable. `false` stands for one that is not set, as in `os:getenv/1`.
pub fn value(variable: Term<'_>) -> Option<&[u8]> {
    variable.decode::<Binary<'_>>().ok().map(|value| value.as_slice())
}

/// Returns which process systemd means by a PID, which is given as text: `own`, `parent` or `other`. The parent has
/// started this process, or adopts orphans.
#[rustler::nif]
fn relation(pid: Term<'_>) -> Atom {
    let pid = text(pid, &mut Budget::MESSAGE.clone()).unwrap_or_default();
    match std::str::from_utf8(&pid).ok().and_then(|pid| pid.parse().ok()) {
        Some(pid) if systemd_core::is_meant(pid, std::process::id()) => atoms::own(),
        Some(pid) if pid == u64::from(parent_id()) => atoms::parent(),
        _ => atoms::other(),
    }
}
