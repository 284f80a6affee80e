//! What the threads of this process do, as the kernel tells it: see proc(5).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// One line such as `dirty_io: 10 sleeping in futex_do_wait; scheduler: 2 running`. Asks
/// nobody in the process, so that it works when every scheduler is stuck.
pub fn summary() -> String {
    let mut counts = BTreeMap::<(String, String), usize>::new();
    for entry in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        if let Some((group, state)) = describe(&entry.path()) {
            *counts.entry((group, state)).or_default() += 1;
        }
    }
    let mut line = String::new();
    let mut last_group = "";
    for ((group, state), count) in &counts {
        let separator = match (line.is_empty(), group == last_group) {
            (true, _) => format!("{group}: "),
            (false, true) => ", ".to_owned(),
            (false, false) => format!("; {group}: "),
        };
        // Writing to a string can't fail.
        let _ = write!(line, "{separator}{count} {state}");
        last_group = group;
    }
    line
}

fn describe(task: &Path) -> Option<(String, String)> {
    let stat = fs::read_to_string(task.join("stat")).ok()?;
    let (name, state) = name_and_state(&stat)?;
    let group = group_of(name);
    let state = match state {
        'R' => "running".to_owned(),
        'S' | 'D' => {
            let kind = if state == 'S' { "sleeping" } else { "blocked" };
            match fs::read_to_string(task.join("wchan")).ok().filter(|place| place != "0") {
                Some(place) if !place.is_empty() => format!("{kind} in {place}"),
                _ => kind.to_owned(),
            }
        }
        'T' | 't' => "stopped".to_owned(),
        other => format!("in state {other}"),
    };
    Some((group.to_owned(), state))
}

/// The VM numbers its threads: in front (`10_dirty_io_sch`, cut to 15 bytes by the kernel), or
/// from other releases on behind (`erts_dios_10`).
fn group_of(name: &str) -> &str {
    let name = name.trim_matches(|edge: char| edge.is_ascii_digit() || edge == '_');
    ["dirty_cpu", "dirty_io"].into_iter().find(|group| name.starts_with(group)).unwrap_or(name)
}

/// The name stands in parentheses and may hold any character, so the last one ends it.
fn name_and_state(stat: &str) -> Option<(&str, char)> {
    let (head, tail) = stat.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    Some((name, tail.trim_start().chars().next()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;

    #[test]
    fn names_may_hold_anything() {
        assert_eq!(name_and_state("12 (a) b (c) S 1 2"), Some(("a) b (c", 'S')));
        assert_eq!(name_and_state("garbage"), None);
    }

    #[test]
    fn numbered_threads_are_one_group() {
        for (name, group) in [
            ("1_scheduler", "scheduler"),
            ("1_dirty_io_sche", "dirty_io"),
            ("10_dirty_io_sch", "dirty_io"),
            ("2_dirty_cpu_sch", "dirty_cpu"),
            ("erts_dios_10", "erts_dios"),
            ("beam.smp", "beam.smp"),
        ] {
            assert_eq!(group_of(name), group);
        }
    }

    #[test]
    fn a_sleeping_thread_is_seen() {
        let (wake, woken) = mpsc::channel::<()>();
        let sleeper = thread::Builder::new()
            .name("sleeper_7".to_owned())
            .spawn(move || woken.recv())
            .unwrap();
        let mut line = summary();
        while !line.contains("sleeper: 1 sleeping") {
            assert!(!sleeper.is_finished());
            thread::yield_now();
            line = summary();
        }
        drop(wake);
        let _ = sleeper.join().unwrap();
    }
}
