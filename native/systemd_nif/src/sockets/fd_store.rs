//! The manager's descriptor store.

use crate::budget::Budget;
use crate::chardata::text_or_atom;
use crate::handle::Handle;
use crate::later::{deadline, later};
use crate::notify::notifier::Manager;
use crate::{atoms, binary, done, error, posix};
use rustler::{Binary, Encoder, Env, Error, NifResult, Term};
use std::os::fd::{AsFd, OwnedFd, RawFd};
use systemd_core::stored_term::{self, Incoming};
use systemd_core::{Assignment, Errno, FdName, Message, duplicate};

/// A name as the protocol has it: from an atom or `unicode:chardata()`.
#[rustler::nif]
fn fd_name<'a>(env: Env<'a>, name: Term<'a>) -> Term<'a> {
    let text = text_or_atom(name, &mut Budget::MESSAGE.clone()).unwrap_or_default();
    match FdName::parse(&text) {
        Some(name) => (atoms::ok(), binary(env, name.as_bytes())).encode(env),
        None => error(env, (atoms::invalid_fd_name(), name)),
    }
}

/// Stores all of them, or none where one is not open: `[{Name | false, [Fd]}]`, of which each is one message. The
/// manager has a name for those without one.
#[rustler::nif(schedule = "DirtyIo")]
fn store_fds<'a>(
    env: Env<'a>,
    manager: Handle<Manager>,
    parts: Term<'a>,
    poll: bool,
    timeout: u32,
) -> NifResult<Term<'a>> {
    let mut budget = Budget::NONE;
    let parts = budget.list(parts).map_err(|_| Error::BadArg)?.into_iter();
    let parts: Vec<_> =
        parts.map(|term| part(term, poll, &mut budget)).collect::<NifResult<_>>()?;
    // Of our own, whatever becomes of the numbers that they were given by.
    let own = |fds: Vec<RawFd>| fds.into_iter().map(duplicate).collect::<Result<Vec<_>, _>>();
    let parts = parts.into_iter().map(|(message, fds)| Ok((message, own(fds)?)));
    let parts = match parts.collect::<Result<Vec<_>, Errno>>() {
        Ok(parts) => parts,
        Err(errno) => return Ok(error(env, posix(env, errno))),
    };
    let (notifier, deadline) = (manager.notifier.clone(), deadline(timeout));
    Ok(later(env, &manager.jobs, Errno::EAGAIN, move || {
        parts.iter().try_for_each(|(message, fds)| {
            let fds: Vec<_> = fds.iter().map(OwnedFd::as_fd).collect();
            notifier.send_with_fds(message, &fds, deadline)
        })
    }))
}

fn part(term: Term<'_>, poll: bool, budget: &mut Budget) -> NifResult<(Message, Vec<RawFd>)> {
    let (name, fds): (Term<'_>, Term<'_>) = term.decode()?;
    let name: Option<Binary<'_>> = name.decode().ok();
    let name = name.as_ref().map(|name| parse(name.as_slice())).transpose()?;
    let message = Message::of(&Assignment::FdStore { name, poll }).map_err(|_| Error::BadArg)?;
    let fds = budget.list(fds).map_err(|_| Error::BadArg)?.into_iter();
    Ok((message, fds.map(|fd| fd.decode()).collect::<NifResult<_>>()?))
}

/// Removes those of that name, and what [`store_term`] keeps under it.
#[rustler::nif]
fn clear_fds<'a>(
    env: Env<'a>,
    manager: Handle<Manager>,
    name: Binary<'a>,
    timeout: u32,
) -> NifResult<Term<'a>> {
    parse(name.as_slice())?;
    let name = name.as_slice().to_vec();
    let (notifier, deadline) = (manager.notifier.clone(), deadline(timeout));
    Ok(later(env, &manager.jobs, Errno::EAGAIN, move || {
        let name = FdName::parse(&name).ok_or(Errno::EINVAL)?;
        stored_term::forget(name)?;
        notifier.send(&Message::of(&Assignment::FdStoreRemove(name))?, deadline)
    }))
}

/// Puts it into the store in the place of an older one, and keeps it here. There is no one message for both: a manager
/// that takes the first and not the second has neither, and so have we.
#[rustler::nif(schedule = "DirtyIo")]
fn store_term<'a>(
    env: Env<'a>,
    manager: Handle<Manager>,
    name: Binary<'a>,
    bytes: Binary<'a>,
    timeout: u32,
) -> NifResult<Term<'a>> {
    let mut incoming = match Incoming::new(parse(name.as_slice())?, bytes.as_slice()) {
        Ok(incoming) => incoming,
        Err(errno) => return Ok(done(env, Err(errno))),
    };
    let name = name.as_slice().to_vec();
    let (notifier, until) = (manager.notifier.clone(), deadline(timeout));
    Ok(later(env, &manager.jobs, Errno::EAGAIN, move || {
        let name = FdName::parse(&name).ok_or(Errno::EINVAL)?;
        // What is sent must not fail to be kept.
        incoming.find_before(name)?;
        notifier.send(&Message::of(&Assignment::FdStoreRemove(name))?, until)?;
        let store = Message::of(&Assignment::FdStore { name: Some(name), poll: true })?;
        match notifier.send_with_fds(&store, &[incoming.as_fd()], deadline(timeout)) {
            Ok(()) => incoming.keep(),
            Err(errno) => {
                incoming.give_up();
                Err(errno)
            }
        }
    }))
}

#[rustler::nif(schedule = "DirtyIo")]
fn fetch_term<'a>(env: Env<'a>, name: Binary<'a>) -> NifResult<Term<'a>> {
    Ok(match stored_term::fetch(parse(name.as_slice())?) {
        Ok(Some(bytes)) => (atoms::ok(), binary(env, &bytes)).encode(env),
        Ok(None) => atoms::undefined().encode(env),
        Err(errno) => error(env, posix(env, errno)),
    })
}

/// Only what [`fd_name`] returned comes here.
fn parse(name: &[u8]) -> NifResult<FdName<'_>> {
    FdName::parse(name).ok_or(Error::BadArg)
}
