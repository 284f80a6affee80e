//! `STATUS=`: which of the watchdog's lines replaces the user's text, and for how long.

use super::Verdict;
use crate::notify::announced::Announcement;
use crate::notify::message::Message;
use crate::notify::notifier::Notifier;
use std::sync::Arc;

/// In characters. Any text of this length fits into a message.
const LONGEST: usize = Message::LONGEST / 5;

pub(crate) struct Status {
    notifier: Arc<Notifier>,
    /// The last failure of the check. It stays until the VM is healthy.
    failure: Option<String>,
    /// The user's text when the failure was last shown. If the user's text has changed since, it has replaced the
    /// failure.
    hidden: Option<Vec<u8>>,
    is_stuck_shown: bool,
}

impl Status {
    pub(crate) fn new(notifier: Arc<Notifier>) -> Self {
        Self { notifier, failure: None, hidden: None, is_stuck_shown: false }
    }

    pub(crate) fn show(&self, line: &str) {
        let text: String = line.chars().take(LONGEST).collect();
        self.notifier.send_status_now(text.as_bytes());
    }

    /// Shows a line about stuck schedulers. A failure is more important, because it stops the pings.
    pub(crate) fn show_stuck(&mut self, line: &str) {
        self.is_stuck_shown = true;
        if self.failure.is_none() {
            self.show(line);
        }
    }

    /// See [`Self::restore`].
    pub(crate) fn hide_stuck(&mut self, instead: &str) {
        if std::mem::take(&mut self.is_stuck_shown) {
            self.restore(instead);
        }
    }

    /// `report` is the line about the overdue answer, if it was overdue.
    pub(crate) fn answered(&mut self, verdict: Verdict, report: Option<String>) {
        let mut instead = report;
        match verdict {
            Verdict::Healthy if self.failure.take().is_some() => {
                instead.get_or_insert_with(|| "watchdog: recovered".to_owned());
            }
            Verdict::Unhealthy
                if self.failure.is_some() && self.notifier.last_status() != self.hidden =>
            {
                instead.get_or_insert_default();
            }
            Verdict::Healthy | Verdict::Unhealthy => (),
            Verdict::Failed(text) => {
                self.failure = Some(format!("watchdog: {text}"));
                instead.get_or_insert_default();
            }
        }
        if let Some(instead) = instead {
            self.restore(&instead);
        }
    }

    pub(crate) fn disabled(&mut self, is_overdue_shown: bool) {
        let is_stuck_shown = std::mem::take(&mut self.is_stuck_shown);
        if self.failure.take().is_some() || is_overdue_shown || is_stuck_shown {
            self.restore("watchdog: disabled");
        }
    }

    /// Shows the failure, or else the user's text. If another notifier has sent the user's text, it is unknown here,
    /// and `instead` replaces it.
    fn restore(&mut self, instead: &str) {
        let text = self.notifier.last_status();
        self.hidden.clone_from(&text);
        match (&self.failure, text) {
            (Some(failure), _) => self.show(failure),
            (None, Some(text)) => self.notifier.send_status_now(&text),
            (None, None) if self.notifier.has_announced(Announcement::Status) => {
                self.show(instead)
            }
            (None, None) => self.show(""),
        }
    }
}
