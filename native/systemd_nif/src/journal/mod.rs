//! The NIFs behind `systemd_journal_h`.

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

/// The state of a handler of `logger`.
struct Sink {
    journal: Arc<Journald>,
    layout: Layout,
}

impl Object for Sink {}

/// The socket to journald, the entries that wait for it, and the drop counts. It outlives a handler's configuration.
struct Journald {
    journal: Journal,
    jobs: Arc<Jobs>,
    sent: AtomicU64,
    dropped: Mutex<Dropped>,
    /// Whether it was logged that there is no journal, since the last entry was sent.
    missing: AtomicBool,
}

/// The drop counts. Times are those of the events, in microseconds since 1970.
#[derive(Default)]
struct Dropped {
    count: u64,
    /// Includes the events in drop counts that were logged.
    total: u64,
    first: i64,
    last: i64,
    reporter: Option<LocalPid>,
}

/// Creates a sink. Uses the socket of `before`, if `before` is a sink to the same path.
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
    let before = before.decode::<Handle<'_, Sink>>().map(|sink| sink.journal.clone()).ok();
    let journal = match before.filter(|before| before.journal.is_at(path)) {
        Some(journal) => Ok(journal),
        None => Journal::new(path).map(|journal| Arc::new(Journald::new(journal))),
    };
    Ok(result(env, journal.map(|journal| make(env, Sink { journal, layout }, None))))
}

/// Records that there is no journal. Returns whether this is the first call since the last entry was sent.
#[rustler::nif]
fn journal_missing(sink: Handle<'_, Sink>) -> bool {
    !sink.journal.missing.swap(true, Ordering::Relaxed)
}

/// Sends with one non-blocking system call. Returns a reference if the entry must wait, see [`later`], and `again` if
/// the event is too large for a normal scheduler. The event is `{Level, Metadata, Message, More}`.
#[rustler::nif]
fn journal_log<'a>(
    env: Env<'a>,
    sink: Handle<'_, Sink>,
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
    sink: Handle<'_, Sink>,
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

/// Counts a dropped event. Returns whether no process is reporting drops yet.
#[rustler::nif]
fn journal_drop<'a>(env: Env<'a>, sink: Handle<'_, Sink>, time: Term<'a>) -> bool {
    // A time that is not a 64-bit integer counts as 0.
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
    !dropped.reporter.is_some_and(|reporter| reporter.is_alive(env))
}

/// Makes the caller the process that logs drop counts, unless there is one. Returns whether it is.
#[rustler::nif]
fn journal_teller(env: Env<'_>, sink: Handle<'_, Sink>) -> bool {
    let mut dropped = sink.journal.dropped();
    if dropped.count == 0 || dropped.reporter.is_some_and(|reporter| reporter.is_alive(env)) {
        return false;
    }
    dropped.reporter = Some(env.pid());
    true
}

/// Returns `{Count, Last, From, To}`. `From` and `To` are the times of the first and the last event as text. `Last` is
/// the latter as a number, for [`journal_told`].
#[rustler::nif]
fn journal_dropped<'a>(env: Env<'a>, sink: Handle<'_, Sink>) -> Term<'a> {
    let Dropped { count, first, last, .. } = *sink.journal.dropped();
    (count, last, binary(env, &rfc3339(first)), binary(env, &rfc3339(last))).encode(env)
}

/// Records that the caller has logged `count` drops, up to the time `last`. Returns the number of drops that are not
/// logged yet. If it is 0, the caller no longer logs them.
#[rustler::nif]
fn journal_told(sink: Handle<'_, Sink>, count: u64, last: i64) -> u64 {
    let mut dropped = sink.journal.dropped();
    dropped.count = dropped.count.saturating_sub(count);
    dropped.first = last;
    if dropped.count == 0 {
        dropped.reporter = None;
    }
    dropped.count
}

/// `{IsReachable, Sent, Dropped}`
#[rustler::nif]
fn journal_info(sink: Handle<'_, Sink>) -> (bool, u64, u64) {
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

/// Whether standard output (1) or standard error (2) is the stream that `JOURNAL_STREAM` names, or another stream to
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
