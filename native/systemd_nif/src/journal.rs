//! The resource `systemd_journal_h` logs with.

use crate::chardata::Limit;
use crate::layout::{Event, Invalid, Layout, NotEncoded};
use crate::{atoms, binary, error, reason};
use rustler::{Atom, Binary, Encoder, Env, LocalPid, Resource, ResourceArc, Term};
use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use systemd_core::{Entry, Errno, Journal, Line, Sent, is_journal_stream, rfc3339};

/// What a handler of `logger` needs to log.
pub struct SinkResource {
    journal: ResourceArc<JournalResource>,
    layout: Layout,
}

impl Resource for SinkResource {}

/// A socket to journald, and what did not get through it. It outlives a handler's configuration.
pub struct JournalResource {
    journal: Journal,
    line: Line<LocalPid>,
    sent: AtomicU64,
    dropped: Mutex<Dropped>,
    /// Since the last entry that was sent it was said why there is no journal.
    missing: AtomicBool,
}

impl Resource for JournalResource {}

/// A place in the line of those who wait. It is left at the latest when its owner ends.
pub struct Ticket {
    number: u64,
    left: AtomicBool,
    journal: ResourceArc<JournalResource>,
}

impl Resource for Ticket {
    const IMPLEMENTS_DESTRUCTOR: bool = true;

    fn destructor(self, env: Env<'_>) {
        self.leave(env);
    }
}

impl Ticket {
    /// Tells who is among the first by that: `{systemd_journal, Number}`.
    fn leave(&self, env: Env<'_>) {
        if !self.left.swap(true, Ordering::Relaxed) {
            self.journal.line.leave(self.number, |next, who| {
                // One who has ended leaves by itself.
                let _ = env.send(&who, (atoms::systemd_journal(), next));
            });
        }
    }
}

/// Times are those of the events, in microseconds since 1970.
#[derive(Default)]
struct Dropped {
    count: u64,
    /// Also those that were told of.
    total: u64,
    first: i64,
    last: i64,
    teller: Option<LocalPid>,
}

#[rustler::nif]
fn journal_open<'a>(env: Env<'a>, path: Binary<'a>) -> Term<'a> {
    match Journal::new(Path::new(OsStr::from_bytes(path.as_slice()))) {
        Ok(journal) => {
            let journal = JournalResource {
                journal,
                line: Line::default(),
                sent: AtomicU64::new(0),
                dropped: Mutex::default(),
                missing: AtomicBool::new(false),
            };
            (atoms::ok(), ResourceArc::new(journal)).encode(env)
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
) -> Term<'a> {
    match Layout::new(fields, metadata) {
        Ok(layout) => {
            (atoms::ok(), ResourceArc::new(SinkResource { journal, layout })).encode(env)
        }
        Err(Invalid::Name(name)) => error(env, (atoms::invalid_field_name(), name)),
        Err(Invalid::Fields(fields)) => error(env, (atoms::invalid_fields(), fields)),
    }
}

#[rustler::nif]
fn journal_of(sink: ResourceArc<SinkResource>) -> ResourceArc<JournalResource> {
    sink.journal.clone()
}

/// There is no journal: whether this is the first that is heard of it.
#[rustler::nif]
fn journal_missing(sink: ResourceArc<SinkResource>) -> bool {
    !sink.journal.missing.swap(true, Ordering::Relaxed)
}

/// One non-blocking system call; `again` when it takes more, or more time, or many wait already.
#[rustler::nif]
#[allow(clippy::too_many_arguments)]
fn journal_log<'a>(
    env: Env<'a>,
    sink: ResourceArc<SinkResource>,
    level: Term<'a>,
    metadata: Term<'a>,
    message: Term<'a>,
    more: Term<'a>,
    texts: Term<'a>,
) -> Term<'a> {
    let event = Event { level, metadata, message, more, texts };
    sent(env, &sink, sink.layout.entry(&event, Limit::NORMAL), |entry| {
        if sink.journal.line.is_long() {
            return Ok(Sent::NotYet);
        }
        sink.journal.journal.try_send(entry)
    })
}

/// Joins the line: `{Ticket, Number, true}` for one of the first, who may call
/// [`journal_log_wait`] at once. The others get a message when it is their turn.
#[rustler::nif]
fn journal_join<'a>(env: Env<'a>, sink: ResourceArc<SinkResource>) -> Term<'a> {
    let (number, first) = sink.journal.line.join(env.pid());
    let ticket = Ticket { number, left: AtomicBool::new(false), journal: sink.journal.clone() };
    (ResourceArc::new(ticket), number, first).encode(env)
}

/// To be called on a normal scheduler: from a dirty one a process that is being killed can't tell
/// the next. The ticket of such a one leaves by itself.
#[rustler::nif]
fn journal_leave<'a>(env: Env<'a>, ticket: ResourceArc<Ticket>) -> Atom {
    ticket.leave(env);
    atoms::ok()
}

/// Waits for room in journald's queue.
#[rustler::nif(schedule = "DirtyIo")]
#[allow(clippy::too_many_arguments)]
fn journal_log_wait<'a>(
    env: Env<'a>,
    sink: ResourceArc<SinkResource>,
    level: Term<'a>,
    metadata: Term<'a>,
    message: Term<'a>,
    more: Term<'a>,
    texts: Term<'a>,
    timeout: u32,
) -> Term<'a> {
    let event = Event { level, metadata, message, more, texts };
    let timeout = Duration::from_millis(timeout.into());
    sent(env, &sink, sink.layout.entry(&event, Limit::NONE), |entry| {
        sink.journal.journal.send(entry, timeout).map(|()| Sent::Done)
    })
}

fn sent<'a>(
    env: Env<'a>,
    sink: &SinkResource,
    encoded: Result<Entry, NotEncoded<'a>>,
    send: impl FnOnce(&Entry) -> Result<Sent, Errno>,
) -> Term<'a> {
    let entry = match encoded {
        Ok(entry) => entry,
        Err(not_encoded) => return not_encoded.encode(env),
    };
    match send(&entry) {
        Ok(Sent::Done) => {
            sink.journal.sent.fetch_add(1, Ordering::Relaxed);
            if sink.journal.missing.load(Ordering::Relaxed) {
                sink.journal.missing.store(false, Ordering::Relaxed);
            }
            atoms::ok().encode(env)
        }
        Ok(Sent::NotYet) => atoms::again().encode(env),
        Err(errno) => error(env, reason::posix(env, errno)),
    }
}

/// Counts an event that did not get through: whether there is nobody yet to tell of it.
#[rustler::nif]
fn journal_drop<'a>(env: Env<'a>, sink: ResourceArc<SinkResource>, time: Term<'a>) -> bool {
    // What is no time for the kernel is none for us.
    let time = time.decode().unwrap_or_default();
    let mut dropped = sink.journal.dropped();
    if dropped.count == 0 {
        dropped.first = time;
        dropped.last = time;
    }
    dropped.count += 1;
    dropped.total += 1;
    dropped.first = dropped.first.min(time);
    dropped.last = dropped.last.max(time);
    !dropped.teller.is_some_and(|teller| teller.is_alive(env))
}

/// Makes the caller the one who tells, unless there is one.
#[rustler::nif]
fn journal_teller(env: Env<'_>, sink: ResourceArc<SinkResource>) -> bool {
    let mut dropped = sink.journal.dropped();
    if dropped.count == 0 || dropped.teller.is_some_and(|teller| teller.is_alive(env)) {
        return false;
    }
    dropped.teller = Some(env.pid());
    true
}

/// `{Count, Last, From, To}`: from the first to the last, which is a number for [`journal_told`].
#[rustler::nif]
fn journal_dropped<'a>(env: Env<'a>, sink: ResourceArc<SinkResource>) -> Term<'a> {
    let (count, first, last) = {
        let dropped = sink.journal.dropped();
        (dropped.count, dropped.first, dropped.last)
    };
    (count, last, binary(env, &rfc3339(first)), binary(env, &rfc3339(last))).encode(env)
}

/// That many have been told of, up to that time: how many there are that have not. When there are
/// none, the caller is no teller any more.
#[rustler::nif]
fn journal_told(sink: ResourceArc<SinkResource>, count: u64, last: i64) -> u64 {
    let mut dropped = sink.journal.dropped();
    dropped.count = dropped.count.saturating_sub(count);
    dropped.first = last;
    if dropped.count == 0 {
        dropped.teller = None;
    }
    dropped.count
}

/// `{IsReachable, Sent, Dropped}`
#[rustler::nif]
fn journal_info(sink: ResourceArc<SinkResource>) -> (bool, u64, u64) {
    let journal = &sink.journal;
    let dropped = journal.dropped().total;
    (journal.journal.is_reachable(), journal.sent.load(Ordering::Relaxed), dropped)
}

impl JournalResource {
    fn dropped(&self) -> std::sync::MutexGuard<'_, Dropped> {
        self.dropped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether standard output (1) or standard error (2) is the stream of that `JOURNAL_STREAM`, or another one to
/// journald.
#[rustler::nif]
fn is_journal(fd: u32, journal_stream: Binary<'_>) -> bool {
    let value = journal_stream.as_slice();
    match fd {
        1 => is_journal_stream(std::io::stdout().as_fd(), value),
        2 => is_journal_stream(std::io::stderr().as_fd(), value),
        _ => false,
    }
}
