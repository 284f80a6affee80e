//! Variables of the environment.

use crate::budget::Budget;
use crate::chardata::text;
use crate::{atoms, binary};
use rustler::{Atom, Binary, Encoder, Env, Term};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::parent_id;

/// One that the process was started with, which outlives `os:unsetenv/1` and `init:restart/0`;
/// `false` if it was not set.
#[rustler::nif]
fn initial_env<'a>(env: Env<'a>, name: Binary<'a>) -> Term<'a> {
    match std::env::var_os(OsStr::from_bytes(name.as_slice())) {
        Some(value) => binary(env, value.as_bytes()),
        None => false.encode(env),
    }
}

/// The inode of this process's pidfd; `false` where that is not its own.
#[rustler::nif(schedule = "DirtyIo")]
fn pidfd_id(env: Env<'_>) -> Term<'_> {
    systemd_core::own_pidfd_id().map_or_else(|| false.encode(env), |id| id.encode(env))
}

/// One that is not set is `false`, as `os:getenv/1` has it.
pub fn value(variable: Term<'_>) -> Option<&[u8]> {
    variable.decode::<Binary<'_>>().ok().map(|value| value.as_slice())
}

/// What the process whose number the manager gives as a text is to this one: `own`; `parent`, which has started it, or
/// takes in orphans; or `other`.
#[rustler::nif]
fn relation(pid: Term<'_>) -> Atom {
    let pid = text(pid, &mut Budget::MESSAGE.clone()).unwrap_or_default();
    match std::str::from_utf8(&pid).ok().and_then(|pid| pid.parse().ok()) {
        Some(pid) if systemd_core::is_meant(pid, std::process::id()) => atoms::own(),
        Some(pid) if pid == u64::from(parent_id()) => atoms::parent(),
        _ => atoms::other(),
    }
}
