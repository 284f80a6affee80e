//! The activity of this process's threads, as the kernel reports it: see proc(5). It needs no help of the VM, and works
//! when all schedulers are stuck.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// The kinds of threads that a VM has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    Schedulers,
    DirtyCpu,
    DirtyIo,
    Others,
}

/// All threads at one moment, sorted by group and number.
#[derive(Debug)]
pub(crate) struct Snapshot {
    taken: Instant,
    threads: Vec<Thread>,
}

#[derive(Debug)]
struct Thread {
    group: Group,
    number: u32,
    id: u32,
    name: String,
    state: char,
    /// The kernel function that the thread sleeps in. Empty if unknown.
    place: String,
    cpu: Duration,
}

/// The unit of CPU times: Linux reports 100 ticks per second to all programs. See `CLK_TCK` in proc(5).
const CLOCK_TICK: Duration = Duration::from_millis(10);

impl Snapshot {
    pub(crate) fn take(process: &Path) -> Self {
        let taken = Instant::now();
        let tasks = fs::read_dir(process.join("task")).into_iter().flatten().flatten();
        let mut threads: Vec<_> = tasks.filter_map(|task| Thread::read(&task.path())).collect();
        threads.sort_by_key(|thread| (thread.group, thread.number, thread.id));
        Self { taken, threads }
    }

    /// One line for each thread of a group: its name, its state, where it sleeps, and the CPU time that it has used
    /// since the earlier snapshot.
    pub(crate) fn details(&self, group: Group, before: &Self) -> String {
        let mut lines = String::new();
        for thread in self.threads.iter().filter(|thread| thread.group == group) {
            let separator = if lines.is_empty() { "" } else { "\n" };
            let Thread { name, state, place, .. } = thread;
            let place = if place.is_empty() { "-" } else { place };
            let cpu = thread.cpu_since(before).as_millis();
            // Writing to a string can't fail.
            let _ = write!(lines, "{separator}{name} {state} {place} {cpu} ms");
        }
        lines
    }

    /// For example `1-3 running, 4 stuck in hrtimer_nanosleep`. The numbers are those in the thread names.
    pub(crate) fn summary(&self, group: Group, before: &Self) -> String {
        let passed = self.taken.duration_since(before.taken);
        let mut kinds = Vec::<(String, Vec<u32>)>::new();
        for thread in self.threads.iter().filter(|thread| thread.group == group) {
            let activity = thread.activity(thread.cpu_since(before), passed);
            match kinds.iter_mut().find(|(kind, _)| *kind == activity) {
                Some((_, numbers)) => numbers.push(thread.number),
                None => kinds.push((activity, vec![thread.number])),
            }
        }
        let parts: Vec<_> =
            kinds.iter().map(|(kind, numbers)| format!("{} {kind}", ranges(numbers))).collect();
        parts.join(", ")
    }
}

impl Thread {
    fn read(task: &Path) -> Option<Self> {
        let id = task.file_name()?.to_str()?.parse().ok()?;
        let stat = fs::read_to_string(task.join("stat")).ok()?;
        let Stat { name, state, cpu } = Stat::parse(&stat)?;
        let place = match state {
            'R' => String::new(),
            _ => fs::read_to_string(task.join("wchan")).unwrap_or_default(),
        };
        let place = if place == "0" { String::new() } else { place };
        let (group, number) = group_and_number(name);
        Some(Self { group, number, id, name: name.to_owned(), state, place, cpu })
    }

    fn cpu_since(&self, before: &Snapshot) -> Duration {
        let earlier = before.threads.iter().find(|thread| thread.id == self.id);
        self.cpu.saturating_sub(earlier.map_or(self.cpu, |thread| thread.cpu))
    }

    fn activity(&self, cpu: Duration, passed: Duration) -> String {
        match self.state {
            // The kernel does not count a clock tick that has only begun.
            'R' if cpu + CLOCK_TICK < passed / 10 => "waiting for a CPU".to_owned(),
            'R' => "running".to_owned(),
            'S' if self.waits_for_work() => "waiting".to_owned(),
            'S' | 'D' if self.group == Group::Schedulers => format!("stuck{}", self.within()),
            'S' => format!("sleeping{}", self.within()),
            'D' => format!("blocked{}", self.within()),
            'T' | 't' => "stopped".to_owned(),
            other => format!("in state {other}"),
        }
    }

    fn within(&self) -> String {
        if self.place.is_empty() { String::new() } else { format!(" in {}", self.place) }
    }

    /// A thread that waits for a lock sleeps in the same functions, and can't be distinguished.
    fn waits_for_work(&self) -> bool {
        let place = self.place.as_str();
        place.is_empty() || ["futex", "poll", "select"].iter().any(|wait| place.contains(wait))
    }
}

struct Stat<'a> {
    name: &'a str,
    state: char,
    cpu: Duration,
}

impl<'a> Stat<'a> {
    /// The name is in parentheses and may hold any character, so the last closing parenthesis ends it.
    fn parse(stat: &'a str) -> Option<Self> {
        let (head, tail) = stat.rsplit_once(')')?;
        let (_, name) = head.split_once('(')?;
        let mut fields = tail.split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        // Fields 14 and 15, `utime` and `stime`: CPU time in user mode and in the kernel.
        let user: u64 = fields.nth(10)?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        Some(Self {
            name,
            state,
            cpu: Duration::from_millis(user.saturating_add(system).saturating_mul(10)),
        })
    }
}

/// Thread names begin with a number (`10_dirty_io_sch`, cut to 15 bytes by the kernel). From OTP 26 on they end with it
/// (`erts_dios_10`).
fn group_and_number(name: &str) -> (Group, u32) {
    for (old, new, group) in [
        ("_scheduler", "erts_sched_", Group::Schedulers),
        ("_dirty_cpu", "erts_dcpus_", Group::DirtyCpu),
        ("_dirty_io", "erts_dios_", Group::DirtyIo),
    ] {
        let digits = name.strip_prefix(new).or(name.find(old).and_then(|end| name.get(..end)));
        if let Some(number) = digits.and_then(|digits| digits.parse().ok()) {
            return (group, number);
        }
    }
    (Group::Others, 0)
}

/// Formats sorted numbers as `1-3 5`.
fn ranges(numbers: &[u32]) -> String {
    let parts: Vec<_> = numbers
        .chunk_by(|one, next| one + 1 == *next)
        .filter_map(|range| match range {
            [first, .., last] => Some(format!("{first}-{last}")),
            [only] => Some(only.to_string()),
            [] => None,
        })
        .collect();
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;

    #[test]
    fn names_may_hold_anything() {
        let stat = "12 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 300 45 18 19";
        let Stat { name, state, cpu } = Stat::parse(stat).unwrap();
        assert_eq!((name, state, cpu), ("a) b (c", 'S', Duration::from_millis(3450)));
        // After 497 days of CPU time the ticks no longer fit into 32 bits.
        let stat = "12 (old) S 1 2 3 4 5 6 7 8 9 10 5000000000 1 18 19";
        assert_eq!(Stat::parse(stat).unwrap().cpu, Duration::from_millis(50_000_000_010));
        assert!(Stat::parse("garbage").is_none());
        assert!(Stat::parse("12 (short) S 1 2").is_none());
    }

    #[test]
    fn the_names_of_all_releases() {
        for (name, group) in [
            ("1_scheduler", (Group::Schedulers, 1)),
            ("10_scheduler", (Group::Schedulers, 10)),
            ("1_dirty_io_sche", (Group::DirtyIo, 1)),
            ("10_dirty_io_sch", (Group::DirtyIo, 10)),
            ("2_dirty_cpu_sch", (Group::DirtyCpu, 2)),
            ("erts_sched_3", (Group::Schedulers, 3)),
            ("erts_dios_10", (Group::DirtyIo, 10)),
            ("erts_dcpus_4", (Group::DirtyCpu, 4)),
            ("beam.smp", (Group::Others, 0)),
            ("sys_sig_dispatc", (Group::Others, 0)),
        ] {
            assert_eq!(group_and_number(name), group, "{name}");
        }
    }

    #[test]
    fn neighbours_are_a_range() {
        assert_eq!(ranges(&[1]), "1");
        assert_eq!(ranges(&[1, 2, 3, 5, 7, 8]), "1-3 5 7-8");
    }

    fn thread(number: u32, state: char, place: &str, cpu_millis: u64) -> Thread {
        Thread {
            group: Group::Schedulers,
            number,
            id: number,
            name: format!("{number}_scheduler"),
            state,
            place: place.to_owned(),
            cpu: Duration::from_millis(cpu_millis),
        }
    }

    #[test]
    fn says_which_are_stuck_and_where() {
        let taken = Instant::now();
        let before = Snapshot {
            taken,
            threads: (1..=7).map(|number| thread(number, 'S', "", 50)).collect(),
        };
        let now = Snapshot {
            taken: taken + Duration::from_millis(500),
            threads: vec![
                thread(1, 'S', "hrtimer_nanosleep", 50),
                thread(2, 'S', "hrtimer_nanosleep", 50),
                thread(3, 'R', "", 540),
                thread(4, 'R', "", 50),
                thread(5, 'D', "io_schedule", 50),
                thread(6, 'S', "do_epoll_wait", 50),
                thread(7, 'S', "futex_do_wait", 50),
            ],
        };
        assert_eq!(
            now.summary(Group::Schedulers, &before),
            "1-2 stuck in hrtimer_nanosleep, 3 running, 4 waiting for a CPU, 5 stuck in io_schedule, \
             6-7 waiting"
        );
        assert!(now.details(Group::Schedulers, &before).contains("\n3_scheduler R - 490 ms\n"));
        assert_eq!(now.summary(Group::DirtyIo, &before), "");
    }

    #[test]
    fn a_sleeping_thread_of_this_process_is_seen() {
        let (wake, woken) = mpsc::channel::<()>();
        let sleeper = thread::Builder::new()
            .name("7_dirty_io_sche".to_owned())
            .spawn(move || woken.recv())
            .unwrap();
        let take = || Snapshot::take(Path::new("/proc/self"));
        let before = take();
        while take().summary(Group::DirtyIo, &before) != "7 waiting" {
            assert!(!sleeper.is_finished());
            thread::yield_now();
        }
        drop(wake);
        let _ = sleeper.join().unwrap();
    }
}
