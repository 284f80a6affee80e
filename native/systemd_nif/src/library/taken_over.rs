//! The callbacks of a resource type that was taken over. Rustler's own are private, and it registers
//! them with new types only. These do the same, for what its `ResourceArc` has made.

use rustler::codegen_runtime::{ErlNifEnv, c_void};
use rustler::sys::{ErlNifMonitor, ErlNifPid};
use rustler::{Env, LocalPid, Monitor, Resource};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Where Rustler puts a `T` in the memory of a resource object: at the first aligned place behind its
/// first byte. `Cargo.toml` pins the version that does so.
fn object<T>(memory: *mut c_void) -> *mut T {
    let align = align_of::<T>();
    memory.wrapping_byte_add(align - memory.addr() % align).cast()
}

pub unsafe extern "C" fn destructor<T: Resource>(env: *mut ErlNifEnv, memory: *mut c_void) {
    // A panic must not get into the VM, and nobody is there to hear of it.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: an object of this type, which nobody uses any more, and the env of this callback.
        let (object, env) = unsafe { (object::<T>(memory).read(), Env::new(&env, env)) };
        if T::IMPLEMENTS_DESTRUCTOR {
            object.destructor(env);
        }
    }));
}

pub unsafe extern "C" fn down<T: Resource>(
    env: *mut ErlNifEnv,
    memory: *mut c_void,
    pid: *const ErlNifPid,
    monitor: *const ErlNifMonitor,
) {
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: an object of this type, which lives for as long as this callback, whose env it is, and
        // whose other arguments the VM has set.
        let (object, env, pid, monitor) = unsafe {
            (&*object::<T>(memory), Env::new(&env, env), LocalPid::from_c_arg(*pid), *monitor)
        };
        object.down(env, pid, Monitor::from_c_arg(monitor));
    }));
}
