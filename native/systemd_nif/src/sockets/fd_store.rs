//! The NIFs for systemd's descriptor store.

use crate::budget::Budget;
use crate::chardata::text_or_atom;
use crate::handle::Handle;
use crate::later::{deadline, later};
use crate::notify::notifier::Manager;
use crate::{atoms, binary, done, error, posix};
use rustler::{Binary, Encoder, Env, Error, NifResult, Term};
use std::borrow::Cow;
use std::os::fd::{AsFd, OwnedFd};
use systemd_core::stored_term::{self, Incoming};
use systemd_core::{Assignment, Errno, FdName, Message, duplicate};

/// The kernel passes at most 253 descriptors with one message (`SCM_MAX_FD`), and musl 252: its sendmsg(2) accepts
/// 1,024 bytes of control data.
const MOST_OF_A_MESSAGE: usize = 252;

/// Converts a name, which is an atom or `unicode:chardata()`, to the protocol's form.
#[rustler::nif]
fn fd_name<'a>(env: Env<'a>, name: Term<'a>) -> Term<'a> {
    match text_of(env, name) {
        Ok(name) => (atoms::ok(), binary(env, &name)).encode(env),
        Err(refused) => refused,
    }
}

/// The text of a name, for [`FdName::parse`], or the error for the caller.
fn text_of<'a>(env: Env<'a>, name: Term<'a>) -> Result<Cow<'a, [u8]>, Term<'a>> {
    let text = text_or_atom(name, &mut Budget::MESSAGE.clone()).unwrap_or_default();
    let refused = || error(env, (atoms::invalid_fd_name(), name));
    FdName::parse(&text).map(drop).ok_or_else(refused).map(|()| text)
}

/// Stores `[Fd | {Fd, Name}]`, or nothing if one of them is not open. systemd names the descriptors that have no name.
#[rustler::nif(schedule = "DirtyIo")]
fn store_fds<'a>(
    env: Env<'a>,
    manager: Handle<'_, Manager>,
    fds: Term<'a>,
    poll: bool,
    timeout: u32,
) -> NifResult<Term<'a>> {
    let fds = Budget::NONE.clone().list(fds).map_err(|_| Error::BadArg)?;
    let mut named = match named(env, fds) {
        Ok(named) => named,
        Err(refused) => return Ok(refused),
    };
    named.sort_by(|(one, _), (other, _)| one.cmp(other));
    let messages = named.chunk_by(|(one, _), (other, _)| one == other).map(|fds| {
        let name = fds[0].0.as_deref().and_then(FdName::parse);
        Ok((Message::of(&Assignment::FdStore { name, poll })?, fds.len()))
    });
    let messages: Vec<_> = messages.collect::<Result<_, Errno>>().map_err(|_| Error::BadArg)?;
    let fds: Vec<_> = named.into_iter().map(|(_, fd)| fd).collect();
    let (notifier, deadline) = (manager.notifier.clone(), deadline(timeout));
    Ok(later(env, &manager.jobs, Errno::EAGAIN, move || {
        let mut fds = fds.iter().map(OwnedFd::as_fd);
        messages.iter().try_for_each(|(message, count)| {
            let fds: Vec<_> = fds.by_ref().take(*count).collect();
            let mut parts = fds.chunks(MOST_OF_A_MESSAGE);
            parts.try_for_each(|part| notifier.send_with_fds(message, part, deadline))
        })
    }))
}

type Named<'a> = Vec<(Option<Cow<'a, [u8]>>, OwnedFd)>;

/// Duplicates the descriptors, so that nothing depends on the caller's numbers any more. If that fails, returns the
/// error for the caller.
fn named<'a>(env: Env<'a>, fds: Vec<Term<'a>>) -> Result<Named<'a>, Term<'a>> {
    let mut named = Named::new();
    for term in fds {
        let pair = term.decode::<(Term<'a>, Term<'a>)>();
        let (fd, name) = pair.map_or((term, None), |(fd, name)| (fd, Some(name)));
        let name = name.map(|name| text_of(env, name)).transpose()?;
        let own = fd.decode().map_err(|_| Errno::EBADF).and_then(duplicate);
        let own = own.map_err(|errno| match errno {
            Errno::EBADF => error(env, atoms::bad_descriptor()),
            errno => error(env, posix(env, errno)),
        })?;
        named.push((name, own));
    }
    Ok(named)
}

/// Removes the stored descriptors with these names, and the terms that [`store_term`] keeps under them.
#[rustler::nif(schedule = "DirtyIo")]
fn clear_fds<'a>(
    env: Env<'a>,
    manager: Handle<'_, Manager>,
    names: Term<'a>,
    timeout: u32,
) -> NifResult<Term<'a>> {
    let names = Budget::NONE.clone().list(names).map_err(|_| Error::BadArg)?.into_iter();
    let names = names.map(|name| Ok(text_of(env, name)?.into_owned()));
    let mut names = match names.collect::<Result<Vec<_>, Term<'_>>>() {
        Ok(names) => names,
        Err(refused) => return Ok(refused),
    };
    names.sort();
    names.dedup();
    let (notifier, mut until) = (manager.notifier.clone(), deadline(timeout));
    Ok(later(env, &manager.jobs, Errno::EAGAIN, move || {
        names.iter().try_for_each(|name| {
            let name = FdName::parse(name).ok_or(Errno::EINVAL)?;
            stored_term::forget(name)?;
            notifier.send(&Message::of(&Assignment::FdStoreRemove(name))?, until)?;
            until = deadline(timeout);
            Ok(())
        })
    }))
}

/// Stores a term in place of an earlier one, and keeps it in this process. No single message does both. If systemd
/// receives the message that removes, but not the one that stores, it has neither term, and this process keeps neither.
#[rustler::nif(schedule = "DirtyIo")]
fn store_term<'a>(
    env: Env<'a>,
    manager: Handle<'_, Manager>,
    name: Term<'a>,
    bytes: Binary<'a>,
    timeout: u32,
) -> Term<'a> {
    let name = match text_of(env, name) {
        Ok(name) => name.into_owned(),
        Err(refused) => return refused,
    };
    let incoming = FdName::parse(&name).ok_or(Errno::EINVAL);
    let mut incoming = match incoming.and_then(|name| Incoming::new(name, bytes.as_slice())) {
        Ok(incoming) => incoming,
        Err(errno) => return done(env, Err(errno)),
    };
    let (notifier, until) = (manager.notifier.clone(), deadline(timeout));
    later(env, &manager.jobs, Errno::EAGAIN, move || {
        let name = FdName::parse(&name).ok_or(Errno::EINVAL)?;
        // A term that was sent must also be kept, so what can fail comes first.
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
    })
}

#[rustler::nif(schedule = "DirtyIo")]
fn fetch_term<'a>(env: Env<'a>, name: Term<'a>) -> Term<'a> {
    let name = match text_of(env, name) {
        Ok(name) => name,
        Err(refused) => return refused,
    };
    match FdName::parse(&name).ok_or(Errno::EINVAL).and_then(stored_term::fetch) {
        Ok(Some(bytes)) => (atoms::ok(), binary(env, &bytes)).encode(env),
        Ok(None) => atoms::undefined().encode(env),
        Err(errno) => error(env, posix(env, errno)),
    }
}
