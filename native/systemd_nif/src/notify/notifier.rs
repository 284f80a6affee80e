//! The NIFs behind `systemd:notify/1` and `systemd:barrier/1`.

use super::announced::announced;
use super::states::{Refused, message};
use crate::chardata::choice;
use crate::handle::{Handle, Object, make};
use crate::later::{deadline, later};
use crate::{atoms, binary, error, posix, result};
use rustler::{Binary, Encoder, Env, NifResult, Term};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};
use systemd_core::{Address, Announcement, Assignment, Barrier, Errno, Jobs, Message, Notifier};

/// The socket to systemd, and the notifications that wait for it.
pub struct Manager {
    pub notifier: Arc<Notifier>,
    pub jobs: Arc<Jobs>,
}

impl Object for Manager {}

/// systemd holds the other end of the pipe. `None` once the barrier was reached: this closes the descriptor without
/// waiting for the caller's garbage collection.
struct Held(Mutex<Option<Barrier>>);

impl Object for Held {}

/// `is_new_start` is true when the application starts. Earlier announcements don't count any more then.
#[rustler::nif]
fn open<'a>(env: Env<'a>, notify_socket: Binary<'a>, is_new_start: bool) -> Term<'a> {
    let Some(address) = Address::parse(notify_socket.as_slice()) else {
        return error(env, (atoms::invalid_notify_socket(), notify_socket));
    };
    let opened = Notifier::open(address, announced()).map(|notifier| {
        if is_new_start {
            announced().forget();
        }
        let jobs = Jobs::new("sd-notify");
        make(env, Manager { notifier: Arc::new(notifier), jobs }, None)
    });
    result(env, opened)
}

/// Sends with one non-blocking system call. Returns a reference if the message must wait: see [`later`].
#[rustler::nif]
fn notify<'a>(
    env: Env<'a>,
    manager: Handle<'_, Manager>,
    states: Term<'a>,
    timeout: u32,
) -> Term<'a> {
    let message = match message(states) {
        Ok(message) if message.is_empty() => return atoms::ok().encode(env),
        Ok(message) => message,
        Err(Refused::State(state)) => return error(env, (atoms::invalid_state(), state)),
        Err(Refused::Value(key)) => return error(env, (atoms::invalid_value(), key)),
        Err(Refused::TooLong) => return error(env, atoms::emsgsize()),
    };
    let sent = if manager.jobs.has_pending() {
        Err(Errno::EAGAIN)
    } else {
        manager.notifier.try_send(&message)
    };
    let Err(errno) = sent else { return atoms::ok().encode(env) };
    let (notifier, deadline) = (manager.notifier.clone(), deadline(timeout));
    later(env, &manager.jobs, errno, move || notifier.send(&message, deadline))
}

/// Whether any notifier of this process has sent the announcement.
#[rustler::nif]
fn has_announced(what: Term<'_>) -> NifResult<bool> {
    let announcement = choice(
        what,
        [
            (atoms::ready(), Announcement::Ready),
            (atoms::stopping(), Announcement::Stopping),
            (atoms::status(), Announcement::Status),
            (atoms::reloading(), Announcement::Reloading),
        ],
    );
    let announcement = announcement.ok_or(rustler::Error::BadArg)?;
    Ok(announced().has(announcement))
}

/// Counts a notification that the caller has given up on.
#[rustler::nif]
fn notify_failed(manager: Handle<'_, Manager>) -> rustler::Atom {
    manager.notifier.count_failed();
    atoms::ok()
}

/// `{Sent, Failed, LastStatus | false}`
#[rustler::nif]
fn notifier_info<'a>(env: Env<'a>, manager: Handle<'a, Manager>) -> Term<'a> {
    let (sent, failed) = manager.notifier.counts();
    let status = match manager.notifier.last_status() {
        Some(text) => binary(env, &text),
        None => false.encode(env),
    };
    (sent, failed, status).encode(env)
}

/// Returns `{Barrier, Reference}`. A message with the reference says whether the barrier was sent: see [`later`].
#[rustler::nif]
fn barrier<'a>(env: Env<'a>, manager: Handle<'_, Manager>, timeout: u32) -> Term<'a> {
    let (barrier, closed_by_systemd) = match Barrier::new() {
        Ok(barrier) => barrier,
        Err(errno) => return error(env, posix(env, errno)),
    };
    let (notifier, deadline) = (manager.notifier.clone(), deadline(timeout));
    let sent = later(env, &manager.jobs, Errno::EAGAIN, move || {
        let message = Message::of(&Assignment::Barrier)?;
        notifier.send_with_fds(&message, &[closed_by_systemd.as_fd()], deadline)
    });
    (make(env, Held(Mutex::new(Some(barrier))), None), sent).encode(env)
}

/// Whether systemd has reached the barrier.
#[rustler::nif]
fn barrier_reached<'a>(env: Env<'a>, barrier: Handle<'_, Held>) -> Term<'a> {
    let mut barrier = barrier.0.lock().unwrap_or_else(PoisonError::into_inner);
    match barrier.as_ref().map_or(Ok(true), Barrier::is_reached) {
        Ok(reached) => {
            if reached {
                *barrier = None;
            }
            reached.encode(env)
        }
        Err(errno) => error(env, posix(env, errno)),
    }
}
