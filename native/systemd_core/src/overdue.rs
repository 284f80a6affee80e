//! What the watchdog's thread tells of an answer that is overdue, without the VM's help.

use crate::activity::Seen;
use crate::journal;
use crate::threads::{Group, Snapshot};
use std::fs;
use std::time::Duration;

/// `MESSAGE_ID=` of the entry that tells of an answer which is overdue.
const OVERDUE: &str = "60a1aff5e5b4472f808cf286e0bd5370";
/// `MESSAGE_ID=` of the entry that tells of the end of it.
const ANSWERED: &str = "468203152ce647a19f6e7145fb69969c";
/// `MESSAGE_ID=` of the entry that tells what is done about a VM that hangs.
const HANGS: &str = "575a2a16c73e487f9bc8d0f137a9b4ad";

const CRITICAL: i64 = 2;
const WARNING: i64 = 4;

/// Writes the entry, and returns its message.
pub(crate) fn report(overdue: Duration, tick: u64, seen: &Seen, before: &Snapshot) -> String {
    let now = Snapshot::take();
    let memory = resident_memory();
    let mut line = format!(
        "watchdog: no answer from the VM for {} ms; {}",
        overdue.as_millis(),
        seen.describe(tick)
    );
    for (name, group) in [
        ("schedulers", Group::Schedulers),
        ("dirty CPU", Group::DirtyCpu),
        ("dirty I/O", Group::DirtyIo),
    ] {
        line.push_str(&format!("; {name}: {}", now.summary(group, before)));
    }
    line.push_str(&format!("; run queues: {}", seen.run_queues()));
    if let Some(bytes) = memory {
        line.push_str(&format!("; memory: {} MiB", bytes >> 20));
    }

    let mut fields = vec![
        ("MESSAGE_ID", OVERDUE.to_owned()),
        ("SYSTEMD_BEAM_OVERDUE_USEC", overdue.as_micros().to_string()),
        ("SYSTEMD_BEAM_CHECK", seen.checking(tick).to_owned()),
        ("SYSTEMD_BEAM_RUN_QUEUES", seen.run_queues()),
        ("SYSTEMD_BEAM_MEMORY", memory.map_or_else(String::new, |bytes| bytes.to_string())),
    ];
    for (name, group) in [
        ("SYSTEMD_BEAM_SCHEDULERS", Group::Schedulers),
        ("SYSTEMD_BEAM_DIRTY_CPU_SCHEDULERS", Group::DirtyCpu),
        ("SYSTEMD_BEAM_DIRTY_IO_SCHEDULERS", Group::DirtyIo),
        ("SYSTEMD_BEAM_OTHER_THREADS", Group::Others),
    ] {
        fields.push((name, now.details(group, before)));
    }
    write(CRITICAL, &line, &fields);
    line
}

/// Writes the entry, and returns its message.
pub(crate) fn report_answer(stall: Duration, well: bool) -> String {
    let verdict = if well { "well" } else { "not well" };
    let line =
        format!("watchdog: the VM answered after {} ms that it is {verdict}", stall.as_millis());
    let fields = [
        ("MESSAGE_ID", ANSWERED.to_owned()),
        ("SYSTEMD_BEAM_STALL_USEC", stall.as_micros().to_string()),
    ];
    write(WARNING, &line, &fields);
    line
}

/// Writes the entry, with what is done about it.
pub(crate) fn report_hang(overdue: Duration, action: &str) {
    let line =
        format!("watchdog: no answer from the VM for {} ms; {action}", overdue.as_millis());
    let fields = [
        ("MESSAGE_ID", HANGS.to_owned()),
        ("SYSTEMD_BEAM_OVERDUE_USEC", overdue.as_micros().to_string()),
    ];
    write(CRITICAL, &line, &fields);
}

fn write(priority: i64, line: &str, fields: &[(&str, String)]) {
    // Nobody is left to complain to.
    let _ = journal::write(priority, line, fields);
}

/// In bytes: `VmRSS` of proc(5).
fn resident_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}
