//! The NIFs behind the config key `memory_pressure`.

use crate::handle::{Handle, Object, make};
use crate::{atoms, error, posix, result};
use rustler::{Binary, Encoder, Env, OwnedEnv, Term};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use systemd_core::{MemoryPressure, Pressure};

impl Object for MemoryPressure {
    fn owner_is_gone(&self) {
        self.stop();
    }
}

/// Starts the thread. It sends `{systemd_memory_pressure, pressure}` to the caller, and ends when the caller does. It
/// also ends after it has sent `{systemd_memory_pressure, closed}` or `{systemd_memory_pressure, {error, Posix}}`.
#[rustler::nif]
fn memory_pressure_start<'a>(env: Env<'a>, path: Binary<'a>, data: Binary<'a>) -> Term<'a> {
    let caller = env.pid();
    let mut mailbox = OwnedEnv::new();
    let on_pressure = move |pressure| {
        // Sending fails only after the caller has ended, and then the thread ends too.
        let _ = mailbox.send_and_clear(&caller, |env| {
            let message = match pressure {
                Pressure::Felt => atoms::pressure().encode(env),
                Pressure::Closed => atoms::closed().encode(env),
                Pressure::Failed(errno) => error(env, posix(env, errno)),
            };
            (atoms::systemd_memory_pressure(), message).encode(env)
        });
    };
    let path = PathBuf::from(OsStr::from_bytes(path.as_slice()));
    let watch = MemoryPressure::start(path, data.as_slice().to_vec(), on_pressure);
    result(env, watch.map(|watch| make(env, watch, Some(&caller))))
}

/// Lets the thread report the next event.
#[rustler::nif]
fn memory_pressure_done(watch: Handle<'_, MemoryPressure>) -> rustler::Atom {
    watch.done();
    atoms::ok()
}
