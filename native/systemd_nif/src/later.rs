//! Jobs that may block. The caller of the NIF gets a reference at once, and the message `{Reference, Result}` later.

use crate::atoms;
use rustler::env::SavedTerm;
use rustler::thread::is_scheduler_thread;
use rustler::{Encoder, Env, LocalPid, OwnedEnv, Term};
use std::sync::Arc;
use std::time::{Duration, Instant};
use systemd_core::{Errno, Jobs};

/// A caller that waits for a result. It is sent when this is dropped, so that the caller also gets one if the job
/// panics.
struct Waiting {
    mailbox: OwnedEnv,
    caller: LocalPid,
    reference: SavedTerm,
    result: Result<(), Errno>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // A job that could not be pushed is dropped on the caller's scheduler, and the caller does not wait for it.
        if is_scheduler_thread() {
            return;
        }
        let Self { mailbox, caller, reference, result } = self;
        // Sending fails if the caller has ended, and then it needs no result.
        let _ = mailbox.send_and_clear(caller, |env| {
            (reference.load(env), crate::done(env, *result)).encode(env)
        });
    }
}

/// The time `timeout` milliseconds from now.
pub fn deadline(timeout: u32) -> Instant {
    Instant::now() + Duration::from_millis(timeout.into())
}

/// Pushes a job that could not be done at once because of `errno`, and returns a reference. If no thread can be
/// started, returns `errno` as an error, or `no_thread` if the job would only have taken time.
pub fn later<'a>(
    env: Env<'a>,
    jobs: &Arc<Jobs>,
    errno: Errno,
    job: impl FnOnce() -> Result<(), Errno> + Send + 'static,
) -> Term<'a> {
    let (reference, mailbox) = (env.make_ref(), OwnedEnv::new());
    let saved = mailbox.save(reference);
    let (caller, result) = (env.pid(), Err(Errno::ECANCELED));
    let waiting = Waiting { mailbox, caller, reference: saved, result };
    let pushed = jobs.push(move || {
        let mut waiting = waiting;
        waiting.result = job();
        drop(waiting);
    });
    match pushed {
        Ok(()) => reference.encode(env),
        Err(_) if matches!(errno, Errno::EAGAIN | Errno::EMSGSIZE | Errno::ENOBUFS) => {
            crate::error(env, atoms::no_thread())
        }
        Err(_) => crate::done(env, Err(errno)),
    }
}
