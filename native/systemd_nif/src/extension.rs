//! The resource behind `systemd:extend_timeout_while/1,2`. It belongs to the process that started it.

use crate::notifier::NotifierResource;
use crate::{atoms, error, reason};
use rustler::{Encoder, Env, LocalPid, Monitor, Resource, ResourceArc, Term};
use std::time::Duration;
use systemd_core::Extension;

pub struct ExtensionResource(Extension);

impl Resource for ExtensionResource {
    const IMPLEMENTS_DOWN: bool = true;

    fn down<'a>(&'a self, _env: Env<'a>, _owner: LocalPid, _monitor: Monitor) {
        self.0.stop();
    }
}

/// Starts the thread, which asks for more time until it is stopped, or its owner ends.
#[rustler::nif]
fn extend_start<'a>(
    env: Env<'a>,
    notifier: ResourceArc<NotifierResource>,
    limit_millis: u64,
) -> Term<'a> {
    match Extension::start(notifier.0.clone(), Duration::from_millis(limit_millis)) {
        Ok(extension) => {
            let extension = ResourceArc::new(ExtensionResource(extension));
            if env.monitor(&extension, &env.pid()).is_none() {
                extension.0.stop();
            }
            (atoms::ok(), extension).encode(env)
        }
        Err(errno) => error(env, reason::posix(env, errno)),
    }
}

#[rustler::nif]
fn extend_stop(extension: ResourceArc<ExtensionResource>) -> rustler::Atom {
    extension.0.stop();
    atoms::ok()
}
