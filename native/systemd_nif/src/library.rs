//! How the VM loads this library, and how it loads the library again over an earlier copy.
//!
//! `rustler::init!` exports an entry without `upgrade`, and can't be wrapped. So this module makes the entry itself,
//! from the same parts.
//!
//! Why a new version of the module `systemd_nif` may be loaded at any time:
//!
//! - *Nothing is unmapped.* Each file that was ever loaded stays mapped (`build.rs`). So its threads, and the
//!   destructors of its resources, can run at any time. If a file is loaded again, the dynamic linker uses the copy
//!   that is mapped already, including its statics. So the Erlang side gives each different file a different path.
//! - *Nothing is shared* but one byte, see [`announced`](crate::notify::announced). A term of one copy is `badarg` to
//!   another. The Erlang side then opens what it needs again. Only the copy that has created a socket or a thread uses
//!   it. A socket is closed when its last term is garbage collected. A thread ends when its owner ends, which is a
//!   process of the Erlang side.
//! - *State that outlives a copy is in the kernel or in the environment.* See
//!   [`stored_term`](systemd_core::stored_term).
//! - *No resource type is used after it is gone.* A type lives for as long as the version of the module that has it, or
//!   a term of it. Only NIFs on normal schedulers make terms, and the VM purges no version of a module while such a NIF
//!   runs.

use crate::handle::register;
use crate::notify::announced::share;
use rustler::codegen_runtime::{
    ErlNifEntry, ErlNifEnv, ErlNifTerm, c_int, c_void, internal_write_symbols, inventory,
};
use std::panic::catch_unwind;
use std::ptr::null_mut;
use std::sync::Once;

/// The VM calls this each time it loads the library. Each call returns a new entry.
// SAFETY: no other symbol in this library has this name.
#[unsafe(no_mangle)]
extern "C" fn nif_init() -> *const ErlNifEntry {
    static SYMBOLS: Once = Once::new();
    // SAFETY: the VM's symbols are available to a library that the VM has opened. This runs only once, because NIFs of
    // an earlier version of the module may be using the symbols.
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
    // SAFETY: the VM passes the pointer that `start` of this or an earlier copy has stored.
    start(env, private, unsafe { *old_private })
}

fn start(env: *mut ErlNifEnv, private: *mut *mut c_void, former: *mut c_void) -> c_int {
    // SAFETY: the VM provides the place for a pointer of this library. `former` is null, or what `share` has returned
    // in any copy.
    unsafe { *private = share(former.cast()).cast() };
    c_int::from(!catch_unwind(|| register(env)).unwrap_or(false))
}
