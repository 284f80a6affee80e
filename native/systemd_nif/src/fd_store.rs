//! The manager's descriptor store.

use crate::chardata::text_or_atom;
use crate::notifier::NotifierResource;
use crate::{atoms, binary, error, list, reason};
use rustler::{Binary, Encoder, Env, NifResult, ResourceArc, Term};
use std::os::fd::{BorrowedFd, RawFd};
use std::time::Duration;
use systemd_core::{Assignment, Errno, FdName, Message, Sent, stored_term};

/// A name as the protocol has it: from an atom or `unicode:chardata()`.
#[rustler::nif]
fn fd_name<'a>(env: Env<'a>, name: Term<'a>) -> Term<'a> {
    let text = text_or_atom(name).unwrap_or_default();
    match FdName::parse(&text) {
        Some(name) => (atoms::ok(), binary(env, name.as_bytes())).encode(env),
        None => error(env, (atoms::invalid_fd_name(), name)),
    }
}

#[rustler::nif(schedule = "DirtyIo")]
fn are_open(fds: Term<'_>) -> NifResult<bool> {
    Ok(numbers(fds)?.into_iter().all(systemd_core::is_open))
}

fn numbers(fds: Term<'_>) -> NifResult<Vec<RawFd>> {
    let fds = list::proper(fds).ok_or(rustler::Error::BadArg)?;
    fds.into_iter().map(|fd| fd.decode()).collect()
}

/// Stores them under one name, or under that of the manager for those without one: `false`.
#[rustler::nif(schedule = "DirtyIo")]
fn store_fds<'a>(
    env: Env<'a>,
    notifier: ResourceArc<NotifierResource>,
    name: Term<'a>,
    poll: bool,
    fds: Term<'a>,
    timeout: u32,
) -> NifResult<Term<'a>> {
    let name = name.decode::<Binary<'a>>().ok();
    let name = name.map(|name| parse(name.as_slice())).transpose()?;
    let fds = numbers(fds)?;
    if fds.iter().any(|&fd| fd < 0) {
        return Ok(error(env, atoms::bad_descriptor()));
    }
    // SAFETY: only for the one system call that sends them, which refuses one that is not open.
    let fds: Vec<_> = fds.iter().map(|&fd| unsafe { BorrowedFd::borrow_raw(fd) }).collect();
    Ok(send(env, &notifier, &Assignment::FdStore { name, poll }, &fds, timeout))
}

/// Removes those of that name, and what [`store_term`] keeps under it.
#[rustler::nif(schedule = "DirtyIo")]
fn clear_fds<'a>(
    env: Env<'a>,
    notifier: ResourceArc<NotifierResource>,
    name: Binary<'a>,
    timeout: u32,
) -> NifResult<Term<'a>> {
    let name = parse(name.as_slice())?;
    // Without /proc there is nothing to forget.
    let _ = stored_term::forget(name);
    Ok(send(env, &notifier, &Assignment::FdStoreRemove(name), &[], timeout))
}

/// Puts it into the store in the place of an older one, and keeps it here. `busy` while the manager's
/// queue is full.
#[rustler::nif(schedule = "DirtyIo")]
fn store_term<'a>(
    env: Env<'a>,
    notifier: ResourceArc<NotifierResource>,
    name: Binary<'a>,
    bytes: Binary<'a>,
) -> NifResult<Term<'a>> {
    let name = parse(name.as_slice())?;
    let now = |assignment: &Assignment<'_>, fds: &[BorrowedFd<'_>]| {
        let mut message = Message::new();
        message.push(assignment).map_err(|_| Errno::EMSGSIZE)?;
        notifier.0.send_with_fds(&message, fds, Duration::ZERO)
    };
    let store = Assignment::FdStore { name: Some(name), poll: true };
    let kept = stored_term::keep(name, bytes.as_slice(), |file| {
        match now(&Assignment::FdStoreRemove(name), &[])? {
            Sent::Done => now(&store, &[file]),
            Sent::NotYet => Ok(Sent::NotYet),
        }
    });
    Ok(match kept {
        Ok(Sent::Done) => atoms::ok().encode(env),
        Ok(Sent::NotYet) | Err(Errno::EAGAIN) => atoms::busy().encode(env),
        Err(errno) => error(env, reason::posix(env, errno)),
    })
}

#[rustler::nif(schedule = "DirtyIo")]
fn fetch_term<'a>(env: Env<'a>, name: Binary<'a>) -> NifResult<Term<'a>> {
    Ok(match stored_term::fetch(parse(name.as_slice())?) {
        Ok(Some(bytes)) => (atoms::ok(), binary(env, &bytes)).encode(env),
        Ok(None) => atoms::undefined().encode(env),
        Err(errno) => error(env, reason::posix(env, errno)),
    })
}

/// Only what [`fd_name`] returned comes here.
fn parse(name: &[u8]) -> NifResult<FdName<'_>> {
    FdName::parse(name).ok_or(rustler::Error::BadArg)
}

fn send<'a>(
    env: Env<'a>,
    notifier: &NotifierResource,
    assignment: &Assignment<'_>,
    fds: &[BorrowedFd<'_>],
    timeout: u32,
) -> Term<'a> {
    let mut message = Message::new();
    if message.push(assignment).is_err() {
        return error(env, atoms::emsgsize());
    }
    let timeout = Duration::from_millis(timeout.into());
    match notifier.0.send_with_fds(&message, fds, timeout) {
        Ok(Sent::Done) => atoms::ok().encode(env),
        Ok(Sent::NotYet) => atoms::busy().encode(env),
        Err(Errno::EBADF) => error(env, atoms::bad_descriptor()),
        Err(errno) => error(env, reason::posix(env, errno)),
    }
}
