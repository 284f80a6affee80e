//! Describes descriptors, as the kernel knows them.

use crate::errno::errno_of;
use crate::raw_fd::{borrow, duplicate};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockType, SockaddrLike, SockaddrStorage, getpeername, getsockname, getsockopt,
    sockopt,
};
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixDatagram;

/// A socket of one of the families that the BEAM knows.
#[derive(Debug, PartialEq, Eq)]
pub struct SocketInfo {
    /// `SO_TYPE`
    pub kind: SockType,
    /// `SO_ACCEPTCONN`
    pub is_listening: bool,
    /// Whether the socket has a peer.
    pub is_connected: bool,
    /// The local address, with its family.
    pub address: LocalAddress,
}

/// A local address, from getsockname(2).
#[derive(Debug, PartialEq, Eq)]
pub enum LocalAddress {
    /// `AF_INET` or `AF_INET6`
    Inet(SocketAddr),
    /// `AF_UNIX`: a path, or a NUL and an abstract name, or empty.
    Unix(Vec<u8>),
}

impl SocketInfo {
    /// Whether the socket is of a kind that has one peer, and ends with it.
    pub fn is_connection(&self) -> bool {
        matches!(self.kind, SockType::Stream | SockType::SeqPacket) && !self.is_listening
    }
}

/// Describes a socket. Fails with `ENOTSOCK` for another kind of file, with `EAFNOSUPPORT` for a socket of another
/// family, and with `EBADF` for a descriptor that is not open.
pub fn socket_info(fd: RawFd) -> Result<SocketInfo, Errno> {
    let borrowed = borrow(fd)?;
    Ok(SocketInfo {
        kind: getsockopt(&borrowed, sockopt::SockType)?,
        is_listening: getsockopt(&borrowed, sockopt::AcceptConn)?,
        is_connected: getpeername::<SockaddrStorage>(fd).is_ok(),
        address: local_address(fd)?,
    })
}

fn local_address(fd: RawFd) -> Result<LocalAddress, Errno> {
    let address = getsockname::<SockaddrStorage>(fd)?;
    if address.family() == Some(AddressFamily::Unix) {
        return unix_address(fd);
    }
    let v4 = address.as_sockaddr_in().map(|address| SocketAddr::V4((*address).into()));
    let v6 = || address.as_sockaddr_in6().map(|address| SocketAddr::V6((*address).into()));
    v4.or_else(v6).map(LocalAddress::Inet).ok_or(Errno::EAFNOSUPPORT)
}

/// The standard library also reads paths that fill all 108 bytes.
fn unix_address(fd: RawFd) -> Result<LocalAddress, Errno> {
    let address = UnixDatagram::from(duplicate(fd)?).local_addr().map_err(errno_of)?;
    Ok(LocalAddress::Unix(match (address.as_pathname(), address.as_abstract_name()) {
        (Some(path), _) => path.as_os_str().as_bytes().to_vec(),
        (_, Some(name)) => [b"\0", name].concat(),
        _ => Vec::new(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::libc;
    use std::fs::File;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener};

    #[test]
    fn listeners_datagrams_and_connections() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).unwrap();
            let address = listener.local_addr().unwrap();
            let info = socket_info(listener.as_raw_fd()).unwrap();
            assert_eq!((info.kind, info.is_listening), (SockType::Stream, true));
            assert_eq!(info.address, LocalAddress::Inet(address));
            assert!(!info.is_connected);

            let stream = TcpStream::connect(address).unwrap();
            let info = socket_info(stream.as_raw_fd()).unwrap();
            assert_eq!((info.is_listening, info.is_connected), (false, true));

            let udp = UdpSocket::bind(address).unwrap();
            let info = socket_info(udp.as_raw_fd()).unwrap();
            assert_eq!((info.kind, info.is_listening), (SockType::Datagram, false));
        }
    }

    #[test]
    fn unix_sockets_and_their_names() {
        let name = format!("systemd-core-info-{}", std::process::id());
        let address = UnixAddr::from_abstract_name(&name).unwrap();
        let listener = UnixListener::bind_addr(&address).unwrap();
        let info = socket_info(listener.as_raw_fd()).unwrap();
        assert_eq!(info.address, LocalAddress::Unix(format!("\0{name}").into_bytes()));
        assert!(info.is_listening);

        let path = std::env::temp_dir().join(&name);
        let datagram = UnixDatagram::bind(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let info = socket_info(datagram.as_raw_fd()).unwrap();
        assert_eq!(info.address, LocalAddress::Unix(path.as_os_str().as_bytes().to_vec()));

        let (nameless, _other) = UnixDatagram::pair().unwrap();
        let info = socket_info(nameless.as_raw_fd()).unwrap();
        assert_eq!(info.address, LocalAddress::Unix(vec![]));
    }

    #[test]
    fn a_path_that_has_no_room_for_a_nul() {
        let prefix = format!("/tmp/systemd-core-{}-", std::process::id());
        let path = format!("{prefix:n<108}");
        let datagram = UnixDatagram::unbound().unwrap();
        // Neither the standard library nor nix can create such an address.
        let mut address = libc::sockaddr_un { sun_family: 1, sun_path: [0; 108] };
        for (to, from) in address.sun_path.iter_mut().zip(path.bytes()) {
            *to = from as libc::c_char;
        }
        // SAFETY: the pointer and the length are those of `address`.
        let bound = unsafe {
            libc::bind(
                datagram.as_raw_fd(),
                (&raw const address).cast(),
                size_of_val(&address) as u32,
            )
        };
        assert_eq!(bound, 0);
        std::fs::remove_file(&path).unwrap();
        let info = socket_info(datagram.as_raw_fd()).unwrap();
        assert_eq!(info.address, LocalAddress::Unix(path.into_bytes()));
    }

    #[test]
    fn what_is_no_socket() {
        let file = File::open("/dev/null").unwrap();
        assert_eq!(socket_info(file.as_raw_fd()), Err(Errno::ENOTSOCK));
    }
}
