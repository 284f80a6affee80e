//! The assignments that sd_notify(3) knows, each with its rule.

use crate::sockets::fd_name::FdName;

/// One `KEY=value` of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assignment<'a> {
    /// `READY=1`: start-up, or a reload, is finished.
    Ready,
    /// `STOPPING=1`: shutdown begins.
    Stopping,
    /// `RELOADING=1`, with the `MONOTONIC_USEC=` that `Type=notify-reload` asks for.
    Reloading,
    /// `STATUS=`: one line of UTF-8. Line breaks and NULs become spaces, bytes that are not
    /// UTF-8 become U+FFFD, because the manager would drop the text otherwise.
    Status(&'a [u8]),
    /// `ERRNO=`: 0 to 4095.
    Errno(u32),
    /// `BUSERROR=`: a D-Bus error name.
    BusError(&'a [u8]),
    /// `VARLINKERROR=`: a Varlink error name.
    VarlinkError(&'a [u8]),
    /// `EXIT_STATUS=`: 0 to 255.
    ExitStatus(u8),
    /// `MAINPID=`: a process of the unit.
    MainPid(i32),
    /// `NOTIFYACCESS=`: who may notify from now on, as `NotifyAccess=` in systemd.service(5) has it.
    NotifyAccess(&'static str),
    /// `BARRIER=1`: close the descriptor that comes with the message. It must be the only assignment.
    Barrier,
    /// `WATCHDOG=1`: still alive.
    Watchdog,
    /// `WATCHDOG_USEC=`: a new `WatchdogSec=`, in microseconds.
    WatchdogUsec(u64),
    /// `EXTEND_TIMEOUT_USEC=`: more time to start, run or stop, in microseconds.
    ExtendTimeoutUsec(u64),
    /// `RESTART_RESET=1`: forget how often the unit was restarted.
    RestartReset,
    /// `FDSTORE=1`: keep the descriptors that come with the message.
    FdStore {
        /// `FDNAME=`; the manager calls those without one `stored`.
        name: Option<FdName<'a>>,
        /// `FDPOLL=0` when false: also keep one that hangs up.
        poll: bool,
    },
    /// `FDSTOREREMOVE=1`: forget those of that name.
    FdStoreRemove(FdName<'a>),
    /// Any other. The key is sent in upper case; neither part may hold a line break or a NUL, but that
    /// the rule of [`Assignment::Status`] is that of its key.
    Custom {
        /// Not empty, without `=` and backslash.
        key: &'a [u8],
        /// May be empty.
        value: &'a [u8],
    },
}
