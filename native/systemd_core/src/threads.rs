//! What the threads of this process do, as the kernel tells it: see proc(5).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// One line such as `erts_sched: 2 running; erts_dios: 10 sleeping in futex_wait_queue`. Asks
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
    let group = name.trim_end_matches(|last: char| last.is_ascii_digit() || last == '_');
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
