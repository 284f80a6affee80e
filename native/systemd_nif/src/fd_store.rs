//! The manager's descriptor store.

use crate::chardata::text_or_atom;
use crate::notifier::NotifierResource;
use crate::{atoms, binary, error, list, reason};
use rustler::{Atom, Binary, Encoder, Env, NifResult, Resource, ResourceArc, Term};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
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

/// Descriptors of our own on the way to the manager: whatever becomes of the numbers that they were
/// given by.
pub struct HeldResource(Mutex<Vec<OwnedFd>>);

impl Resource for HeldResource {}

impl HeldResource {
    fn new(fds: Vec<OwnedFd>) -> ResourceArc<Self> {
        ResourceArc::new(Self(Mutex::new(fds)))
    }

    fn fds(&self) -> MutexGuard<'_, Vec<OwnedFd>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `[[Fd]]` as `{ok, [Held]}`, or nothing is held.
#[rustler::nif(schedule = "DirtyIo")]
fn hold<'a>(env: Env<'a>, parts: Term<'a>) -> NifResult<Term<'a>> {
    let parts = list::proper(parts).ok_or(rustler::Error::BadArg)?;
    let parts = parts.into_iter().map(numbers).collect::<NifResult<Vec<_>>>()?;
    let hold = |part: Vec<RawFd>| part.into_iter().map(systemd_core::duplicate).collect();
    Ok(match parts.into_iter().map(hold).collect::<Result<Vec<_>, _>>() {
        Ok(parts) => {
            let held: Vec<_> = parts.into_iter().map(HeldResource::new).collect();
            (atoms::ok(), held).encode(env)
        }
        Err(Errno::EBADF) => error(env, atoms::bad_descriptor()),
        Err(errno) => error(env, reason::posix(env, errno)),
    })
}

fn numbers(fds: Term<'_>) -> NifResult<Vec<RawFd>> {
    let fds = list::proper(fds).ok_or(rustler::Error::BadArg)?;
    fds.into_iter().map(|fd| fd.decode()).collect()
}

/// Closes them: the caller's garbage may wait long.
#[rustler::nif(schedule = "DirtyIo")]
fn let_go(held: ResourceArc<HeldResource>) -> Atom {
    held.fds().clear();
    atoms::ok()
}

/// Stores them under one name, or under that of the manager for those without one: `false`.
#[rustler::nif(schedule = "DirtyIo")]
fn store_fds<'a>(
    env: Env<'a>,
    notifier: ResourceArc<NotifierResource>,
    name: Term<'a>,
    poll: bool,
    held: ResourceArc<HeldResource>,
    timeout: u32,
) -> NifResult<Term<'a>> {
    let name = name.decode::<Binary<'a>>().ok();
    let name = name.map(|name| parse(name.as_slice())).transpose()?;
    let fds = held.fds();
    let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
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

/// `{ok, Held}`, to be [`store_term`]d under the same name.
#[rustler::nif(schedule = "DirtyIo")]
fn hold_term<'a>(env: Env<'a>, name: Binary<'a>, bytes: Binary<'a>) -> NifResult<Term<'a>> {
    Ok(match stored_term::file(parse(name.as_slice())?, bytes.as_slice()) {
        Ok(file) => (atoms::ok(), HeldResource::new(vec![file])).encode(env),
        Err(errno) => error(env, reason::posix(env, errno)),
    })
}

/// Puts it into the store in the place of an older one, and keeps it here. `busy` while the manager's
/// queue is full.
#[rustler::nif(schedule = "DirtyIo")]
fn store_term<'a>(
    env: Env<'a>,
    notifier: ResourceArc<NotifierResource>,
    name: Binary<'a>,
    held: ResourceArc<HeldResource>,
) -> NifResult<Term<'a>> {
    let name = parse(name.as_slice())?;
    let held = held.fds();
    let [file] = &held[..] else { return Err(rustler::Error::BadArg) };
    let now = |assignment: &Assignment<'_>, fds: &[BorrowedFd<'_>]| {
        let mut message = Message::new();
        message.push(assignment).map_err(|_| Errno::EMSGSIZE)?;
        notifier.0.send_with_fds(&message, fds, Duration::ZERO)
    };
    let store = Assignment::FdStore { name: Some(name), poll: true };
    let kept =
        stored_term::keep(name, file, || match now(&Assignment::FdStoreRemove(name), &[])? {
            Sent::Done => now(&store, &[file.as_fd()]),
            Sent::NotYet => Ok(Sent::NotYet),
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
        Err(errno) => error(env, reason::posix(env, errno)),
    }
}
