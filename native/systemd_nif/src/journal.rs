//! The resource `systemd_journal_h` logs with.

use crate::chardata::Limit;
use crate::layout::{Event, Invalid, Layout, NotEncoded};
use crate::{atoms, binary, error, reason};
use rustler::{Atom, Binary, Encoder, Env, Resource, ResourceArc, Term};
use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use systemd_core::{Entry, Errno, Journal, Sent, is_journal_stream};

/// What a handler of `logger` needs to log, in one term, which is copied at every log call.
struct SinkResource {
    journal: ResourceArc<JournalResource>,
    layout: Layout,
    /// For the handler's own use.
    given: Vec<u8>,
    complained: AtomicBool,
}

#[rustler::resource_impl]
impl Resource for SinkResource {}

/// A socket to journald, and what did not get through it. It outlives a handler's configuration.
struct JournalResource {
    journal: Journal,
    dropped: Mutex<Dropped>,
}

#[rustler::resource_impl]
impl Resource for JournalResource {}

/// Times are those of the events, in microseconds since 1970.
#[derive(Default, Clone, Copy)]
struct Dropped {
    count: u64,
    first: i64,
    last: i64,
}

#[rustler::nif]
fn journal_open<'a>(env: Env<'a>, path: Binary<'a>) -> Term<'a> {
    match Journal::open(Path::new(OsStr::from_bytes(path.as_slice()))) {
        Ok(journal) => {
            let dropped = Mutex::default();
            (atoms::ok(), ResourceArc::new(JournalResource { journal, dropped })).encode(env)
        }
        Err(errno) => error(env, reason::posix(env, errno)),
    }
}

#[rustler::nif]
fn journal_sink<'a>(
    env: Env<'a>,
    journal: ResourceArc<JournalResource>,
    fields: Term<'a>,
    metadata: Term<'a>,
    given: Binary<'a>,
) -> Term<'a> {
    match Layout::new(fields, metadata) {
        Ok(layout) => {
            let given = given.as_slice().to_vec();
            let complained = AtomicBool::new(false);
            let sink = SinkResource { journal, layout, given, complained };
            (atoms::ok(), ResourceArc::new(sink)).encode(env)
        }
        Err(Invalid::Name(name)) => error(env, (atoms::invalid_field_name(), name)),
        Err(Invalid::Fields(fields)) => error(env, (atoms::invalid_fields(), fields)),
    }
}

/// The journal of a sink, and what was given with it.
#[rustler::nif]
fn journal_given<'a>(env: Env<'a>, sink: ResourceArc<SinkResource>) -> Term<'a> {
    (sink.journal.clone(), binary(env, &sink.given)).encode(env)
}

/// True once in the life of a sink.
#[rustler::nif]
fn journal_complain(sink: ResourceArc<SinkResource>) -> bool {
    !sink.complained.swap(true, Ordering::Relaxed)
}

/// One non-blocking system call; `again` when it takes more, or more time.
#[rustler::nif]
fn journal_log<'a>(
    env: Env<'a>,
    sink: ResourceArc<SinkResource>,
    level: Term<'a>,
    metadata: Term<'a>,
    message: Term<'a>,
    more: Term<'a>,
) -> Term<'a> {
    let event = Event { level, metadata, message, more };
    sent(env, sink.layout.entry(&event, Limit::NORMAL), atoms::again(), |entry| {
        sink.journal.journal.try_send(entry)
    })
}

/// Waits for room in journald's queue; `busy` when enough callers do already.
#[rustler::nif(schedule = "DirtyIo")]
fn journal_log_wait<'a>(
    env: Env<'a>,
    sink: ResourceArc<SinkResource>,
    level: Term<'a>,
    metadata: Term<'a>,
    message: Term<'a>,
    more: Term<'a>,
    timeout: u32,
) -> Term<'a> {
    let event = Event { level, metadata, message, more };
    let timeout = Duration::from_millis(timeout.into());
    sent(env, sink.layout.entry(&event, Limit::NONE), atoms::busy(), |entry| {
        sink.journal.journal.send(entry, timeout)
    })
}

fn sent<'a>(
    env: Env<'a>,
    encoded: Result<Entry, NotEncoded<'a>>,
    not_yet: Atom,
    send: impl FnOnce(&Entry) -> Result<Sent, Errno>,
) -> Term<'a> {
    let entry = match encoded {
        Ok(entry) => entry,
        Err(not_encoded) => return not_encoded.encode(env),
    };
    match send(&entry) {
        Ok(Sent::Done) => atoms::ok().encode(env),
        Ok(Sent::NotYet) => not_yet.encode(env),
        Err(errno) => error(env, reason::posix(env, errno)),
    }
}

/// Counts an event that did not get through: how many these are now.
#[rustler::nif]
fn journal_drop(sink: ResourceArc<SinkResource>, time: i64) -> u64 {
    let mut dropped = sink.journal.dropped();
    if dropped.count == 0 {
        *dropped = Dropped { count: 0, first: time, last: time };
    }
    dropped.count += 1;
    dropped.first = dropped.first.min(time);
    dropped.last = dropped.last.max(time);
    dropped.count
}

/// `{Count, First, Last}`.
#[rustler::nif]
fn journal_dropped(sink: ResourceArc<SinkResource>) -> (u64, i64, i64) {
    let Dropped { count, first, last } = *sink.journal.dropped();
    (count, first, last)
}

/// That many have been told of, up to that time: how many there are that have not.
#[rustler::nif]
fn journal_told(sink: ResourceArc<SinkResource>, count: u64, last: i64) -> u64 {
    let mut dropped = sink.journal.dropped();
    dropped.count = dropped.count.saturating_sub(count);
    dropped.first = last;
    dropped.count
}

impl JournalResource {
    fn dropped(&self) -> std::sync::MutexGuard<'_, Dropped> {
        self.dropped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether standard output (1) or standard error (2) is the stream of that `JOURNAL_STREAM`.
#[rustler::nif]
fn is_journal(fd: u32, journal_stream: Binary<'_>) -> bool {
    let value = journal_stream.as_slice();
    match fd {
        1 => is_journal_stream(std::io::stdout().as_fd(), value),
        2 => is_journal_stream(std::io::stderr().as_fd(), value),
        _ => false,
    }
}
