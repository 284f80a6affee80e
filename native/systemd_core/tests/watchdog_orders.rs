//! The watchdog's thread, with all its commands in every order, from two threads at once. `tests/sanitize` runs this
//! under the thread sanitizer.

#![allow(clippy::unwrap_used)]

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;
use systemd_core::{Address, Event, Notifier, OnHang, Settings, Verdict, Watchdog};

/// An operation on a running watchdog. When its owner dies, the VM calls `Stop`. When the last reference is gone, it is
/// dropped.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    AwaitQuestion,
    Answer,
    AnswerWrongly,
    Fail,
    Disable,
    Enable,
    Stop,
    Drop,
}

const STEPS: [Step; 8] = [
    Step::AwaitQuestion,
    Step::Answer,
    Step::AnswerWrongly,
    Step::Fail,
    Step::Disable,
    Step::Enable,
    Step::Stop,
    Step::Drop,
];

/// Every sequence of five different steps.
fn orders() -> Vec<Vec<Step>> {
    let mut orders = vec![Vec::new()];
    for _ in 0..5 {
        let longer = orders.iter().flat_map(|order: &Vec<Step>| {
            let others = STEPS.into_iter().filter(|step| !order.contains(step));
            others.map(|step| order.iter().copied().chain([step]).collect())
        });
        orders = longer.collect();
    }
    orders
}

/// Whether no answer counts: each comes after a `Stop`, or after a `Disable` without an `Enable`.
fn is_silent(order: &[Step]) -> bool {
    let place = |step| order.iter().position(|&other| other == step).unwrap_or(usize::MAX);
    let answer = place(Step::Answer);
    place(Step::Stop) < answer || place(Step::Disable) < answer && !order.contains(&Step::Enable)
}

#[derive(Default)]
struct Seen {
    asked: AtomicUsize,
    answered_healthy: AtomicUsize,
}

struct Lab {
    manager: UnixDatagram,
    notifier: Arc<Notifier>,
}

impl Lab {
    fn new() -> Self {
        let name = format!("systemd-core-orders-{}", std::process::id());
        let manager =
            UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        manager.set_nonblocking(true).unwrap();
        let address = Address::parse(format!("@{name}").as_bytes()).unwrap();
        let notifier = Arc::new(Notifier::open(address, Box::leak(Box::default())).unwrap());
        Self { manager, notifier }
    }

    fn pings(&self) -> usize {
        let mut bytes = [0; 5000];
        let mut pings = 0;
        while let Ok(len) = self.manager.recv(&mut bytes) {
            pings += usize::from(bytes[..len] == *b"WATCHDOG=1\n");
        }
        pings
    }

    /// Each of two threads runs all steps on the same watchdog.
    fn run(&self, order: &[Step], warn_after: Duration) {
        let seen = Arc::<Seen>::default();
        let settings = Settings {
            timeout: Duration::from_millis(4),
            interval: Duration::from_millis(1),
            warn_after,
            on_hang: OnHang::Withhold,
            schedulers: 2,
        };
        let seen_by_callback = seen.clone();
        let (running, ended) = channel::<()>();
        let watchdog = Watchdog::start(self.notifier.clone(), settings, move |event| {
            let _ = &running;
            if let Event::Tick(tick) = event {
                let before = seen_by_callback.asked.swap(tick.try_into().unwrap(), SeqCst);
                assert_eq!(before + 1, usize::try_from(tick).unwrap());
            }
        })
        .unwrap();
        let watchdog = Arc::new(watchdog);
        let together = Barrier::new(2);
        thread::scope(|scope| {
            for _ in 0..2 {
                let (mine, seen, together) = (watchdog.clone(), &seen, &together);
                scope.spawn(move || {
                    together.wait();
                    go_through(order, mine, seen);
                });
            }
            drop(watchdog);
        });
        // The last reference is gone. This waits until the thread has ended and dropped its callback.
        assert!(ended.recv().is_err());
        let asked = seen.asked.load(SeqCst);
        let pings = self.pings();
        assert!(pings <= asked.min(seen.answered_healthy.load(SeqCst)), "{order:?}");
        assert!(pings == 0 || !is_silent(order), "{order:?}");
        assert_eq!(self.pings(), 0, "{order:?}");
        assert_eq!(asked, seen.asked.load(SeqCst), "{order:?}");
    }
}

fn go_through(order: &[Step], watchdog: Arc<Watchdog>, seen: &Seen) {
    let mut watchdog = Some(watchdog);
    for step in order {
        let Some(running) = &watchdog else { return };
        let tick = seen.asked.load(SeqCst) as u64;
        match step {
            Step::AwaitQuestion => {
                for _ in 0..20 {
                    if seen.asked.load(SeqCst) > 0 {
                        break;
                    }
                    thread::sleep(Duration::from_micros(50));
                }
            }
            Step::Answer => {
                running.received(tick, vec![1], 1, vec![1]);
                running.checking(tick, "all");
                running.ran(1);
                seen.answered_healthy.fetch_add(1, SeqCst);
                running.answer(tick, Verdict::Healthy);
            }
            Step::AnswerWrongly => running.answer(tick + 1000, Verdict::Healthy),
            Step::Fail => running.answer(tick, Verdict::Failed("x > y".to_owned())),
            Step::Disable => running.disable(),
            Step::Enable => running.enable(),
            Step::Stop => running.stop(),
            Step::Drop => watchdog = None,
        }
    }
}

#[test]
fn every_order() {
    let lab = Lab::new();
    let orders = orders();
    assert_eq!(orders.len(), 8 * 7 * 6 * 5 * 4);
    for (number, order) in orders.iter().enumerate() {
        // In some runs the thread also reports, to the machine's journal if there is one.
        let overdue = number.is_multiple_of(700);
        lab.run(
            order,
            if overdue { Duration::from_millis(2) } else { Duration::from_secs(3600) },
        );
    }
    println!("{} orders", orders.len());
}
