//! The NIF library of the Erlang module `systemd_nif`: terms in, terms out.

mod chardata;
mod dirty;
mod environment;
mod extension;
mod fd_store;
mod immediate;
mod journal;
mod layout;
mod library;
mod list;
mod listen;
mod memory_pressure;
mod notifier;
mod reason;
mod states;
mod value;
mod watchdog;

use rustler::{Encoder, Env, NewBinary, Term};

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
        invalid_fd_name,
        bad_descriptor,
        other_process,
        closed,
        // announcements
        ready,
        stopping,
        status,
        reloading,
        // sockets
        inet,
        inet6,
        local,
        stream,
        dgram,
        seqpacket,
        raw,
        // messages to the owner of a watchdog, and to one who waits for the journal
        systemd_watchdog,
        systemd_journal,
        tick,
        overdue,
        hangs,
        ping_failed,
        // messages to the owner of a watch on memory pressure
        systemd_memory_pressure,
        pressure,
        // what to do about a VM that hangs
        withhold,
        trigger,
        abort,
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
