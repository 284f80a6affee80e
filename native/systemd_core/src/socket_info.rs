//! What a descriptor is, asked of the kernel.

use nix::errno::Errno;
use nix::sys::socket::{
    SockType, SockaddrStorage, getpeername, getsockname, getsockopt, sockopt,
};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

/// A socket of one of the families that the BEAM knows.
#[derive(Debug, PartialEq, Eq)]
pub struct SocketInfo {
    /// `SO_TYPE`
    pub kind: SockType,
    /// `SO_ACCEPTCONN`
    pub is_listening: bool,
    /// Whether it has a peer.
    pub is_connected: bool,
    /// The local address, with its family.
    pub address: LocalAddress,
}

/// What getsockname(2) says.
#[derive(Debug, PartialEq, Eq)]
pub enum LocalAddress {
    /// `AF_INET` or `AF_INET6`
    Inet(SocketAddr),
    /// `AF_UNIX`: a path, a NUL and an abstract name, or nothing.
    Unix(Vec<u8>),
}

/// `ENOTSOCK` for anything but a socket, `EAFNOSUPPORT` for one of another family, `EBADF` for one
/// that is not open.
pub fn socket_info(fd: BorrowedFd<'_>) -> Result<SocketInfo, Errno> {
    let address = getsockname::<SockaddrStorage>(fd.as_raw_fd())?;
    Ok(SocketInfo {
        kind: getsockopt(&fd, sockopt::SockType)?,
        is_listening: getsockopt(&fd, sockopt::AcceptConn)?,
        is_connected: getpeername::<SockaddrStorage>(fd.as_raw_fd()).is_ok(),
        address: local_address(&address).ok_or(Errno::EAFNOSUPPORT)?,
    })
}

fn local_address(address: &SockaddrStorage) -> Option<LocalAddress> {
    if let Some(address) = address.as_sockaddr_in() {
        return Some(LocalAddress::Inet(SocketAddr::V4((*address).into())));
    }
    if let Some(address) = address.as_sockaddr_in6() {
        return Some(LocalAddress::Inet(SocketAddr::V6((*address).into())));
    }
    let address = address.as_unix_addr()?;
    Some(LocalAddress::Unix(match (address.path(), address.as_abstract()) {
        (Some(path), _) => path.as_os_str().as_bytes().to_vec(),
        (_, Some(name)) => [b"\0", name].concat(),
        _ => Vec::new(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::fd::AsFd;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram, UnixListener};

    #[test]
    fn listeners_datagrams_and_connections() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).unwrap();
            let address = listener.local_addr().unwrap();
            let info = socket_info(listener.as_fd()).unwrap();
            assert_eq!((info.kind, info.is_listening), (SockType::Stream, true));
            assert_eq!(info.address, LocalAddress::Inet(address));
            assert!(!info.is_connected);

            let stream = TcpStream::connect(address).unwrap();
            let info = socket_info(stream.as_fd()).unwrap();
            assert_eq!((info.is_listening, info.is_connected), (false, true));

            let udp = UdpSocket::bind(address).unwrap();
            let info = socket_info(udp.as_fd()).unwrap();
            assert_eq!((info.kind, info.is_listening), (SockType::Datagram, false));
        }
    }

    #[test]
    fn unix_sockets_and_their_names() {
        let name = format!("systemd-core-info-{}", std::process::id());
        let address = UnixAddr::from_abstract_name(&name).unwrap();
        let listener = UnixListener::bind_addr(&address).unwrap();
        let info = socket_info(listener.as_fd()).unwrap();
        assert_eq!(info.address, LocalAddress::Unix(format!("\0{name}").into_bytes()));
        assert!(info.is_listening);

        let path = std::env::temp_dir().join(&name);
        let datagram = UnixDatagram::bind(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let info = socket_info(datagram.as_fd()).unwrap();
        assert_eq!(info.address, LocalAddress::Unix(path.as_os_str().as_bytes().to_vec()));

        let (nameless, _other) = UnixDatagram::pair().unwrap();
        let info = socket_info(nameless.as_fd()).unwrap();
        assert_eq!(info.address, LocalAddress::Unix(vec![]));
    }

    #[test]
    fn what_is_no_socket() {
        let file = File::open("/dev/null").unwrap();
        assert_eq!(socket_info(file.as_fd()), Err(Errno::ENOTSOCK));
    }
}
