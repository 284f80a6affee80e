//! The NIFs behind `systemd:watchdog/1`.

use crate::budget::Budget;
use crate::chardata::choice;
use crate::environment::value;
use crate::handle::{Handle, Object, make};
use crate::notify::notifier::Manager;
use crate::{atoms, error, posix, result};
use rustler::{Atom, Encoder, Env, Error, LocalPid, NifResult, OwnedEnv, Term, TermType};
use std::path::Path;
use std::time::Duration;
use systemd_core::{
    Event, OnHang, Settings, Verdict, Watchdog, WatchdogTimeout, exceeded, resident_memory,
    unit_memory, watchdog_timeout,
};

impl Object for Watchdog {
    fn owner_is_gone(&self) {
        self.stop();
    }
}

/// Evaluates the two variables of sd_watchdog_enabled(3). Returns `{ok, Usec}`, `{another, Usec}` if another process
/// must ping, or `undefined`.
#[rustler::nif]
fn watchdog_usec<'a>(env: Env<'a>, usec_variable: Term<'a>, pid: Term<'a>) -> Term<'a> {
    let usec = |timeout: Duration| u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX);
    match watchdog_timeout(value(usec_variable), value(pid), std::process::id()) {
        Ok(Some(WatchdogTimeout::Ours(timeout))) => (atoms::ok(), usec(timeout)).encode(env),
        Ok(Some(WatchdogTimeout::Anothers(timeout))) => {
            (atoms::another(), usec(timeout)).encode(env)
        }
        Ok(None) => atoms::undefined().encode(env),
        Err(invalid) => error(env, (atoms::invalid_value(), invalid.0)),
    }
}

/// Starts the thread. It sends `{systemd_watchdog, tick, Tick}` and similar messages to the caller, and ends when the
/// caller does. It sends `{systemd_watchdog, wake, Number}` to the process that is bound to that scheduler.
#[rustler::nif]
fn watchdog_start<'a>(
    env: Env<'a>,
    manager: Handle<'_, Manager>,
    on_schedulers: Term<'a>,
    timeout_usec: u64,
    interval_usec: u64,
    warn_after_usec: u64,
    on_hang: Term<'a>,
) -> NifResult<Term<'a>> {
    let mut budget = Budget::NORMAL;
    let bound = budget.list(on_schedulers).map_err(|_| Error::BadArg)?;
    let bound: Vec<LocalPid> = bound.into_iter().map(Term::decode).collect::<NifResult<_>>()?;
    let settings = Settings {
        schedulers: bound.len(),
        timeout: Duration::from_micros(timeout_usec),
        interval: Duration::from_micros(interval_usec),
        warn_after: Duration::from_micros(warn_after_usec),
        on_hang: choice(
            on_hang,
            [
                (atoms::withhold(), OnHang::Withhold),
                (atoms::trigger(), OnHang::Trigger),
                (atoms::abort(), OnHang::Abort),
            ],
        )
        .ok_or(Error::BadArg)?,
    };
    let caller = env.pid();
    let mut mailbox = OwnedEnv::new();
    let on_event = move |event| {
        // Sending fails only after the caller has ended, and then the thread ends too.
        let _ = mailbox.send_and_clear(receiver(event, &bound).unwrap_or(&caller), |env| {
            let (what, about) = match event {
                Event::Tick(tick) => (atoms::tick(), tick.encode(env)),
                Event::Overdue(tick) => (atoms::overdue(), tick.encode(env)),
                Event::Hangs(tick) => (atoms::hangs(), tick.encode(env)),
                Event::Wake(number) => (atoms::wake(), number.encode(env)),
                Event::Stuck => (atoms::stuck(), 0.encode(env)),
                Event::PingFailed(errno) => (atoms::ping_failed(), posix(env, errno).encode(env)),
            };
            (atoms::systemd_watchdog(), what, about).encode(env)
        });
    };
    let watchdog = Watchdog::start(manager.notifier.clone(), settings, on_event);
    Ok(result(env, watchdog.map(|watchdog| make(env, watchdog, Some(&caller)))))
}

/// For [`Event::Wake`], the process that is bound to the scheduler.
fn receiver(event: Event, bound: &[LocalPid]) -> Option<&LocalPid> {
    match event {
        Event::Wake(number) => bound.get(number.checked_sub(1)?),
        _ => None,
    }
}

/// `run_queues` are the lengths for the report of an overdue answer. `online` is the number of schedulers online.
/// `busy` are the numbers of the schedulers that have something to run.
#[rustler::nif]
fn watchdog_take_up(
    watchdog: Handle<'_, Watchdog>,
    tick: u64,
    run_queues: Term<'_>,
    online: usize,
    busy: Term<'_>,
) -> NifResult<Atom> {
    let mut budget = Budget::NORMAL;
    let lengths = budget.list(run_queues).map_err(|_| Error::BadArg)?;
    let lengths = lengths.into_iter().map(|length| length.decode()).collect::<NifResult<_>>()?;
    let busy = budget.list(busy).map_err(|_| Error::BadArg)?;
    let busy = busy.into_iter().map(|number| number.decode()).collect::<NifResult<_>>()?;
    watchdog.received(tick, lengths, online, busy);
    Ok(atoms::ok())
}

#[rustler::nif]
fn watchdog_checking(watchdog: Handle<'_, Watchdog>, tick: u64, what: &str) -> Atom {
    watchdog.checking(tick, what);
    atoms::ok()
}

#[rustler::nif]
fn watchdog_ran(watchdog: Handle<'_, Watchdog>, scheduler: usize) -> Atom {
    watchdog.ran(scheduler);
    atoms::ok()
}

#[rustler::nif]
fn watchdog_found(watchdog: Handle<'_, Watchdog>, processes: &str) -> Atom {
    watchdog.found(processes);
    atoms::ok()
}

/// `answer` is `true`, `false`, or a failure as a text for `STATUS=`.
#[rustler::nif]
fn watchdog_answer(
    watchdog: Handle<'_, Watchdog>,
    tick: u64,
    answer: Term<'_>,
) -> NifResult<Atom> {
    let verdict = match answer.decode() {
        Ok(true) => Verdict::Healthy,
        Ok(false) => Verdict::Unhealthy,
        Err(_) => Verdict::Failed(answer.decode()?),
    };
    watchdog.answer(tick, verdict);
    Ok(atoms::ok())
}

#[rustler::nif]
fn watchdog_order(watchdog: Handle<'_, Watchdog>, what: Term<'_>) -> NifResult<Atom> {
    let order: fn(&Watchdog) = choice(
        what,
        [
            (atoms::enable(), Watchdog::enable as _),
            (atoms::disable(), Watchdog::disable as _),
            (atoms::stop(), Watchdog::stop as _),
        ],
    )
    .ok_or(Error::BadArg)?;
    order(&watchdog);
    Ok(atoms::ok())
}

/// For the check `{memory, Limit}`. Returns `true`, or a text with both numbers if the limit is exceeded, or `unknown`
/// if the system doesn't report the memory in use or the unit has no limit.
#[rustler::nif(schedule = "DirtyIo")]
fn memory<'a>(env: Env<'a>, limit: Term<'a>) -> NifResult<Term<'a>> {
    let root = Path::new("/");
    let memory = match limit.get_type() {
        TermType::Float => {
            let share: f64 = limit.decode()?;
            unit_memory(root).map(|(used, most)| (used, (share * most as f64) as u64))
        }
        TermType::Integer => {
            resident_memory(root).map(|used| (used, limit.decode().unwrap_or(u64::MAX)))
        }
        _ => return Err(Error::BadArg),
    };
    Ok(match memory.map(|(used, most)| exceeded(used, most)) {
        Some(Some(text)) => text.encode(env),
        Some(None) => true.encode(env),
        None => atoms::unknown().encode(env),
    })
}

/// A job that does nothing. If it returns, the pool of dirty schedulers runs its jobs.
#[rustler::nif(schedule = "DirtyCpu")]
fn dirty_cpu() -> Atom {
    atoms::ok()
}

#[rustler::nif(schedule = "DirtyIo")]
fn dirty_io() -> Atom {
    atoms::ok()
}
