//! How the VM loads this library, and loads it over an earlier copy of itself.
//!
//! `rustler::init!` makes an entry without `upgrade`, and exports it, so that it can't be wrapped: the
//! entry is made here instead, of the same parts.
//!
//! When a new version of the module `systemd_nif` is loaded, the VM calls `upgrade`, and keeps the
//! library of the old one mapped until its last resource has gone; the C library does so for as long as
//! a thread has a destructor of it to run, which the VM's threads have until they end. There are two cases.
//!
//! - *The file is another one.* The dynamic linker maps a second copy, with statics of its own. It
//!   registers resource types of its own, under names that no other copy has: a copy never gets to see
//!   what another one made, whose layout and vtables may differ. To it such a term is `badarg`, upon which
//!   the Erlang side opens anew what it needs. The old copy's resources are destroyed by the old copy's
//!   code: the watchdog's thread is stopped and joined there, before that copy can be unmapped. Until
//!   then it runs, and so the service is watched without a gap. The terms kept by [`stored_term`] and the
//!   descriptors handed over belong to the process: the new copy finds them by their numbers, and the old
//!   one, which nobody calls any more, never closes them, because statics are not dropped.
//! - *The file is the same one.* The dynamic linker returns the copy that is there, and all statics stay
//!   as they are. Its resource types are taken over, with every resource, thread and socket, from the
//!   module's old version, whose purge would otherwise take them along. Rustler's table of types is not
//!   written: callers of the old version may be reading it. It is written when a copy is loaded that no
//!   version of the module has at that moment, and so nobody calls.
//!
//! What the service has announced is one byte, in memory that is never freed and that each copy gets
//! from the one before.
//!
//! [`stored_term`]: systemd_core::stored_term

use crate::extension::ExtensionResource;
use crate::fd_store::HeldResource;
use crate::journal::{JournalResource, SinkResource, Ticket};
use crate::memory_pressure::MemoryPressureResource;
use crate::notifier::{BarrierResource, NotifierResource};
use crate::watchdog::WatchdogResource;
use rustler::codegen_runtime::{
    ErlNifEntry, ErlNifEnv, ErlNifTerm, ResourceRegistration, c_int, c_void,
    internal_write_symbols, inventory,
};
use rustler::sys::{ErlNifResourceFlags, ErlNifResourceTypeInit, enif_open_resource_type_x};
use rustler::{Env, Resource};
use std::ffi::CString;
use std::panic::catch_unwind;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};
use systemd_core::Announced;

mod taken_over;

struct Entry(ErlNifEntry);

// SAFETY: it is only read, and what it points to is never freed.
unsafe impl Send for Entry {}
// SAFETY: as above.
unsafe impl Sync for Entry {}

static ENTRY: OnceLock<Entry> = OnceLock::new();

/// What the VM looks for in a library.
// SAFETY: no other symbol of that name is in this library.
#[unsafe(no_mangle)]
extern "C" fn nif_init() -> *const ErlNifEntry {
    let entry = ENTRY.get_or_init(|| {
        // SAFETY: in a library that the VM has opened its symbols are there. Done once, because NIFs
        // of an earlier version of the module may be using them.
        unsafe { internal_write_symbols() };
        let functions: Vec<_> =
            inventory::iter::<rustler::Nif>().map(rustler::Nif::get_def).collect();
        let mut entry = ErlNifEntry::new(c"systemd_nif", functions.leak(), load);
        entry.upgrade = Some(upgrade);
        Entry(entry)
    });
    &raw const entry.0
}

static ANNOUNCED: AtomicPtr<Announced> = AtomicPtr::new(std::ptr::null_mut());

/// What this process has announced.
pub fn announced() -> &'static Announced {
    static NOTHING: Announced = Announced::new();
    // SAFETY: null, or what `load` has leaked.
    unsafe { ANNOUNCED.load(Ordering::Acquire).as_ref() }.unwrap_or(&NOTHING)
}

extern "C" fn load(env: *mut ErlNifEnv, private: *mut *mut c_void, _info: ErlNifTerm) -> c_int {
    let announced: *mut Announced = Box::leak(Box::default());
    // SAFETY: the VM gives a place for a pointer of ours.
    unsafe { *private = announced.cast() };
    ANNOUNCED.store(announced, Ordering::Release);
    register_all(env, false)
}

extern "C" fn upgrade(
    env: *mut ErlNifEnv,
    private: *mut *mut c_void,
    old_private: *mut *mut c_void,
    _info: ErlNifTerm,
) -> c_int {
    // SAFETY: `load` of this or of an earlier copy has leaked it, and the type is one byte in each.
    unsafe {
        *private = *old_private;
        ANNOUNCED.store((*private).cast(), Ordering::Release);
    }
    register_all(env, true)
}

fn register_all(env: *mut ErlNifEnv, upgrade: bool) -> c_int {
    let registered = catch_unwind(|| {
        register::<NotifierResource>(env, upgrade)
            && register::<BarrierResource>(env, upgrade)
            && register::<WatchdogResource>(env, upgrade)
            && register::<ExtensionResource>(env, upgrade)
            && register::<MemoryPressureResource>(env, upgrade)
            && register::<JournalResource>(env, upgrade)
            && register::<SinkResource>(env, upgrade)
            && register::<Ticket>(env, upgrade)
            && register::<HeldResource>(env, upgrade)
    });
    c_int::from(!registered.unwrap_or(false))
}

fn register<T: Resource>(env: *mut ErlNifEnv, upgrade: bool) -> bool {
    // The address of a static is this copy's alone, for as long as it is mapped.
    let name = format!("{}@{:p}", std::any::type_name::<T>(), &raw const ENTRY);
    if upgrade && take_over::<T>(env, &name) {
        return true;
    }
    // SAFETY: the VM's, in a callback that may register types.
    let env = unsafe { Env::new_init_env(&env, env) };
    ResourceRegistration::new::<T>().with_name(name.leak()).register(env).is_ok()
}

/// Whether this copy had registered that type for the module's old version. It stays where it is, and so
/// does Rustler's pointer to it.
fn take_over<T: Resource>(env: *mut ErlNifEnv, name: &str) -> bool {
    let Ok(name) = CString::new(name) else { return false };
    let init = ErlNifResourceTypeInit {
        dtor: taken_over::destructor::<T> as *const _,
        stop: std::ptr::null(),
        down: if T::IMPLEMENTS_DOWN {
            taken_over::down::<T> as *const _
        } else {
            std::ptr::null()
        },
    };
    let take_over = ErlNifResourceFlags::ERL_NIF_RT_TAKEOVER;
    // SAFETY: the VM's, in a callback that may register types, and the name ends with a NUL.
    let taken = unsafe {
        enif_open_resource_type_x(env, name.as_ptr(), &init, take_over, std::ptr::null_mut())
    };
    !taken.is_null()
}
