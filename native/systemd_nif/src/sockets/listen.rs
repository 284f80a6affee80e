//! The NIFs for descriptors that systemd has passed.

use crate::{atoms, binary, done, environment, error, posix};
use rustler::{Encoder, Env, NifResult, Term};
use std::net::SocketAddr;
use std::os::fd::RawFd;
use systemd_core::{LocalAddress, SockType, SocketInfo};

/// Evaluates the variables of sd_listen_fds(3). Returns `{[{Fd, Name | false}], [Complaint]}`.
#[rustler::nif(schedule = "DirtyIo")]
fn listen_fds<'a>(
    env: Env<'a>,
    fds: Term<'a>,
    pid: Term<'a>,
    pidfd_id: Term<'a>,
    names: Term<'a>,
) -> Term<'a> {
    let [fds, pid, pidfd_id, names] = [fds, pid, pidfd_id, names].map(environment::value);
    let handed_over = systemd_core::listen_fds(fds, pid, pidfd_id, names, std::process::id());
    let name = |name: Option<&[u8]>| match name {
        Some(name) => binary(env, name),
        None => false.encode(env),
    };
    let fds: Vec<_> = handed_over.fds.into_iter().map(|(fd, given)| (fd, name(given))).collect();
    (fds, handed_over.complaints).encode(env)
}

/// Returns `{ok, systemd:fd_info()}`.
#[rustler::nif(schedule = "DirtyIo")]
fn socket_info<'a>(env: Env<'a>, fd: RawFd) -> NifResult<Term<'a>> {
    match systemd_core::socket_info(fd) {
        Ok(info) => Ok((atoms::ok(), encode(env, fd, &info)?).encode(env)),
        Err(errno) => Ok(error(env, posix(env, errno))),
    }
}

fn encode<'a>(env: Env<'a>, fd: RawFd, info: &SocketInfo) -> NifResult<Term<'a>> {
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
            // Rustler encodes tuples of at most seven elements.
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
    Term::map_from_pairs(
        env,
        &[
            (atoms::fd(), fd.encode(env)),
            (atoms::family(), family.encode(env)),
            (atoms::type_(), kind.encode(env)),
            (atoms::listening(), info.is_listening.encode(env)),
            (atoms::connected(), info.is_connected.encode(env)),
            (atoms::address(), address),
        ],
    )
}

/// Returns whether a caller that has opened the descriptor may keep it. It is `{error, enotsock}` if another caller was
/// first.
#[rustler::nif(schedule = "DirtyIo")]
fn hand_out<'a>(env: Env<'a>, fd: RawFd) -> Term<'a> {
    done(env, systemd_core::hand_out(fd))
}
