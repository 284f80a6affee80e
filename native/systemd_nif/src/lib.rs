//! The NIF library of the Erlang module `systemd_nif`: terms in, terms out.

mod budget;
mod chardata;
mod environment;
mod handle;
mod immediate;
mod journal;
mod later;
mod library;
mod memory;
mod notify;
mod sockets;
mod watchdog;

use rustler::{Atom, Encoder, Env, NewBinary, Term};
use systemd_core::Errno;

mod atoms {
    rustler::atoms! {
        ok,
        error,
        undefined,
        another,
        unknown,
        // results
        again,
        format,
        badarg,
        invalid_state,
        invalid_value,
        invalid_notify_socket,
        emsgsize,
        no_thread,
        invalid_message,
        invalid_fd_name,
        bad_descriptor,
        closed,
        // announcements
        ready,
        stopping,
        status,
        reloading,
        // processes
        own,
        parent,
        other,
        // sockets
        inet,
        inet6,
        local,
        stream,
        dgram,
        seqpacket,
        raw,
        fd,
        family,
        type_ = "type",
        listening,
        connected,
        address,
        // messages to the owner of a watchdog
        systemd_watchdog,
        tick,
        overdue,
        hangs,
        ping_failed,
        wake,
        stuck,
        // messages to the owner of a watch on memory pressure
        systemd_memory_pressure,
        pressure,
        // orders to a watchdog
        enable,
        disable,
        stop,
        // what to do about a VM that hangs
        withhold,
        trigger,
        abort,
    }
}

/// `{ok, Value} | {error, Posix}`
fn result<'a>(env: Env<'a>, result: Result<impl Encoder, Errno>) -> Term<'a> {
    match result {
        Ok(value) => (atoms::ok(), value).encode(env),
        Err(errno) => error(env, posix(env, errno)),
    }
}

/// `ok | {error, Posix}`
fn done(env: Env<'_>, result: Result<(), Errno>) -> Term<'_> {
    match result {
        Ok(()) => atoms::ok().encode(env),
        Err(errno) => error(env, posix(env, errno)),
    }
}

/// Converts `ENOENT` to `enoent`, as `file` and `inet` write it.
fn posix(env: Env<'_>, errno: Errno) -> Atom {
    let name = format!("{errno:?}").to_ascii_lowercase();
    // The name of an error is always a valid atom.
    Atom::from_str(env, &name).unwrap_or_else(|_| atoms::error())
}

fn error<'a>(env: Env<'a>, reason: impl Encoder) -> Term<'a> {
    (atoms::error(), reason).encode(env)
}

fn binary<'a>(env: Env<'a>, bytes: &[u8]) -> Term<'a> {
    let mut binary = NewBinary::new(env, bytes.len());
    binary.as_mut_slice().copy_from_slice(bytes);
    binary.into()
}
