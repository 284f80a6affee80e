//! The resource behind `systemd:extend_timeout_while/1,2`. It ends with the process that has it.

use crate::notifier::NotifierResource;
use crate::{atoms, error, reason};
use rustler::{Encoder, Env, Resource, ResourceArc, Term};
use std::time::Duration;
use systemd_core::Extension;

pub struct ExtensionResource(Extension);

impl Resource for ExtensionResource {}

/// Starts the thread, which asks for more time until it is stopped.
#[rustler::nif]
fn extend_start<'a>(
    env: Env<'a>,
    notifier: ResourceArc<NotifierResource>,
    limit_millis: u64,
) -> Term<'a> {
    match Extension::start(notifier.0.clone(), Duration::from_millis(limit_millis)) {
        Ok(extension) => {
            (atoms::ok(), ResourceArc::new(ExtensionResource(extension))).encode(env)
        }
        Err(errno) => error(env, reason::posix(env, errno)),
    }
}

#[rustler::nif]
fn extend_stop(extension: ResourceArc<ExtensionResource>) -> rustler::Atom {
    extension.0.stop();
    atoms::ok()
}
