//! Terms that refer to objects of this library. All have one resource type: see "Resource objects" in erl_nif(3).
//!
//! Rustler's own resources don't work here: it registers their types only once, and not again when the module is loaded
//! again.

use rustler::codegen_runtime::{ErlNifEnv, c_void};
use rustler::sys::{
    ErlNifMonitor, ErlNifPid, ErlNifResourceFlags, ErlNifResourceType, ErlNifResourceTypeInit,
    enif_alloc_resource, enif_get_resource, enif_make_resource, enif_monitor_process,
    enif_open_resource_type_x, enif_release_resource,
};
use rustler::{Decoder, Env, Error, LocalPid, NifResult, Term};
use std::any::Any;
use std::ffi::CString;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicPtr, Ordering};

/// An object that a term can refer to.
pub trait Object: Any + Send + Sync {
    /// Called when the owner has ended.
    fn owner_is_gone(&self) {}
}

struct Memory(Box<dyn Object>);

static TYPE: AtomicPtr<ErlNifResourceType> = AtomicPtr::new(null_mut());

/// Registers the resource type. Called while the VM loads this library. Creates a type for this copy of the library. If
/// the copy has one already, takes that over with all its resources.
pub fn register(env: *mut ErlNifEnv) -> bool {
    // The address of a static is unique to this copy, because no copy is ever unmapped.
    let Ok(name) = CString::new(format!("systemd@{:p}", &raw const TYPE)) else { return false };
    let init = ErlNifResourceTypeInit {
        dtor: destructor as *const _,
        stop: null(),
        down: down as *const _,
    };
    let flags =
        [ErlNifResourceFlags::ERL_NIF_RT_CREATE, ErlNifResourceFlags::ERL_NIF_RT_TAKEOVER];
    // SAFETY: `env` belongs to a callback of the VM that may register types, and the name ends with a NUL.
    let opened = flags.into_iter().find_map(|flag| unsafe {
        let opened = enif_open_resource_type_x(env, name.as_ptr(), &init, flag, null_mut());
        (!opened.is_null()).then_some(opened)
    });
    if let Some(opened) = opened {
        TYPE.store(opened.cast_mut(), Ordering::Release);
    }
    opened.is_some()
}

/// Makes a term for an object. If there is an owner, the object is notified when the owner ends. Must be called on a
/// normal scheduler: while a NIF runs on one, the VM purges no version of the module, with its type. On a dirty
/// scheduler it may.
pub fn make<'a>(env: Env<'a>, object: impl Object, owner: Option<&LocalPid>) -> Term<'a> {
    make_boxed(env, Box::new(object), owner)
}

/// Not generic, so that the library has this code only once.
fn make_boxed<'a>(env: Env<'a>, object: Box<dyn Object>, owner: Option<&LocalPid>) -> Term<'a> {
    // SAFETY: the VM allocates memory for a `Memory`, aligned for any type of C. It is written before anything reads
    // it. The VM keeps it for as long as there is a term of it.
    unsafe {
        let memory = enif_alloc_resource(TYPE.load(Ordering::Acquire), size_of::<Memory>());
        memory.cast::<Memory>().write(Memory(object));
        let term = Term::new(env, enif_make_resource(env.as_c_arg(), memory));
        if let Some(owner) = owner
            && enif_monitor_process(env.as_c_arg(), memory, owner.as_c_arg(), null_mut()) != 0
        {
            (*memory.cast::<Memory>()).0.owner_is_gone();
        }
        enif_release_resource(memory);
        term
    }
}

/// The object that a term refers to, borrowed for the call, which needs no reference count. Decoding a term of another
/// copy of the library is `badarg`.
pub struct Handle<'a, T>(&'a T);

impl<T> Deref for Handle<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0
    }
}

impl<'a, T: Object> Decoder<'a> for Handle<'a, T> {
    fn decode(term: Term<'a>) -> NifResult<Self> {
        let object: &'a dyn Any = object(term).ok_or(Error::BadArg)?;
        object.downcast_ref().map(Self).ok_or(Error::BadArg)
    }
}

fn object(term: Term<'_>) -> Option<&dyn Object> {
    let mut memory = null::<c_void>();
    // SAFETY: a resource of this type is a `Memory`. It lives for as long as the term, which lives for as long as the
    // call of the NIF.
    unsafe {
        let resource_type = TYPE.load(Ordering::Acquire);
        let env = term.get_env().as_c_arg();
        let found = enif_get_resource(env, term.as_c_arg(), resource_type, &mut memory) != 0;
        found.then(|| &*(*memory.cast::<Memory>()).0)
    }
}

unsafe extern "C" fn destructor(_env: *mut ErlNifEnv, memory: *mut c_void) {
    // A panic must not reach the VM, and there is no caller to report it to.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: `make` has written it, and nothing uses it any more.
        drop(unsafe { memory.cast::<Memory>().read() });
    }));
}

unsafe extern "C" fn down(
    _env: *mut ErlNifEnv,
    memory: *mut c_void,
    _owner: *const ErlNifPid,
    _monitor: *const ErlNifMonitor,
) {
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: `make` has written it, and it lives for as long as this callback.
        unsafe { &*memory.cast::<Memory>() }.0.owner_is_gone();
    }));
}
