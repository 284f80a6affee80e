//! Jobs that may wait: the caller of the NIF gets a reference, and the result in a message, `{Reference, Result}`.

use crate::atoms;
use rustler::env::SavedTerm;
use rustler::thread::is_scheduler_thread;
use rustler::{Encoder, Env, LocalPid, OwnedEnv, Term};
use std::sync::Arc;
use std::time::{Duration, Instant};
use systemd_core::{Errno, Jobs};

/// Who waits for a result, and gets it when this is dropped: also where the job has panicked.
struct Waiting {
    mailbox: OwnedEnv,
    caller: LocalPid,
    reference: SavedTerm,
    result: Result<(), Errno>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // One that was not pushed is dropped where it comes from, and nobody waits for it.
        if is_scheduler_thread() {
            return;
        }
        let Self { mailbox, caller, reference, result } = self;
        // One that is gone needs no result.
        let _ = mailbox.send_and_clear(caller, |env| {
            (reference.load(env), crate::done(env, *result)).encode(env)
        });
    }
}

/// From milliseconds.
pub fn deadline(timeout: u32) -> Instant {
    Instant::now() + Duration::from_millis(timeout.into())
}

/// A reference. Where no thread can be started for what could not be done at once because of `errno`, that as an error,
/// or `no_thread` where it would only have taken time.
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
