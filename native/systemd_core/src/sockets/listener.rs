//! Takes a listening socket away from the server that accepts on it.

use super::connections::queue_length;
use super::epoll;
use super::listen_fds::is_handed_over;
use super::socket_info::{LocalAddress, SocketInfo, socket_info};
use crate::raw_fd::{borrow, duplicate, open_as};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::socket::{
    AddressFamily, Backlog, GetSockOpt, SetSockOpt, SockFlag, SockaddrIn, SockaddrIn6, UnixAddr,
    bind, getsockopt, listen, setsockopt, socket, sockopt,
};
use nix::sys::stat::{Mode, SFlag, fstat};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A listening socket that was taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakenAway {
    /// A descriptor of the socket on which nobody accepts. It stays open until it is given back or closed.
    pub fd: RawFd,
    /// Identifies the socket. The descriptor number alone does not.
    pub inode: u64,
    /// The inode of the socket in its place.
    pub decoy: u64,
    /// Whether systemd has passed the socket. systemd still holds it then.
    pub is_handed_over: bool,
}

/// How long `take_away` waits for the server to accept what is in the queue, if systemd does not hold the socket.
const LONGEST_QUEUE: Duration = Duration::from_millis(100);

static TAKEN: Mutex<Vec<TakenAway>> = Mutex::new(Vec::new());

/// Replaces all descriptors of this listening socket in this process by another listening socket, to which no client
/// connects. Accepts on them go on waiting, and new connections wait in the queue of the socket that was taken away. `EINVAL` if
/// the socket doesn't listen, `EALREADY` if it was taken away before.
pub fn take_away(fd: RawFd) -> Result<TakenAway, Errno> {
    take_away_if(fd, is_handed_over)
}

fn take_away_if(fd: RawFd, is_handed_over: impl Fn(RawFd) -> bool) -> Result<TakenAway, Errno> {
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    // From here on another file may get the number `fd`.
    let socket = duplicate(fd)?;
    let info = socket_info(socket.as_raw_fd())?;
    if !info.is_listening {
        return Err(Errno::EINVAL);
    }
    let own_inode = inode(&socket)?;
    // Another copy of this library may have given one back.
    taken.retain(|before| is_inode(before.fd, before.inode));
    if taken.iter().any(|before| [before.inode, before.decoy].contains(&own_inode)) {
        return Err(Errno::EALREADY);
    }
    let numbers = || numbers(own_inode, socket.as_raw_fd());
    let is_handed_over = numbers()?.into_iter().any(is_handed_over);
    let deadline = Instant::now() + LONGEST_QUEUE;
    while !is_handed_over && queue_length(socket.as_raw_fd()) > 0 && Instant::now() < deadline {
        sleep(Duration::from_millis(1));
    }
    let decoy = decoy(&info)?;
    copy_options(&socket, &decoy);
    let (mut replaced, mut result) = (0, Err(Errno::EBADF));
    for number in numbers()? {
        result = epoll::replace(number, own_inode, decoy.as_fd());
        replaced += usize::from(result.is_ok());
    }
    if replaced == 0 {
        return Err(result.err().unwrap_or(Errno::EBADF));
    }
    let away = TakenAway {
        inode: own_inode,
        decoy: inode(&decoy)?,
        is_handed_over,
        fd: socket.into_raw_fd(),
    };
    taken.push(away);
    Ok(away)
}

impl TakenAway {
    /// Gives the socket its number `fd` again. The number must be the decoy's, or free. Fails with `EBADF` if another
    /// file has got one of the two numbers.
    pub fn give_back(self, fd: RawFd) -> Result<(), Errno> {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_inode(self.fd, self.inode) {
            return Err(Errno::EBADF);
        }
        let socket = borrow(self.fd)?;
        if is_inode(fd, self.decoy) {
            epoll::replace(fd, self.decoy, socket)?;
        } else {
            open_as(fd, socket)?;
            let _ = epoll::forget(fd);
        }
        self.end(&mut taken);
        Ok(())
    }

    /// Closes the descriptor. This ends the socket if nothing else holds it.
    pub fn close(self) -> Result<(), Errno> {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_inode(self.fd, self.inode) {
            return Err(Errno::EBADF);
        }
        self.end(&mut taken);
        Ok(())
    }

    fn end(self, taken: &mut Vec<TakenAway>) {
        taken.retain(|before| before.inode != self.inode);
        // SAFETY: the inode shows that this is the descriptor that `take_away` has left open. Nothing else closes it: calls
        // of these functions exclude each other.
        drop(unsafe { OwnedFd::from_raw_fd(self.fd) });
    }
}

/// The listening TCP sockets of this process on this port.
pub fn listening_on(port: u16) -> Result<Vec<RawFd>, Errno> {
    let mut found = Vec::new();
    for_each_fd(|fd| {
        if let Ok(info) = socket_info(fd)
            && info.is_listening
            && matches!(info.address, LocalAddress::Inet(address) if address.port() == port)
        {
            found.push(fd);
        }
    })?;
    Ok(found)
}

/// Calls `call` with the number of each descriptor of this process.
pub(super) fn for_each_fd(mut call: impl FnMut(RawFd)) -> Result<(), Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut directory = Dir::open("/proc/self/fd", flags, Mode::empty())?;
    let own = directory.as_raw_fd();
    for entry in directory.iter() {
        let entry = entry?;
        let number = entry.file_name().to_str().ok().and_then(|name| name.parse().ok());
        if let Some(number) = number
            && number != own
        {
            call(number);
        }
    }
    Ok(())
}

/// The inode of a socket. Sockets have a file system of their own, so it is unique among them.
pub(super) fn inode(fd: impl AsFd) -> Result<u64, Errno> {
    let stat = fstat(fd)?;
    let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
    if kind == SFlag::S_IFSOCK { Ok(stat.st_ino) } else { Err(Errno::ENOTSOCK) }
}

fn is_inode(fd: RawFd, of: u64) -> bool {
    borrow(fd).and_then(inode) == Ok(of)
}

/// The numbers of this process's descriptors of a socket, other than `but`.
fn numbers(of: u64, but: RawFd) -> Result<Vec<RawFd>, Errno> {
    let mut found = Vec::new();
    for_each_fd(|fd| {
        if fd != but && is_inode(fd, of) {
            found.push(fd);
        }
    })?;
    Ok(found)
}

/// A listening socket of the same family, because a server may ask for its address. If the unit forbids that family
/// (`RestrictAddressFamilies=`), a UNIX socket, which notifications need anyway.
fn decoy(of: &SocketInfo) -> Result<OwnedFd, Errno> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let make = |family| socket(family, of.kind, flags, None);
    let unix = || {
        let decoy = make(AddressFamily::Unix)?;
        // The kernel chooses the name.
        bind(decoy.as_raw_fd(), &UnixAddr::new_unnamed()).map(|()| decoy)
    };
    let decoy = match of.address {
        LocalAddress::Inet(SocketAddr::V4(_)) => {
            let address: SockaddrIn = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0).into();
            make(AddressFamily::Inet)
                .and_then(|made| bind(made.as_raw_fd(), &address).map(|()| made))
        }
        LocalAddress::Inet(SocketAddr::V6(_)) => {
            let address: SockaddrIn6 = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 0, 0, 0).into();
            make(AddressFamily::Inet6)
                .and_then(|made| bind(made.as_raw_fd(), &address).map(|()| made))
        }
        LocalAddress::Unix(_) => unix(),
    };
    let decoy = decoy.or_else(|_| unix())?;
    listen(&decoy, Backlog::new(1)?)?;
    Ok(decoy)
}

/// After an accept the VM reads these options from the listener's number, and sets them on the connection. OTP 27 does so with
/// `SO_REUSEADDR` too: a connection without it makes bind(2) of the port fail until its TIME-WAIT is over.
fn copy_options(from: &OwnedFd, to: &OwnedFd) {
    copy_option(from, to, sockopt::ReuseAddr);
    copy_option(from, to, sockopt::KeepAlive);
    copy_option(from, to, sockopt::Linger);
    copy_option(from, to, sockopt::TcpNoDelay);
    copy_option(from, to, sockopt::Ipv4Tos);
    copy_option(from, to, sockopt::IpRecvTos);
    copy_option(from, to, sockopt::Ipv6TClass);
    copy_option(from, to, sockopt::Ipv6RecvTClass);
    // After IP_TOS, which sets it as well.
    copy_option(from, to, sockopt::Priority);
}

/// Does nothing if sockets of this family do not have the option.
fn copy_option<O: GetSockOpt<Val = V> + SetSockOpt<Val = V> + Copy, V>(
    from: &OwnedFd,
    to: &OwnedFd,
    option: O,
) {
    let _ = getsockopt(from, option).and_then(|value| setsockopt(to, option, &value));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw_fd::replace_file;
    use nix::unistd::close;
    use std::io::{ErrorKind, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener, UnixStream};
    use std::thread::spawn;

    fn is_refused(result: std::io::Result<impl Sized>) -> bool {
        matches!(result, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    fn take_away(listener: &impl AsRawFd) -> TakenAway {
        take_away_if(listener.as_raw_fd(), |fd| fd == listener.as_raw_fd()).unwrap()
    }

    #[test]
    fn of_this_process_alone() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let before = TcpStream::connect(address).unwrap();
        let accepted = spawn({
            let listener = listener.try_clone().unwrap();
            move || {
                sleep(LONGEST_QUEUE / 4);
                listener.accept().unwrap().1
            }
        });
        let taken = super::take_away(listener.as_raw_fd()).unwrap();
        assert!(!taken.is_handed_over);
        assert_eq!(accepted.join().unwrap(), before.local_addr().unwrap());
        let late = TcpStream::connect(address).unwrap();
        assert!(is_refused(listener.accept()));
        assert_eq!(taken.close(), Ok(()));
        assert!(late.take_error().is_ok());
        assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }

    #[test]
    fn those_who_come_wait_for_the_next_one() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).unwrap();
            let again = listener.try_clone().unwrap();
            let address = listener.local_addr().unwrap();
            let before = TcpStream::connect(address).unwrap();

            let taken = take_away(&again);
            assert_eq!(super::take_away(taken.fd), Err(Errno::EALREADY));
            assert_eq!(super::take_away(again.as_raw_fd()), Err(Errno::EALREADY));
            let decoy = listener.local_addr().unwrap();
            assert_ne!(decoy.port(), address.port());
            assert_eq!(again.local_addr().unwrap(), decoy);
            let mut after = TcpStream::connect(address).unwrap();
            after.write_all(b"hello").unwrap();
            assert!(is_refused(listener.accept()));
            assert!(is_refused(again.accept()));
            assert_eq!(taken.give_back(listener.as_raw_fd()), Ok(()));
            assert_eq!(taken.give_back(listener.as_raw_fd()), Err(Errno::EBADF));
            let (_, peer) = listener.accept().unwrap();
            assert_eq!(peer, before.local_addr().unwrap());
            let (mut accepted, peer) = listener.accept().unwrap();
            assert_eq!(peer, after.local_addr().unwrap());
            let mut text = [0; 5];
            accepted.read_exact(&mut text).unwrap();
            assert_eq!(&text, b"hello");

            // Again, as after a restart of the VM.
            let again = take_away(&listener);
            assert!(is_refused(listener.accept()));
            assert_eq!(again.give_back(listener.as_raw_fd()), Ok(()));
            let number = listener.into_raw_fd();
            let listener = take_away(&number);
            let null = std::fs::File::open("/dev/null").unwrap();
            replace_file(number, &null).unwrap();
            assert_eq!(listener.give_back(number), Err(Errno::EBADF));
            assert_eq!(inode(borrow(number).unwrap()), Err(Errno::ENOTSOCK));
            close(number).unwrap();
            assert_eq!(listener.give_back(number), Ok(()));
            assert_eq!(listening_on(address.port()), Ok(vec![number]));
            close(number).unwrap();
        }
    }

    #[test]
    fn of_unix() {
        let name = format!("systemd-core-listener-{}", std::process::id());
        let address = UnixAddress::from_abstract_name(&name).unwrap();
        let listener = UnixListener::bind_addr(&address).unwrap();
        let taken = take_away(&listener);
        let _waits = UnixStream::connect_addr(&address).unwrap();
        assert!(is_refused(listener.accept()));
        assert_eq!(taken.give_back(listener.as_raw_fd()), Ok(()));
        assert!(listener.accept().is_ok());
    }

    #[test]
    fn what_does_not_listen() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(super::take_away(stream.as_raw_fd()), Err(Errno::EINVAL));
        assert_eq!(super::take_away(-1), Err(Errno::EBADF));
        let null = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(super::take_away(null.as_raw_fd()), Err(Errno::ENOTSOCK));
        let other = TakenAway { fd: null.as_raw_fd(), inode: 0, decoy: 0, is_handed_over: false };
        assert_eq!(other.give_back(listener.as_raw_fd()), Err(Errno::EBADF));
    }

    #[test]
    fn by_its_port() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let _connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
        assert_eq!(listening_on(port), Ok(vec![listener.as_raw_fd()]));
    }
}
