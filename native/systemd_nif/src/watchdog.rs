//! The resource behind `systemd:watchdog/1`. It belongs to the process that started it.

use crate::environment::value;
use crate::notifier::NotifierResource;
use crate::{atoms, error, list, reason};
use rustler::{
    Atom, Encoder, Env, Error, LocalPid, Monitor, NifResult, OwnedEnv, Resource, ResourceArc,
    Term,
};
use std::time::Duration;
use systemd_core::{Event, OnHang, Settings, Verdict, Watchdog, watchdog_timeout};

pub struct WatchdogResource(Watchdog);

impl Resource for WatchdogResource {
    const IMPLEMENTS_DOWN: bool = true;

    fn down<'a>(&'a self, _env: Env<'a>, _owner: LocalPid, _monitor: Monitor) {
        self.0.stop();
    }
}

/// What sd_watchdog_enabled(3) makes of the two variables: microseconds, or `undefined`.
#[rustler::nif]
fn watchdog_usec<'a>(env: Env<'a>, usec: Term<'a>, pid: Term<'a>) -> Term<'a> {
    match watchdog_timeout(value(usec), value(pid), std::process::id()) {
        Ok(Some(timeout)) => {
            (atoms::ok(), u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX)).encode(env)
        }
        Ok(None) => atoms::undefined().encode(env),
        Err(invalid) => error(env, (atoms::invalid_value(), invalid.0)),
    }
}

/// Starts the thread, which sends `{systemd_watchdog, tick, Tick}` and the like to the caller.
#[rustler::nif]
fn watchdog_start<'a>(
    env: Env<'a>,
    notifier: ResourceArc<NotifierResource>,
    timeout_usec: u64,
    interval_usec: u64,
    warn_after_usec: u64,
    on_hang: Term<'a>,
) -> NifResult<Term<'a>> {
    let settings = Settings {
        timeout: Duration::from_micros(timeout_usec),
        interval: Duration::from_micros(interval_usec),
        warn_after: Duration::from_micros(warn_after_usec),
        on_hang: on_hang_of(on_hang)?,
    };
    let owner = env.pid();
    let mut mailbox = OwnedEnv::new();
    let tell = move |event| {
        // An owner that is gone is noticed by the monitor.
        let _ = mailbox.send_and_clear(&owner, |env| {
            let (what, about) = match event {
                Event::Tick(tick) => (atoms::tick(), tick.encode(env)),
                Event::Overdue(tick) => (atoms::overdue(), tick.encode(env)),
                Event::Hangs(tick) => (atoms::hangs(), tick.encode(env)),
                Event::PingFailed(errno) => {
                    (atoms::ping_failed(), reason::posix(env, errno).encode(env))
                }
            };
            (atoms::systemd_watchdog(), what, about).encode(env)
        });
    };
    Ok(match Watchdog::start(notifier.0.clone(), settings, tell) {
        Ok(watchdog) => {
            let watchdog = ResourceArc::new(WatchdogResource(watchdog));
            if env.monitor(&watchdog, &owner).is_none() {
                watchdog.0.stop();
            }
            (atoms::ok(), watchdog).encode(env)
        }
        Err(errno) => error(env, reason::posix(env, errno)),
    })
}

fn on_hang_of(term: Term<'_>) -> NifResult<OnHang> {
    if atoms::withhold() == term {
        Ok(OnHang::Withhold)
    } else if atoms::trigger() == term {
        Ok(OnHang::Trigger)
    } else if atoms::abort() == term {
        Ok(OnHang::Abort)
    } else {
        Err(Error::BadArg)
    }
}

/// The lengths are for the report of an answer that is overdue.
#[rustler::nif]
fn watchdog_take_up(
    watchdog: ResourceArc<WatchdogResource>,
    tick: u64,
    run_queues: Term<'_>,
) -> NifResult<Atom> {
    let lengths = list::proper(run_queues).ok_or(Error::BadArg)?;
    let lengths = lengths.into_iter().map(|length| length.decode()).collect::<NifResult<_>>()?;
    watchdog.0.take_up(tick, lengths);
    Ok(atoms::ok())
}

#[rustler::nif]
fn watchdog_checking(watchdog: ResourceArc<WatchdogResource>, tick: u64, what: &str) -> Atom {
    watchdog.0.checking(tick, what);
    atoms::ok()
}

/// `true`, `false`, or what has failed, as a text for `STATUS=`.
#[rustler::nif]
fn watchdog_answer(
    watchdog: ResourceArc<WatchdogResource>,
    tick: u64,
    answer: Term<'_>,
) -> NifResult<Atom> {
    let verdict = match answer.decode() {
        Ok(true) => Verdict::Well,
        Ok(false) => Verdict::NotWell,
        Err(_) => Verdict::Failed(answer.decode()?),
    };
    watchdog.0.answer(tick, verdict);
    Ok(atoms::ok())
}

#[rustler::nif]
fn watchdog_enable(watchdog: ResourceArc<WatchdogResource>) -> Atom {
    watchdog.0.enable();
    atoms::ok()
}

#[rustler::nif]
fn watchdog_disable(watchdog: ResourceArc<WatchdogResource>) -> Atom {
    watchdog.0.disable();
    atoms::ok()
}

#[rustler::nif]
fn watchdog_stop(watchdog: ResourceArc<WatchdogResource>) -> Atom {
    watchdog.0.stop();
    atoms::ok()
}
