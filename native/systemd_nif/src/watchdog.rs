//! The resource behind `systemd:watchdog/1`. It belongs to the process that started it.

use crate::environment::value;
use crate::notifier::NotifierResource;
use crate::{atoms, error, reason};
use rustler::{Encoder, Env, LocalPid, Monitor, OwnedEnv, Resource, ResourceArc, Term};
use std::time::Duration;
use systemd_core::{Question, Watchdog, watchdog_timeout};

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

/// Starts the thread, which sends `{systemd_watchdog, tick, Tick}` to the caller.
#[rustler::nif]
fn watchdog_start<'a>(
    env: Env<'a>,
    notifier: ResourceArc<NotifierResource>,
    timeout_usec: u64,
    interval_usec: u64,
) -> Term<'a> {
    let owner = env.pid();
    let mut mailbox = OwnedEnv::new();
    let ask = move |question| {
        // An owner that is gone is noticed by the monitor.
        let _ = mailbox.send_and_clear(&owner, |env| match question {
            Question::Tick(tick) => (atoms::systemd_watchdog(), atoms::tick(), tick).encode(env),
            Question::PingFailed(errno) => {
                let reason = reason::posix(env, errno);
                (atoms::systemd_watchdog(), atoms::ping_failed(), reason).encode(env)
            }
        });
    };
    let timeout = Duration::from_micros(timeout_usec);
    let interval = Duration::from_micros(interval_usec);
    match Watchdog::start(notifier.0.clone(), timeout, interval, ask) {
        Ok(watchdog) => {
            let watchdog = ResourceArc::new(WatchdogResource(watchdog));
            if env.monitor(&watchdog, &owner).is_none() {
                watchdog.0.stop();
            }
            (atoms::ok(), watchdog).encode(env)
        }
        Err(errno) => error(env, reason::posix(env, errno)),
    }
}

#[rustler::nif]
fn watchdog_answer(
    watchdog: ResourceArc<WatchdogResource>,
    tick: u64,
    well: bool,
) -> rustler::Atom {
    watchdog.0.answer(tick, well);
    atoms::ok()
}

#[rustler::nif]
fn watchdog_enable(watchdog: ResourceArc<WatchdogResource>) -> rustler::Atom {
    watchdog.0.enable();
    atoms::ok()
}

#[rustler::nif]
fn watchdog_disable(watchdog: ResourceArc<WatchdogResource>) -> rustler::Atom {
    watchdog.0.disable();
    atoms::ok()
}
