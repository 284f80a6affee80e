//! How the VM loads this library, and loads it over an earlier copy of itself.
//!
//! `rustler::init!` makes an entry without `upgrade`, and exports it, so that it can't be wrapped: the entry is made
//! here instead, of the same parts.
//!
//! Why a new version of the module `systemd_nif` may be loaded at any time:
//!
//! - *Nothing is unmapped.* Each file that was ever loaded stays mapped (`build.rs`), so that its threads and the
//!   destructors of what it has made can run whenever they do. The dynamic linker takes the same file for the copy that
//!   it has, statics and all; the Erlang side sees to it that another file has another path.
//! - *Nothing is shared* but one byte, see [`announced`](crate::notify::announced). Terms that one copy has made are `badarg`
//!   to another, upon which the Erlang side opens anew what it needs. Nobody but the copy that has made a socket or a
//!   thread ever touches it: a socket is closed when its last term is garbage, and a thread ends when its owner does,
//!   which is a process of the Erlang side.
//! - *What outlives a copy is in the kernel or in the environment.* See [`stored_term`](systemd_core::stored_term).
//! - *Nobody uses a resource type that is gone.* It lives for as long as a version of the module that has it, or a term
//!   of it. Terms are made by NIFs on normal schedulers only, and no version of a module is purged under those.

use crate::handle::register;
use crate::notify::announced::share;
use rustler::codegen_runtime::{
    ErlNifEntry, ErlNifEnv, ErlNifTerm, c_int, c_void, internal_write_symbols, inventory,
};
use std::panic::catch_unwind;
use std::ptr::null_mut;
use std::sync::Once;

/// What the VM looks for in a library: an entry for each time that it is loaded.
// SAFETY: no other symbol of that name is in this library.
#[unsafe(no_mangle)]
extern "C" fn nif_init() -> *const ErlNifEntry {
    static SYMBOLS: Once = Once::new();
    // SAFETY: in a library that the VM has opened its symbols are there. Done once, because NIFs of an earlier version
    // of the module may be using them.
    SYMBOLS.call_once(|| unsafe { internal_write_symbols() });
    let functions: Vec<_> =
        inventory::iter::<rustler::Nif>().map(rustler::Nif::get_def).collect();
    let mut entry = ErlNifEntry::new(c"systemd_nif", functions.leak(), load);
    entry.upgrade = Some(upgrade);
    Box::leak(Box::new(entry))
}

extern "C" fn load(env: *mut ErlNifEnv, private: *mut *mut c_void, _info: ErlNifTerm) -> c_int {
    start(env, private, null_mut())
}

extern "C" fn upgrade(
    env: *mut ErlNifEnv,
    private: *mut *mut c_void,
    old_private: *mut *mut c_void,
    _info: ErlNifTerm,
) -> c_int {
    // SAFETY: the VM gives the place of what `start` of this or of an earlier copy has put there.
    start(env, private, unsafe { *old_private })
}

fn start(env: *mut ErlNifEnv, private: *mut *mut c_void, former: *mut c_void) -> c_int {
    // SAFETY: the VM gives a place for a pointer of ours, which is what `share` returns in each copy.
    unsafe { *private = share(former.cast()).cast() };
    c_int::from(!catch_unwind(|| register(env)).unwrap_or(false))
}
