//! Which connections of a listener still have requests, according to the kernel.

use super::listener::for_each_fd;
use crate::raw_fd::borrow;
use nix::errno::Errno;
use nix::libc::{self, FIONREAD, TIOCOUTQ, c_int};
use nix::sys::socket::{SockaddrStorage, UnixAddr, getsockname, getsockopt, sockopt};
use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::os::fd::RawFd;
use std::time::Duration;

nix::ioctl_read_bad!(unread, FIONREAD, c_int);
nix::ioctl_read_bad!(unsent, TIOCOUTQ, c_int);

/// How long to wait for a connection if the kernel can't tell whether it has a request.
const UNCLEAR: Duration = Duration::from_secs(2);

/// How long to wait for a connection on which the client sends another request after each answer.
const LONGEST_USE: Duration = Duration::from_secs(5);

/// This long after the listener was taken away, every connection that it has accepted has completed its TLS handshake.
const LONGEST_HANDSHAKE: Duration = Duration::from_millis(500);

/// Connections of this process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Connections {
    /// Connections that are open. The peer may already have closed its side.
    pub open: u32,
    /// Connections with an unanswered request, or for which the kernel can't tell.
    pub with_request: u32,
}

/// Counts the connections that the sockets `listeners` have accepted. `since` is the time since they were taken away.
pub fn connections(listeners: &[RawFd], since: Duration) -> Result<Connections, Errno> {
    let addresses: Vec<_> =
        listeners.iter().map(|&fd| Local::of(fd)).collect::<Result<_, _>>()?;
    let mut found = Connections::default();
    for_each_fd(|fd| {
        if let Ok(local) = Local::of(fd)
            && addresses.iter().any(|listener| listener.has_accepted(&local))
            && let Some(has_request) = has_request(fd, &local, since)
        {
            found.open += 1;
            found.with_request += u32::from(has_request);
        }
    })?;
    Ok(found)
}

/// How many connections wait in the accept queue of a listening TCP socket: see tcp(7).
pub(super) fn queue_length(listener: RawFd) -> u32 {
    TcpInfo::of(listener).map_or(0, |info| info.unacked)
}

/// A local address, from getsockname(2).
enum Local {
    Inet(IpAddr, u16),
    Unix(UnixAddr),
}

impl Local {
    fn of(fd: RawFd) -> Result<Self, Errno> {
        let address = getsockname::<SockaddrStorage>(fd)?;
        if let Some(v4) = address.as_sockaddr_in() {
            Ok(Self::Inet(v4.ip().into(), v4.port()))
        } else if let Some(v6) = address.as_sockaddr_in6() {
            Ok(Self::Inet(v6.ip().to_canonical(), v6.port()))
        } else {
            address.as_unix_addr().copied().map(Self::Unix).ok_or(Errno::EAFNOSUPPORT)
        }
    }

    fn has_accepted(&self, connection: &Self) -> bool {
        match (self, connection) {
            (Self::Inet(ip, port), Self::Inet(of_ip, of_port)) => {
                port == of_port && (ip.is_unspecified() || ip == of_ip)
            }
            (Self::Unix(own), Self::Unix(of)) => own == of,
            _ => false,
        }
    }
}

/// Whether a connection has a request. `None` if the descriptor is not a connection, or not an open one.
fn has_request(fd: RawFd, local: &Local, since: Duration) -> Option<bool> {
    let is_listening = getsockopt(&borrow(fd).ok()?, sockopt::AcceptConn).ok()?;
    if is_listening {
        return None;
    }
    let bytes = |ask: unsafe fn(c_int, *mut c_int) -> nix::Result<c_int>| {
        let mut count = 0;
        // SAFETY: both ioctls write a number to `count`.
        unsafe { ask(fd, &raw mut count) }.map_or(0, |_| count)
    };
    let tcp = match local {
        Local::Inet(..) => Some(TcpInfo::of(fd).ok()?),
        Local::Unix(_) => None,
    };
    if tcp.as_ref().is_some_and(|tcp| !tcp.is_open()) {
        return None;
    }
    Some(match tcp {
        Some(tcp) if tcp.was_answered(since) => tcp.notsent_bytes > 0,
        Some(tcp) => bytes(unread) > 0 || tcp.notsent_bytes > 0 || tcp.has_request(),
        None => bytes(unread) > 0 || bytes(unsent) > 0 || since < UNCLEAR,
    })
}

/// The part of `struct tcp_info` in linux/tcp.h that Linux 4.6 and later fill in. The struct in libc is shorter.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct TcpInfo {
    state: u8,
    options: [u8; 7],
    sizes: [u32; 4],
    /// For a listening socket, the length of its accept queue.
    unacked: u32,
    losses: [u32; 4],
    /// This field and the next three are ages in milliseconds. The kernel's clock counts in ticks, usually of 4 ms, so
    /// events within one tick have the same age.
    last_data_sent: u32,
    last_ack_sent: u32,
    last_data_recv: u32,
    last_ack_recv: u32,
    windows: [u32; 11],
    pacing_rate: u64,
    max_pacing_rate: u64,
    bytes_acked: u64,
    bytes_received: u64,
    segs_out: u32,
    segs_in: u32,
    /// Data in the VM's own send queue follows these bytes.
    notsent_bytes: u32,
    min_rtt: u32,
    data_segs_in: u32,
    data_segs_out: u32,
}

impl TcpInfo {
    fn of(fd: RawFd) -> Result<Self, Errno> {
        let mut info = MaybeUninit::<Self>::zeroed();
        let mut length = size_of::<Self>() as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` bytes, and any bytes are a valid `TcpInfo`.
        let info = unsafe {
            let (level, name) = (libc::IPPROTO_TCP, libc::TCP_INFO);
            let result =
                libc::getsockopt(fd, level, name, info.as_mut_ptr().cast(), &raw mut length);
            Errno::result(result)?;
            info.assume_init()
        };
        Ok(info)
    }

    /// True for `TCP_ESTABLISHED`, and for `TCP_CLOSE_WAIT`: the peer has closed its side, but may wait for an answer.
    fn is_open(&self) -> bool {
        matches!(self.state, 1 | 8)
    }

    /// Whether the connection has had an answer since the listener was taken away, and its client still uses it.
    /// Waiting longer does not help: whenever such a connection ends, it may lose a request.
    fn was_answered(&self, since: Duration) -> bool {
        let sent = Duration::from_millis(self.last_data_sent.into());
        self.data_segs_out > 0 && since > LONGEST_USE && sent + LONGEST_HANDSHAKE < since
    }

    fn has_request(&self) -> bool {
        let (sent, received) = (self.last_data_sent, self.last_data_recv);
        // Both times are set from the start of the connection, even without any data.
        let has_received = self.bytes_received > 0;
        if has_received && (self.data_segs_out == 0 || received < sent) {
            return true;
        }
        // Unclear if both fall into one tick and the peer has acknowledged nothing since, or if a new connection has
        // sent nothing yet.
        let is_unclear = !has_received || received == sent && self.last_ack_recv == received;
        is_unclear && Duration::from_millis(received.into()) < UNCLEAR
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
    use std::thread::sleep;

    const NOW: Duration = Duration::ZERO;

    fn of(listener: &impl AsRawFd, since: Duration) -> (u32, u32) {
        let found = connections(&[listener.as_raw_fd()], since).unwrap();
        (found.open, found.with_request)
    }

    fn pair(listener: &TcpListener) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    #[test]
    fn the_course_of_a_request() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).unwrap();
            assert_eq!(of(&listener, NOW), (0, 0));
            let (mut client, mut server) = pair(&listener);
            // The client is about to send a request.
            assert_eq!(of(&listener, NOW), (1, 1));
            client.write_all(b"request").unwrap();
            assert_eq!(of(&listener, NOW), (1, 1));
            let _ = server.read(&mut [0; 100]).unwrap();
            assert_eq!(of(&listener, NOW), (1, 1));
            sleep(Duration::from_millis(50));
            assert_eq!(of(&listener, NOW), (1, 1));
            server.write_all(b"answer").unwrap();
            let _ = client.read(&mut [0; 100]).unwrap();
            assert_eq!(of(&listener, NOW), (1, 0));
            // A second request on the same connection.
            sleep(Duration::from_millis(50));
            client.write_all(b"request").unwrap();
            let _ = server.read(&mut [0; 100]).unwrap();
            assert_eq!(of(&listener, NOW), (1, 1));
            drop(server);
            assert_eq!(of(&listener, NOW), (0, 0));
        }
    }

    #[test]
    fn one_that_asks_nothing_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (_client, _server) = pair(&listener);
        sleep(UNCLEAR + Duration::from_millis(50));
        assert_eq!(of(&listener, NOW), (1, 0));
    }

    /// Requests that are so fast that the kernel's clock does not advance, and then one with a slow answer.
    #[test]
    fn asked_again_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (mut client, mut server) = pair(&listener);
        for _ in 0..1000 {
            client.write_all(b"request").unwrap();
            let _ = server.read(&mut [0; 100]).unwrap();
            server.write_all(b"answer").unwrap();
            let _ = client.read(&mut [0; 100]).unwrap();
        }
        client.write_all(b"request").unwrap();
        let _ = server.read(&mut [0; 100]).unwrap();
        for _ in 0..10 {
            sleep(Duration::from_millis(100));
            assert_eq!(of(&listener, NOW), (1, 1));
        }
        server.write_all(b"answer").unwrap();
        let _ = client.read(&mut [0; 100]).unwrap();
        assert_eq!(of(&listener, NOW), (1, 0));
    }

    /// By a client that keeps its connection open.
    #[test]
    fn asked_again_after_an_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (mut client, mut server) = pair(&listener);
        let (mut slow, mut late) = pair(&listener);
        for (client, server) in [(&mut client, &mut server), (&mut slow, &mut late)] {
            client.write_all(b"request").unwrap();
            let _ = server.read(&mut [0; 100]).unwrap();
        }
        sleep(Duration::from_millis(50));
        server.write_all(b"answer").unwrap();
        client.write_all(b"request").unwrap();
        sleep(Duration::from_millis(50));
        assert_eq!(of(&listener, Duration::from_millis(100)), (2, 2));
        assert_eq!(of(&listener, Duration::from_secs(6)), (2, 1));
        slow.write_all(b"more of it").unwrap();
        assert_eq!(of(&listener, Duration::from_secs(6)), (2, 1));
        late.write_all(b"answer").unwrap();
        assert_eq!(of(&listener, Duration::from_secs(6)), (2, 0));
    }

    #[test]
    fn an_answer_that_is_not_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (mut client, mut server) = pair(&listener);
        client.write_all(b"request").unwrap();
        let _ = server.read(&mut [0; 100]).unwrap();
        server.set_nonblocking(true).unwrap();
        while server.write(&[0; 65536]).is_ok() {}
        sleep(Duration::from_millis(50));
        assert_eq!(of(&listener, NOW), (1, 1));
    }

    #[test]
    fn by_one_of_several_listeners() {
        let all = TcpListener::bind("[::]:0").unwrap();
        let port = all.local_addr().unwrap().port();
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let _v4 = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let _v6 = TcpStream::connect(("::1", port)).unwrap();
        let _accepted = (all.accept().unwrap(), all.accept().unwrap());
        let _other = pair(&other);
        assert_eq!(of(&all, NOW).0, 2);
        assert_eq!(of(&other, NOW).0, 1);
        let both = connections(&[all.as_raw_fd(), other.as_raw_fd()], NOW).unwrap();
        assert_eq!(both.open, 3);
    }

    #[test]
    fn of_unix() {
        let name = format!("systemd-core-connections-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixListener::bind_addr(&address).unwrap();
        let mut client = UnixStream::connect_addr(&address).unwrap();
        let (_server, _) = listener.accept().unwrap();
        assert_eq!(of(&listener, NOW), (1, 1));
        assert_eq!(of(&listener, UNCLEAR), (1, 0));
        client.write_all(b"request").unwrap();
        assert_eq!(of(&listener, UNCLEAR), (1, 1));
    }
}
