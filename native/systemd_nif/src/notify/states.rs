//! Encodes `systemd:state()` as assignments.

use crate::budget::Budget;
use crate::chardata::{choice, is_atom, text, text_or_atom};
use rustler::{Decoder, Term, TermType};
use std::borrow::Cow;
use std::str::FromStr;
use systemd_core::{Assignment, Message, Rejected};

mod atoms {
    rustler::atoms! {
        ready, stopping, reloading, restart_reset,
        status, errno, buserror, varlinkerror, exit_status, mainpid, notify_access,
        watchdog_usec, extend_timeout,
        none, main, exec, all,
        second, millisecond, microsecond, nanosecond, native, perf_counter,
        seconds, milli_seconds, micro_seconds, nano_seconds,
    }
}

/// Why the states can't be encoded, with the offending term.
pub enum Refused<'a> {
    /// The term is not a `systemd:state()`.
    State(Term<'a>),
    /// The value under this key breaks a rule of the protocol.
    Value(Term<'a>),
    /// systemd would not read the whole message.
    TooLong,
}

/// Encodes one state, or a list of states.
pub fn message(states: Term<'_>) -> Result<Message, Refused<'_>> {
    let (mut message, mut budget) = (Message::new(), Budget::MESSAGE);
    if states.get_type() != TermType::List {
        push(&mut message, states, &mut budget)?;
        return Ok(message);
    }
    let mut rest = states;
    while let Ok((state, tail)) = rest.list_get_cell() {
        budget.cells(1).map_err(|_| Refused::TooLong)?;
        push(&mut message, state, &mut budget)?;
        rest = tail;
    }
    if rest.is_empty_list() { Ok(message) } else { Err(Refused::State(rest)) }
}

fn push<'a>(
    message: &mut Message,
    state: Term<'a>,
    budget: &mut Budget,
) -> Result<(), Refused<'a>> {
    if state.is_atom() {
        let assignment = atom_state(state).ok_or(Refused::State(state))?;
        return message.push(&assignment).map_err(|rejected| refused(rejected, state));
    }
    let (key, value) =
        state.decode::<(Term<'a>, Term<'a>)>().map_err(|_| Refused::State(state))?;
    let is = |atom| is_atom(key, atom);
    let no_value = Refused::Value(key);
    let result = if is(atoms::status()) {
        message.push(&Assignment::Status(&text_of(key, value, budget)?))
    } else if is(atoms::errno()) {
        message.push(&Assignment::Errno(number(value, budget).ok_or(no_value)?))
    } else if is(atoms::buserror()) {
        message.push(&Assignment::BusError(&text_of(key, value, budget)?))
    } else if is(atoms::varlinkerror()) {
        message.push(&Assignment::VarlinkError(&text_of(key, value, budget)?))
    } else if is(atoms::exit_status()) {
        // Rustler decodes 256 as the `u8` 0.
        let status = number::<u32>(value, budget).and_then(|status| u8::try_from(status).ok());
        message.push(&Assignment::ExitStatus(status.ok_or(no_value)?))
    } else if is(atoms::mainpid()) {
        message.push(&Assignment::MainPid(number(value, budget).ok_or(no_value)?))
    } else if is(atoms::notify_access()) {
        let access = choice(
            value,
            [
                (atoms::none(), "none"),
                (atoms::main(), "main"),
                (atoms::exec(), "exec"),
                (atoms::all(), "all"),
            ],
        );
        let access = access.ok_or(no_value)?;
        message.push(&Assignment::NotifyAccess(access))
    } else if is(atoms::watchdog_usec()) {
        message.push(&Assignment::WatchdogUsec(number(value, budget).ok_or(no_value)?))
    } else if is(atoms::extend_timeout()) {
        let usec = microseconds(value, budget).ok_or(no_value)?;
        message.push(&Assignment::ExtendTimeoutUsec(usec))
    } else {
        let name = text_or_atom(key, budget).map_err(|rejected| match rejected {
            Rejected::InvalidValue => Refused::State(state),
            Rejected::TooLong => Refused::TooLong,
        })?;
        let value = custom_value(key, value, budget)?;
        message.push(&Assignment::Custom { key: &name, value: &value })
    };
    result.map_err(|rejected| refused(rejected, key))
}

fn refused(rejected: Rejected, key: Term<'_>) -> Refused<'_> {
    match rejected {
        Rejected::InvalidValue => Refused::Value(key),
        Rejected::TooLong => Refused::TooLong,
    }
}

fn atom_state(state: Term<'_>) -> Option<Assignment<'static>> {
    choice(
        state,
        [
            (atoms::ready(), Assignment::Ready),
            (atoms::stopping(), Assignment::Stopping),
            (atoms::reloading(), Assignment::Reloading),
            (atoms::restart_reset(), Assignment::RestartReset),
        ],
    )
}

fn text_of<'a>(
    key: Term<'a>,
    value: Term<'a>,
    budget: &mut Budget,
) -> Result<Cow<'a, [u8]>, Refused<'a>> {
    text(value, budget).map_err(|rejected| refused(rejected, key))
}

fn custom_value<'a>(
    key: Term<'a>,
    value: Term<'a>,
    budget: &mut Budget,
) -> Result<Cow<'a, [u8]>, Refused<'a>> {
    match value.decode::<i64>() {
        Ok(number) => Ok(number.to_string().into_bytes().into()),
        Err(_) => text_of(key, value, budget),
    }
}

/// Decodes a number, which may be given as text.
fn number<'a, N: Decoder<'a> + FromStr>(value: Term<'a>, budget: &mut Budget) -> Option<N> {
    value.decode().ok().or_else(|| {
        let text = text(value, budget).ok()?;
        std::str::from_utf8(&text).ok()?.parse().ok()
    })
}

/// Converts `{Time, Unit}`, with an `erlang:time_unit()`, and rounds up. On Linux the VM's native unit is the
/// nanosecond.
fn microseconds(value: Term<'_>, budget: &mut Budget) -> Option<u64> {
    let (time, unit) = value.decode::<(Term<'_>, Term<'_>)>().ok()?;
    let time = number::<u64>(time, budget)?;
    let is = |atom| is_atom(unit, atom);
    let per_second: u64 = if is(atoms::second()) || is(atoms::seconds()) {
        1
    } else if is(atoms::millisecond()) || is(atoms::milli_seconds()) {
        1_000
    } else if is(atoms::microsecond()) || is(atoms::micro_seconds()) {
        1_000_000
    } else if is(atoms::nanosecond())
        || is(atoms::nano_seconds())
        || is(atoms::native())
        || is(atoms::perf_counter())
    {
        1_000_000_000
    } else {
        unit.decode().ok().filter(|&parts| parts > 0)?
    };
    let usec = (u128::from(time) * 1_000_000).div_ceil(per_second.into());
    u64::try_from(usec).ok()
}
