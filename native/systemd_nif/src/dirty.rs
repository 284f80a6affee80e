//! Jobs that do nothing: one that is done tells that the pool runs what it is given.

use crate::atoms;
use rustler::Atom;

#[rustler::nif(schedule = "DirtyCpu")]
fn dirty_cpu() -> Atom {
    atoms::ok()
}

#[rustler::nif(schedule = "DirtyIo")]
fn dirty_io() -> Atom {
    atoms::ok()
}
