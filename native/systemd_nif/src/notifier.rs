//! The resource `systemd:notify/1` sends with.

use crate::library::announced;
use crate::states::{Refused, message};
use crate::{atoms, binary, error, reason};
use rustler::{Binary, Encoder, Env, NifResult, Resource, ResourceArc, Term};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use systemd_core::{Address, Announcement, Barrier, Errno, Message, Notifier, Sent};

/// Lives for as long as a term refers to it.
pub struct NotifierResource(pub Arc<Notifier>);

impl Resource for NotifierResource {}

/// The manager holds the other end. `None` once it was reached: the caller's garbage may wait long.
pub struct BarrierResource(Mutex<Option<Barrier>>);

impl Resource for BarrierResource {}

/// `Anew` when the application starts: what was announced before doesn't count any more.
#[rustler::nif]
fn open<'a>(env: Env<'a>, notify_socket: Binary<'a>, anew: bool) -> Term<'a> {
    let Ok(address) = Address::parse(notify_socket.as_slice()) else {
        return error(env, (atoms::invalid_notify_socket(), notify_socket));
    };
    match Notifier::open(address, announced()) {
        Ok(notifier) => {
            if anew {
                announced().forget();
            }
            (atoms::ok(), ResourceArc::new(NotifierResource(Arc::new(notifier)))).encode(env)
        }
        Err(errno) => error(env, reason::posix(env, errno)),
    }
}

/// One non-blocking system call; `again` when it takes more.
#[rustler::nif]
fn notify<'a>(
    env: Env<'a>,
    notifier: ResourceArc<NotifierResource>,
    states: Term<'a>,
) -> Term<'a> {
    send(env, states, atoms::again(), |message| notifier.0.try_send(message))
}

/// Waits for room in the manager's queue; `busy` when enough callers do already.
#[rustler::nif(schedule = "DirtyIo")]
fn notify_wait<'a>(
    env: Env<'a>,
    notifier: ResourceArc<NotifierResource>,
    states: Term<'a>,
    timeout: u32,
) -> Term<'a> {
    let timeout = Duration::from_millis(timeout.into());
    send(env, states, atoms::busy(), |message| notifier.0.send(message, timeout))
}

fn send<'a>(
    env: Env<'a>,
    states: Term<'a>,
    not_yet: rustler::Atom,
    send: impl FnOnce(&Message) -> Result<Sent, Errno>,
) -> Term<'a> {
    let message = match message(states) {
        Ok(message) if message.is_empty() => return atoms::ok().encode(env),
        Ok(message) => message,
        Err(Refused::State(state)) => return error(env, (atoms::invalid_state(), state)),
        Err(Refused::Value(key)) => return error(env, (atoms::invalid_value(), key)),
        Err(Refused::TooLong) => return error(env, atoms::emsgsize()),
    };
    match send(&message) {
        Ok(Sent::Done) => atoms::ok().encode(env),
        Ok(Sent::NotYet) => not_yet.encode(env),
        Err(errno) => error(env, reason::posix(env, errno)),
    }
}

#[rustler::nif]
fn has_announced(notifier: ResourceArc<NotifierResource>, what: Term<'_>) -> NifResult<bool> {
    let announcement = if atoms::ready() == what {
        Announcement::Ready
    } else if atoms::stopping() == what {
        Announcement::Stopping
    } else if atoms::status() == what {
        Announcement::Status
    } else if atoms::reloading() == what {
        Announcement::Reloading
    } else {
        return Err(rustler::Error::BadArg);
    };
    Ok(notifier.0.has_announced(announcement))
}

/// Counts one that the caller has given up.
#[rustler::nif]
fn notify_failed(notifier: ResourceArc<NotifierResource>) -> rustler::Atom {
    notifier.0.count_failed();
    atoms::ok()
}

/// `{Sent, Failed, LastStatus | false}`
#[rustler::nif]
fn notifier_info(env: Env<'_>, notifier: ResourceArc<NotifierResource>) -> Term<'_> {
    let (sent, failed) = notifier.0.counts();
    let status = match notifier.0.last_status() {
        Some(text) => binary(env, &text),
        None => false.encode(env),
    };
    (sent, failed, status).encode(env)
}

#[rustler::nif(schedule = "DirtyIo")]
fn barrier<'a>(env: Env<'a>, notifier: ResourceArc<NotifierResource>, timeout: u32) -> Term<'a> {
    // Made before the wait: afterwards this may run for a process that has ended, and in a copy of the
    // library that is loaded anew.
    let reached = ResourceArc::new(BarrierResource(Mutex::default()));
    match notifier.0.barrier(Duration::from_millis(timeout.into())) {
        Ok(Some(barrier)) => {
            *reached.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(barrier);
            (atoms::ok(), reached).encode(env)
        }
        Ok(None) => atoms::busy().encode(env),
        Err(errno) => error(env, reason::posix(env, errno)),
    }
}

/// Whether the manager has come to the barrier.
#[rustler::nif]
fn barrier_reached<'a>(env: Env<'a>, barrier: ResourceArc<BarrierResource>) -> Term<'a> {
    let mut barrier = barrier.0.lock().unwrap_or_else(PoisonError::into_inner);
    match barrier.as_ref().map_or(Ok(true), Barrier::is_reached) {
        Ok(reached) => {
            if reached {
                *barrier = None;
            }
            reached.encode(env)
        }
        Err(errno) => error(env, reason::posix(env, errno)),
    }
}
