//! The thread that watches memory pressure, with each kind of file in the protocol.

#![allow(clippy::unwrap_used)]

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use std::fs::{File, OpenOptions, read, remove_file, write};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use systemd_core::{Errno, MemoryPressure, Pressure};

const LONG: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_millis(200);

struct Named(PathBuf);

impl Named {
    fn new(test: &str) -> Self {
        let name = format!("systemd-core-pressure-{test}-{}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn fifo(test: &str) -> Self {
        let named = Self::new(test);
        mkfifo(&named.0, Mode::S_IRWXU).unwrap();
        named
    }

    fn listener(test: &str) -> (Self, UnixListener) {
        let named = Self::new(test);
        let listener = UnixListener::bind(&named.0).unwrap();
        (named, listener)
    }

    fn writer(&self) -> File {
        OpenOptions::new().write(true).open(&self.0).unwrap()
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        remove_file(&self.0).unwrap();
    }
}

type Events = Receiver<Pressure>;

fn start(path: &Path, data: &[u8]) -> Result<(MemoryPressure, Events), Errno> {
    let (tell, events) = channel();
    let tell = move |pressure| tell.send(pressure).unwrap_or_default();
    Ok((MemoryPressure::start(path.to_owned(), data.to_vec(), tell)?, events))
}

fn refused(path: &Path) -> Errno {
    refused_with(path, b"")
}

fn refused_with(path: &Path, data: &[u8]) -> Errno {
    let (_watch, events) = start(path, data).unwrap();
    match events.recv_timeout(LONG) {
        Ok(Pressure::Failed(errno)) => errno,
        other => panic!("{other:?}"),
    }
}

fn accepted(listener: &UnixListener) -> UnixStream {
    let (client, _) = listener.accept().unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    client
}

#[test]
fn a_fifo_is_reported_once_until_the_owner_is_done() {
    let fifo = Named::fifo("fifo");
    let (watch, events) = start(&fifo.0, b"").unwrap();
    // A FIFO that has no writer yet, or none any more, is no event.
    for _ in 0..2 {
        assert_eq!(events.recv_timeout(SILENCE), Err(RecvTimeoutError::Timeout));
        let mut writer = fifo.writer();
        writer.write_all(b"some").unwrap();
        assert_eq!(events.recv_timeout(LONG), Ok(Pressure::Felt));
        for _ in 0..3 {
            writer.write_all(b"more").unwrap();
        }
        assert_eq!(events.recv_timeout(SILENCE), Err(RecvTimeoutError::Timeout));
        watch.done();
        assert_eq!(events.recv_timeout(LONG), Ok(Pressure::Felt));
        watch.done();
    }
}

/// A FIFO returns the data to the process that has written it.
#[test]
fn the_data_is_no_event_of_a_fifo() {
    let fifo = Named::fifo("data");
    let (_watch, events) = start(&fifo.0, b"some 200000 2000000\0").unwrap();
    assert_eq!(events.recv_timeout(SILENCE), Err(RecvTimeoutError::Timeout));
}

#[test]
fn extra_calls_of_done_have_no_effect() {
    let fifo = Named::fifo("often");
    let (watch, events) = start(&fifo.0, b"").unwrap();
    for _ in 0..100_000 {
        watch.done();
    }
    let mut writer = fifo.writer();
    writer.write_all(b"some").unwrap();
    assert_eq!(events.recv_timeout(LONG), Ok(Pressure::Felt));
    assert_eq!(events.recv_timeout(SILENCE), Err(RecvTimeoutError::Timeout));
}

#[test]
fn a_socket_gets_the_data_and_ends_with_its_end() {
    let (named, listener) = Named::listener("socket");
    let (watch, events) = start(&named.0, b"some 200000 2000000\0").unwrap();
    let mut peer = accepted(&listener);
    let mut data = [0; 20];
    peer.read_exact(&mut data).unwrap();
    assert_eq!(&data, b"some 200000 2000000\0");
    peer.write_all(&[7; 5]).unwrap();
    assert_eq!(events.recv_timeout(LONG), Ok(Pressure::Felt));
    drop(peer);
    assert_eq!(events.recv_timeout(SILENCE), Err(RecvTimeoutError::Timeout));
    watch.done();
    assert_eq!(events.recv_timeout(LONG), Ok(Pressure::Closed));
    assert_eq!(events.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected));
}

/// The kernel accepts a trigger and keeps it. Without one there is nothing to wait for, and poll(2) reports an error.
#[test]
fn the_kernels_own_file() {
    let psi = Path::new("/proc/pressure/memory");
    if !psi.exists() {
        eprintln!("this kernel has no {}", psi.display());
        return;
    }
    let (_watch, events) = start(psi, b"some 1900000 2000000\0").unwrap();
    assert_eq!(events.recv_timeout(SILENCE), Err(RecvTimeoutError::Timeout));
    assert_eq!(refused_with(psi, b"no trigger\0"), Errno::EINVAL);
    let (_watch, events) = start(psi, b"").unwrap();
    assert_eq!(events.recv_timeout(LONG), Ok(Pressure::Closed));
    assert_eq!(events.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected));
}

#[test]
fn what_is_none_of_the_three() {
    assert_eq!(refused(Path::new("/dev/null")), Errno::EINVAL);
    assert_eq!(refused(Path::new("proc/pressure/memory")), Errno::EINVAL);
    assert_eq!(refused(Path::new("")), Errno::EINVAL);
    assert_eq!(refused(Path::new("/tmp")), Errno::EINVAL);
    assert_eq!(refused(Path::new("/no/such/file")), Errno::ENOENT);
    let file = Named::new("file");
    write(&file.0, "precious").unwrap();
    assert_eq!(refused_with(&file.0, b"some"), Errno::EINVAL);
    assert_eq!(read(&file.0).unwrap(), b"precious");
    let (socket, listener) = Named::listener("refused");
    drop(listener);
    assert_eq!(refused(&socket.0), Errno::ECONNREFUSED);
}

/// In all four cases: the thread sleeps in `poll` or waits for its owner, and the watch is dropped or stopped.
#[test]
fn ends_at_once() {
    for press in [false, true] {
        for stop in [false, true] {
            let fifo = Named::fifo(&format!("ends-{press}-{stop}"));
            let (watch, events) = start(&fifo.0, b"").unwrap();
            if press {
                fifo.writer().write_all(b"some").unwrap();
                assert_eq!(events.recv_timeout(LONG), Ok(Pressure::Felt));
            } else {
                assert_eq!(events.recv_timeout(SILENCE), Err(RecvTimeoutError::Timeout));
            }
            let since = Instant::now();
            if stop {
                watch.stop();
                assert_eq!(events.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected));
                watch.done();
            }
            drop(watch);
            assert_eq!(events.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected));
            assert!(since.elapsed() < LONG);
        }
    }
}
