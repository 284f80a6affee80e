//! The activity of all threads of this process, for an entry in the journal.

use super::memory::resident_memory;
use super::threads::{Group, Snapshot};
use crate::journal::Reporter;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// `MESSAGE_ID=` of the entry that follows the one about an overdue answer.
const THREADS: &str = "87b9dbbc7e4249a2a1864625b23895f6";

/// The time between two snapshots. The CPU time that a thread uses in it shows whether the thread runs.
const BETWEEN_SNAPSHOTS: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(crate) struct ThreadDump {
    pub(crate) line: String,
    pub(crate) fields: Vec<(&'static str, String)>,
}

impl ThreadDump {
    /// May take long: above `MemoryHigh=` the kernel puts a thread that opens a file to sleep.
    pub(crate) fn take(process: &Path) -> Self {
        let before = Snapshot::take(process);
        thread::sleep(BETWEEN_SNAPSHOTS);
        let (now, memory) = (Snapshot::take(process), resident_memory(Path::new("/")));
        let (mut parts, mut fields) = (Vec::new(), Vec::new());
        for (name, field, group) in [
            ("schedulers", "SYSTEMD_BEAM_SCHEDULERS", Group::Schedulers),
            ("dirty CPU", "SYSTEMD_BEAM_DIRTY_CPU_SCHEDULERS", Group::DirtyCpu),
            ("dirty I/O", "SYSTEMD_BEAM_DIRTY_IO_SCHEDULERS", Group::DirtyIo),
        ] {
            parts.push(format!("{name}: {}", now.summary(group, &before)));
            fields.push((field, now.details(group, &before)));
        }
        parts.extend(memory.map(|bytes| format!("memory: {} MiB", bytes >> 20)));
        let memory = memory.map_or_else(String::new, |bytes| bytes.to_string());
        let others = now.details(Group::Others, &before);
        fields.extend([("SYSTEMD_BEAM_OTHER_THREADS", others), ("SYSTEMD_BEAM_MEMORY", memory)]);
        Self { line: parts.join("; "), fields }
    }

    pub(crate) fn report(&self, to: &Reporter) {
        let fields = [&[("MESSAGE_ID", THREADS.to_owned())], self.fields.as_slice()].concat();
        to.write(Reporter::CRITICAL, &format!("watchdog: {}", self.line), &fields);
    }
}
