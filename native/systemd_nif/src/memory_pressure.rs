//! The resource behind the config key `memory_pressure`. It belongs to the process that started it.

use crate::{atoms, error, reason};
use rustler::{Binary, Encoder, Env, LocalPid, Monitor, OwnedEnv, Resource, ResourceArc, Term};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use systemd_core::{MemoryPressure, Pressure};

pub struct MemoryPressureResource(MemoryPressure);

impl Resource for MemoryPressureResource {
    const IMPLEMENTS_DOWN: bool = true;

    fn down<'a>(&'a self, _env: Env<'a>, _owner: LocalPid, _monitor: Monitor) {
        self.0.stop();
    }
}

/// Starts the thread, which sends `{systemd_memory_pressure, pressure}` to the caller, or
/// `{systemd_memory_pressure, closed}`, and then ends.
#[rustler::nif(schedule = "DirtyIo")]
fn memory_pressure_start<'a>(env: Env<'a>, path: Binary<'a>, data: Binary<'a>) -> Term<'a> {
    let owner = env.pid();
    let mut mailbox = OwnedEnv::new();
    let tell = move |pressure| {
        let said = match pressure {
            Pressure::Felt => atoms::pressure(),
            Pressure::Closed => atoms::closed(),
        };
        // An owner that is gone is noticed by the monitor.
        let _ = mailbox
            .send_and_clear(&owner, |env| (atoms::systemd_memory_pressure(), said).encode(env));
    };
    let path = Path::new(OsStr::from_bytes(path.as_slice()));
    match MemoryPressure::start(path, data.as_slice(), tell) {
        Ok(watch) => {
            let watch = ResourceArc::new(MemoryPressureResource(watch));
            if env.monitor(&watch, &owner).is_none() {
                watch.0.stop();
            }
            (atoms::ok(), watch).encode(env)
        }
        Err(errno) => error(env, reason::posix(env, errno)),
    }
}

/// The thread may tell of the next one.
#[rustler::nif]
fn memory_pressure_done(watch: ResourceArc<MemoryPressureResource>) -> rustler::Atom {
    watch.0.done();
    atoms::ok()
}
