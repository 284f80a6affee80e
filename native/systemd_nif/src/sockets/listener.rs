//! The NIFs behind `systemd:drainer/2`.

use crate::budget::Budget;
use crate::{done, result};
use rustler::{Env, Error, NifResult, Term};
use std::os::fd::RawFd;
use std::time::Duration;
use systemd_core::{Connections, TakenAway};

/// `{Fd, Inode, Decoy, IsHandedOver}`
type Taken = (RawFd, u64, u64, bool);

#[rustler::nif(schedule = "DirtyIo")]
fn take_away(env: Env<'_>, fd: RawFd) -> Term<'_> {
    let taken = systemd_core::take_away(fd);
    result(env, taken.map(|taken| (taken.fd, taken.inode, taken.decoy, taken.is_handed_over)))
}

#[rustler::nif(schedule = "DirtyIo")]
fn give_back(env: Env<'_>, taken: Taken, number: RawFd) -> Term<'_> {
    done(env, taken_away(taken).give_back(number))
}

#[rustler::nif(schedule = "DirtyIo")]
fn close_taken(env: Env<'_>, taken: Taken) -> Term<'_> {
    done(env, taken_away(taken).close())
}

fn taken_away((fd, inode, decoy, is_handed_over): Taken) -> TakenAway {
    TakenAway { fd, inode, decoy, is_handed_over }
}

/// `{ok, [Fd]}`
#[rustler::nif(schedule = "DirtyIo")]
fn listening_on(env: Env<'_>, port: u16) -> Term<'_> {
    result(env, systemd_core::listening_on(port))
}

/// Returns `{ok, {Open, WithRequest}}` for the connections of these listeners. They were taken away `millis`
/// milliseconds ago.
#[rustler::nif(schedule = "DirtyIo")]
fn connections<'a>(env: Env<'a>, listeners: Term<'a>, millis: u32) -> NifResult<Term<'a>> {
    let mut budget = Budget::NORMAL;
    let listeners = budget.list(listeners).map_err(|_| Error::BadArg)?;
    let listeners: Vec<RawFd> =
        listeners.into_iter().map(|fd| fd.decode()).collect::<NifResult<_>>()?;
    let found = systemd_core::connections(&listeners, Duration::from_millis(millis.into()));
    Ok(result(env, found.map(|Connections { open, with_request }| (open, with_request))))
}
