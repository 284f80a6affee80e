//! The assignments of sd_notify(3), each with the rule for its value.

use crate::sockets::fd_name::FdName;

/// One `KEY=value` of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assignment<'a> {
    /// `READY=1`: start-up, or a reload, is finished.
    Ready,
    /// `STOPPING=1`: shutdown begins.
    Stopping,
    /// `RELOADING=1`, with the `MONOTONIC_USEC=` that `Type=notify-reload` requires.
    Reloading,
    /// `STATUS=`: one line of UTF-8. Line breaks and NULs become spaces, and bytes that are not UTF-8 become U+FFFD:
    /// systemd would drop the text otherwise.
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
    /// `NOTIFYACCESS=`: which processes may send notifications from now on. See `NotifyAccess=` in systemd.service(5).
    NotifyAccess(&'static str),
    /// `BARRIER=1`: systemd closes the descriptor that is sent with the message. This must be the message's only
    /// assignment.
    Barrier,
    /// `WATCHDOG=1`: the process is alive.
    Watchdog,
    /// `WATCHDOG_USEC=`: replaces `WatchdogSec=`, in microseconds.
    WatchdogUsec(u64),
    /// `EXTEND_TIMEOUT_USEC=`: more time to start, run or stop, in microseconds.
    ExtendTimeoutUsec(u64),
    /// `RESTART_RESET=1`: systemd resets the unit's restart counter.
    RestartReset,
    /// `FDSTORE=1`: systemd stores the descriptors that are sent with the message.
    FdStore {
        /// `FDNAME=`. systemd names descriptors without it `stored`.
        name: Option<FdName<'a>>,
        /// If false, `FDPOLL=0` is sent: systemd keeps a descriptor even after it hangs up.
        poll: bool,
    },
    /// `FDSTOREREMOVE=1`: systemd removes the stored descriptors with this name.
    FdStoreRemove(FdName<'a>),
    /// Any other assignment. The key is sent in upper case. Neither part may hold a line break or a NUL, except that
    /// the value of the key `STATUS` follows the rule of [`Assignment::Status`].
    Custom {
        /// Not empty, without `=` and backslash.
        key: &'a [u8],
        /// May be empty.
        value: &'a [u8],
    },
}
