//! Journal entries about an overdue answer. The watchdog's thread writes them without the VM's help.

use super::activity::Activity;
use crate::journal::Reporter;
use std::time::Duration;

/// `MESSAGE_ID=` of the entry about an overdue answer.
const OVERDUE: &str = "60a1aff5e5b4472f808cf286e0bd5370";
/// `MESSAGE_ID=` of the entry about an overdue answer that has arrived.
const ANSWERED: &str = "468203152ce647a19f6e7145fb69969c";
/// `MESSAGE_ID=` of the entry about the action on a VM that hangs.
const HANGS: &str = "575a2a16c73e487f9bc8d0f137a9b4ad";

/// Writes the first entry, and returns its message. Opens no file: above `MemoryHigh=` that would block this thread.
pub(crate) fn report(to: &Reporter, overdue: Duration, tick: u64, seen: &Activity) -> String {
    let line = format!(
        "watchdog: VM unresponsive for {} ms; {}; run queues: {}",
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
    to.write(Reporter::CRITICAL, &line, &fields);
    line
}

/// Writes the entry, and returns its message.
pub(crate) fn report_answer(to: &Reporter, lasted: Duration, healthy: bool) -> String {
    let verdict = if healthy { "" } else { "; the check failed, and no ping is sent" };
    let line = format!("watchdog: VM responsive again after {} ms{verdict}", lasted.as_millis());
    let fields = [
        ("MESSAGE_ID", ANSWERED.to_owned()),
        ("SYSTEMD_BEAM_STALL_USEC", lasted.as_micros().to_string()),
    ];
    to.write(Reporter::WARNING, &line, &fields);
    line
}

/// `action` is what the thread does next.
pub(crate) fn report_hang(to: &Reporter, overdue: Duration, action: &str) {
    let line = format!("watchdog: VM unresponsive for {} ms; {action}", overdue.as_millis());
    let fields = [
        ("MESSAGE_ID", HANGS.to_owned()),
        ("SYSTEMD_BEAM_OVERDUE_USEC", overdue.as_micros().to_string()),
    ];
    to.write(Reporter::CRITICAL, &line, &fields);
}
