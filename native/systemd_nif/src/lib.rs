//! The NIF library of the Erlang module `systemd_nif`: terms in, terms out.

mod chardata;
mod immediate;
mod journal;
mod layout;
mod list;
mod notifier;
mod reason;
mod states;
mod value;
mod watchdog;

use rustler::{Binary, Encoder, Env, NewBinary, Term};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

rustler::init!("systemd_nif");

mod atoms {
    rustler::atoms! {
        ok,
        error,
        undefined,
        // results
        again,
        busy,
        format,
        badarg,
        invalid_state,
        invalid_value,
        invalid_notify_socket,
        emsgsize,
        invalid_message,
        invalid_field_name,
        invalid_fields,
        // announcements
        ready,
        stopping,
        status,
        // messages to the owner of a watchdog, and to one who waits for the journal
        systemd_watchdog,
        systemd_journal,
        tick,
        ping_failed,
    }
}

/// A variable of the environment that the process was started with, which outlives
/// `os:unsetenv/1` and `init:restart/0`; `false` if it was not set.
#[rustler::nif]
fn initial_env<'a>(env: Env<'a>, name: Binary<'a>) -> Term<'a> {
    match std::env::var_os(OsStr::from_bytes(name.as_slice())) {
        Some(value) => binary(env, value.as_bytes()),
        None => false.encode(env),
    }
}

fn error<'a>(env: Env<'a>, reason: impl Encoder) -> Term<'a> {
    (atoms::error(), reason).encode(env)
}

fn binary<'a>(env: Env<'a>, bytes: &[u8]) -> Term<'a> {
    let mut binary = NewBinary::new(env, bytes.len());
    binary.as_mut_slice().copy_from_slice(bytes);
    binary.into()
}
