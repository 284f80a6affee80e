//! What the manager handed over, and what it is.

use crate::{atoms, binary, done, environment, error, result};
use rustler::{Encoder, Env, Term};
use std::net::SocketAddr;
use std::os::fd::RawFd;
use systemd_core::{LocalAddress, NotHandedOver, SockType, SocketInfo};

/// What the three variables of sd_listen_fds(3) stand for: `[{Fd, Name | false}]`.
#[rustler::nif(schedule = "DirtyIo")]
fn listen_fds<'a>(env: Env<'a>, fds: Term<'a>, pid: Term<'a>, names: Term<'a>) -> Term<'a> {
    let [fds, pid, names] = [fds, pid, names].map(environment::value);
    match systemd_core::listen_fds(fds, pid, names, std::process::id()) {
        Ok(fds) => {
            let encode = |name: Option<&[u8]>| match name {
                Some(name) => binary(env, name),
                None => false.encode(env),
            };
            let fds: Vec<_> = fds.into_iter().map(|(fd, name)| (fd, encode(name))).collect();
            (atoms::ok(), fds).encode(env)
        }
        Err(NotHandedOver::Invalid(variable)) => error(env, (atoms::invalid_value(), variable.0)),
        Err(NotHandedOver::OtherProcess(pid)) => error(env, (atoms::other_process(), pid)),
        Err(NotHandedOver::Closed(fd)) => error(env, (atoms::closed(), fd)),
    }
}

/// `{Family, Type, IsListening, IsConnected, Address}`, the address as `inet:sockname/1` has it.
#[rustler::nif(schedule = "DirtyIo")]
fn socket_info<'a>(env: Env<'a>, fd: RawFd) -> Term<'a> {
    result(env, systemd_core::socket_info(fd).map(|info| encode(env, &info)))
}

fn encode<'a>(env: Env<'a>, info: &SocketInfo) -> Term<'a> {
    let kind = match info.kind {
        SockType::Stream => atoms::stream(),
        SockType::Datagram => atoms::dgram(),
        SockType::SeqPacket => atoms::seqpacket(),
        SockType::Raw => atoms::raw(),
        _ => atoms::undefined(),
    };
    let (family, address) = match &info.address {
        LocalAddress::Inet(SocketAddr::V4(address)) => {
            let [a, b, c, d] = address.ip().octets();
            (atoms::inet(), ((a, b, c, d), address.port()).encode(env))
        }
        LocalAddress::Inet(SocketAddr::V6(address)) => {
            let [a, b, c, d, e, f, g, h] = address.ip().segments();
            // Rustler has tuples of seven at most.
            let ip = rustler::types::tuple::make_tuple(
                env,
                &[a, b, c, d, e, f, g, h].map(|segment| segment.encode(env)),
            );
            (atoms::inet6(), (ip, address.port()).encode(env))
        }
        LocalAddress::Unix(path) => {
            (atoms::local(), (atoms::local(), binary(env, path)).encode(env))
        }
    };
    (family, kind, info.is_listening, info.is_connected, address).encode(env)
}

/// Whether one who has opened it may keep it. `enotsock` when another one was first.
#[rustler::nif(schedule = "DirtyIo")]
fn hand_out<'a>(env: Env<'a>, fd: RawFd) -> Term<'a> {
    done(env, systemd_core::hand_out(fd))
}
