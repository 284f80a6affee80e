//! What the watchdog's thread tells of an answer that is overdue, without the VM's help.

use super::activity::Activity;
use super::memory::resident_memory;
use super::threads::{Group, Snapshot};
use crate::journal::Reporter;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// `MESSAGE_ID=` of the entry that tells of an answer which is overdue.
const OVERDUE: &str = "60a1aff5e5b4472f808cf286e0bd5370";
/// `MESSAGE_ID=` of the entry that tells what the threads do meanwhile.
const THREADS: &str = "87b9dbbc7e4249a2a1864625b23895f6";
/// `MESSAGE_ID=` of the entry that tells of the end of it.
const ANSWERED: &str = "468203152ce647a19f6e7145fb69969c";
/// `MESSAGE_ID=` of the entry that tells what is done about a VM that hangs.
const HANGS: &str = "575a2a16c73e487f9bc8d0f137a9b4ad";

/// `MESSAGE_ID=` of the entry that tells of schedulers which are stuck while others run.
const STUCK: &str = "7d3fee76a14c41a7996ec6e31d08820e";
/// `MESSAGE_ID=` of the entry that tells of the end of it.
const RUNS_AGAIN: &str = "06d5c48f3496480bb38101d27d5c5855";

/// Between two looks.
const BETWEEN: Duration = Duration::from_millis(200);

const CRITICAL: i64 = 2;
const WARNING: i64 = 4;

/// Writes the first entry, which takes no file, and returns its message.
pub(crate) fn report(to: &Reporter, overdue: Duration, tick: u64, seen: &Activity) -> String {
    let line = format!(
        "watchdog: no answer from the VM for {} ms; {}; run queues: {}",
        overdue.as_millis(),
        seen.describe(tick),
        seen.run_queues()
    );
    let fields = [
        ("MESSAGE_ID", OVERDUE.to_owned()),
        ("SYSTEMD_BEAM_OVERDUE_USEC", overdue.as_micros().to_string()),
        ("SYSTEMD_BEAM_CHECK", seen.checking(tick).to_owned()),
        ("SYSTEMD_BEAM_RUN_QUEUES", seen.run_queues()),
    ];
    to.write(CRITICAL, &line, &fields);
    line
}

/// What the threads do, for the second entry.
#[derive(Debug)]
pub(crate) struct Threads {
    pub(crate) line: String,
    fields: Vec<(&'static str, String)>,
}

impl Threads {
    /// Looks at them twice. Above `MemoryHigh=` that may take long: the kernel has a thread sleep that opens a file.
    pub(crate) fn look(process: &Path) -> Self {
        let before = Snapshot::take(process);
        thread::sleep(BETWEEN);
        let (now, memory) = (Snapshot::take(process), resident_memory(Path::new("/")));
        let mut parts: Vec<_> = [
            ("schedulers", Group::Schedulers),
            ("dirty CPU", Group::DirtyCpu),
            ("dirty I/O", Group::DirtyIo),
        ]
        .map(|(name, group)| format!("{name}: {}", now.summary(group, &before)))
        .into();
        parts.extend(memory.map(|bytes| format!("memory: {} MiB", bytes >> 20)));
        let mut fields = vec![(
            "SYSTEMD_BEAM_MEMORY",
            memory.map_or_else(String::new, |bytes| bytes.to_string()),
        )];
        for (name, group) in [
            ("SYSTEMD_BEAM_SCHEDULERS", Group::Schedulers),
            ("SYSTEMD_BEAM_DIRTY_CPU_SCHEDULERS", Group::DirtyCpu),
            ("SYSTEMD_BEAM_DIRTY_IO_SCHEDULERS", Group::DirtyIo),
            ("SYSTEMD_BEAM_OTHER_THREADS", Group::Others),
        ] {
            fields.push((name, now.details(group, &before)));
        }
        Self { line: parts.join("; "), fields }
    }

    pub(crate) fn report(&self, to: &Reporter) {
        let fields = [&[("MESSAGE_ID", THREADS.to_owned())], self.fields.as_slice()].concat();
        to.write(CRITICAL, &format!("watchdog: {}", self.line), &fields);
    }
}

/// Writes the entry on schedulers that are stuck while others run, and returns its message.
pub(crate) fn report_stuck(
    to: &Reporter,
    numbers: &[usize],
    lasts: Duration,
    processes: &str,
    threads: &Threads,
) -> String {
    let line = format!(
        "watchdog: {} run nothing for {} ms, while others run; not answering: {processes}; {}",
        names(numbers),
        lasts.as_millis(),
        threads.line
    );
    let fields = [
        ("MESSAGE_ID", STUCK.to_owned()),
        ("SYSTEMD_BEAM_STUCK_SCHEDULERS", list(numbers)),
        ("SYSTEMD_BEAM_STUCK_USEC", lasts.as_micros().to_string()),
        ("SYSTEMD_BEAM_STUCK_PROCESSES", processes.to_owned()),
    ];
    to.write(WARNING, &line, &[&fields, threads.fields.as_slice()].concat());
    line
}

/// Writes the entry, and returns its message.
pub(crate) fn report_run_again(to: &Reporter, numbers: &[usize], lasted: Duration) -> String {
    let line = format!("watchdog: {} run again, after {} ms", names(numbers), lasted.as_millis());
    let fields = [
        ("MESSAGE_ID", RUNS_AGAIN.to_owned()),
        ("SYSTEMD_BEAM_STUCK_SCHEDULERS", list(numbers)),
        ("SYSTEMD_BEAM_STUCK_USEC", lasted.as_micros().to_string()),
    ];
    to.write(WARNING, &line, &fields);
    line
}

fn names(numbers: &[usize]) -> String {
    match numbers {
        [_] => format!("scheduler {} has", list(numbers)),
        _ => format!("schedulers {} have", list(numbers)),
    }
}

fn list(numbers: &[usize]) -> String {
    numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(" ")
}

/// Writes the entry, and returns its message.
pub(crate) fn report_answer(to: &Reporter, stall: Duration, well: bool) -> String {
    let verdict = if well { "well" } else { "not well" };
    let line =
        format!("watchdog: the VM answered after {} ms that it is {verdict}", stall.as_millis());
    let fields = [
        ("MESSAGE_ID", ANSWERED.to_owned()),
        ("SYSTEMD_BEAM_STALL_USEC", stall.as_micros().to_string()),
    ];
    to.write(WARNING, &line, &fields);
    line
}

/// Writes the entry, with what is done about it.
pub(crate) fn report_hang(to: &Reporter, overdue: Duration, action: &str) {
    let line =
        format!("watchdog: no answer from the VM for {} ms; {action}", overdue.as_millis());
    let fields = [
        ("MESSAGE_ID", HANGS.to_owned()),
        ("SYSTEMD_BEAM_OVERDUE_USEC", overdue.as_micros().to_string()),
    ];
    to.write(CRITICAL, &line, &fields);
}
