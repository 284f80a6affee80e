//! Variables of the environment.

use crate::binary;
use rustler::{Binary, Encoder, Env, Term};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// One that the process was started with, which outlives `os:unsetenv/1` and `init:restart/0`;
/// `false` if it was not set.
#[rustler::nif]
fn initial_env<'a>(env: Env<'a>, name: Binary<'a>) -> Term<'a> {
    match std::env::var_os(OsStr::from_bytes(name.as_slice())) {
        Some(value) => binary(env, value.as_bytes()),
        None => false.encode(env),
    }
}

/// One that is not set is `false`, as `os:getenv/1` has it.
pub fn value(variable: Term<'_>) -> Option<&[u8]> {
    variable.decode::<Binary<'_>>().ok().map(|value| value.as_slice())
}

/// Whether the manager means this process by that number.
#[rustler::nif]
fn is_meant(pid: u64) -> bool {
    systemd_core::is_meant(pid, std::process::id())
}

/// The process that has started this one, or that takes in orphans.
#[rustler::nif]
fn parent() -> u32 {
    std::os::unix::process::parent_id()
}
