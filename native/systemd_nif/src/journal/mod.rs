//! What `systemd_journal_h` logs with.

pub(crate) mod layout;
pub(crate) mod value;

use crate::budget::Budget;
use crate::handle::{Handle, Object, make};
use crate::later::{deadline, later};
use crate::{atoms, binary, result};
use layout::{Event, Layout, NotEncoded};
use rustler::{Binary, Encoder, Env, LocalPid, NifResult, Term};
use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use systemd_core::{Entry, Errno, Jobs, Journal, is_journal_stream, rfc3339};

/// What a handler of `logger` needs to log.
struct Sink {
    journal: Arc<Journald>,
    layout: Layout,
}

impl Object for Sink {}

/// The way to journald, who waits for it, and what did not get through it. It outlives a handler's configuration.
struct Journald {
    journal: Journal,
    jobs: Arc<Jobs>,
    sent: AtomicU64,
    dropped: Mutex<Dropped>,
    /// Since the last entry that was sent it was said why there is no journal.
    missing: AtomicBool,
}

/// Times are those of the events, in microseconds since 1970.
#[derive(Default)]
struct Dropped {
    count: u64,
    /// Also those that an entry has counted.
    total: u64,
    first: i64,
    last: i64,
    teller: Option<LocalPid>,
}

/// With the socket of the sink before, if that is one to the same path.
#[rustler::nif]
fn journal_sink<'a>(
    env: Env<'a>,
    path: Binary<'a>,
    fields: Term<'a>,
    metadata: Term<'a>,
    before: Term<'a>,
) -> NifResult<Term<'a>> {
    let layout = Layout::new(fields, metadata).ok_or(rustler::Error::BadArg)?;
    let path = Path::new(OsStr::from_bytes(path.as_slice()));
    let before = before.decode::<Handle<Sink>>().map(|sink| sink.journal.clone()).ok();
    let journal = match before.filter(|before| before.journal.is_at(path)) {
        Some(journal) => Ok(journal),
        None => Journal::new(path).map(|journal| Arc::new(Journald::new(journal))),
    };
    Ok(result(env, journal.map(|journal| make(env, Arc::new(Sink { journal, layout }), None))))
}

/// There is no journal: whether this is the first that is heard of it.
#[rustler::nif]
fn journal_missing(sink: Handle<Sink>) -> bool {
    !sink.journal.missing.swap(true, Ordering::Relaxed)
}

/// By one system call that doesn't block; a reference when it takes more, see [`later`], and `again` when it is too much
/// for a normal scheduler. The event is `{Level, Metadata, Message, More}`.
#[rustler::nif]
fn journal_log<'a>(
    env: Env<'a>,
    sink: Handle<Sink>,
    event: Event<'a>,
    texts: Term<'a>,
    timeout: u32,
) -> Term<'a> {
    log(env, &sink, sink.layout.entry(&event, texts, Budget::NORMAL), timeout)
}

/// [`journal_log`] without a limit.
#[rustler::nif(schedule = "DirtyCpu")]
fn journal_log_large<'a>(
    env: Env<'a>,
    sink: Handle<Sink>,
    event: Event<'a>,
    texts: Term<'a>,
    timeout: u32,
) -> Term<'a> {
    log(env, &sink, sink.layout.entry(&event, texts, Budget::NONE), timeout)
}

fn log<'a>(
    env: Env<'a>,
    sink: &Sink,
    encoded: Result<Entry, NotEncoded<'a>>,
    timeout: u32,
) -> Term<'a> {
    let entry = match encoded {
        Ok(entry) => entry,
        Err(not_encoded) => return not_encoded.encode(env),
    };
    let journald = &sink.journal;
    let sent = if journald.jobs.has_pending() {
        Err(Errno::EAGAIN)
    } else {
        journald.journal.try_send(&entry)
    };
    let Err(errno) = sent else {
        journald.count_sent();
        return atoms::ok().encode(env);
    };
    let (journald, deadline) = (journald.clone(), deadline(timeout));
    later(env, &sink.journal.jobs, errno, move || journald.send(&entry, deadline))
}

/// Counts an event that did not get through: whether there is nobody yet to tell of it.
#[rustler::nif]
fn journal_drop<'a>(env: Env<'a>, sink: Handle<Sink>, time: Term<'a>) -> bool {
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
fn journal_teller(env: Env<'_>, sink: Handle<Sink>) -> bool {
    let mut dropped = sink.journal.dropped();
    if dropped.count == 0 || dropped.teller.is_some_and(|teller| teller.is_alive(env)) {
        return false;
    }
    dropped.teller = Some(env.pid());
    true
}

/// `{Count, Last, From, To}`: from the first to the last, which is a number for [`journal_told`].
#[rustler::nif]
fn journal_dropped<'a>(env: Env<'a>, sink: Handle<Sink>) -> Term<'a> {
    let Dropped { count, first, last, .. } = *sink.journal.dropped();
    (count, last, binary(env, &rfc3339(first)), binary(env, &rfc3339(last))).encode(env)
}

/// That many have been told of, up to that time: how many there are that have not. When there are
/// none, the caller is no teller any more.
#[rustler::nif]
fn journal_told(sink: Handle<Sink>, count: u64, last: i64) -> u64 {
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
fn journal_info(sink: Handle<Sink>) -> (bool, u64, u64) {
    let journal = &sink.journal;
    let dropped = journal.dropped().total;
    (journal.journal.is_reachable(), journal.sent.load(Ordering::Relaxed), dropped)
}

impl Journald {
    fn new(journal: Journal) -> Self {
        Self {
            journal,
            jobs: Jobs::new("sd-journal"),
            sent: AtomicU64::new(0),
            dropped: Mutex::default(),
            missing: AtomicBool::new(false),
        }
    }

    fn send(&self, entry: &Entry, deadline: Instant) -> Result<(), Errno> {
        self.journal.send(entry, deadline)?;
        self.count_sent();
        Ok(())
    }

    fn count_sent(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
        if self.missing.load(Ordering::Relaxed) {
            self.missing.store(false, Ordering::Relaxed);
        }
    }

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
