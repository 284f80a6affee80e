//! What may have to wait, so that nobody of the VM's schedulers does.

use crate::worker::spawn;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use nix::errno::Errno;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

type Job = Box<dyn FnOnce() + Send>;

/// Jobs that are done one after the other, in the order of their coming, by a thread that starts with the first
/// one and ends when there have been none for a second.
#[derive(Debug)]
pub struct Jobs {
    name: &'static str,
    inbox: Mutex<Option<Sender<Job>>>,
    undone: AtomicUsize,
}

const LINGER: Duration = Duration::from_secs(1);

impl Jobs {
    /// The thread's name has 15 characters at most.
    pub fn new(name: &'static str) -> Arc<Self> {
        Arc::new(Self { name, inbox: Mutex::default(), undone: AtomicUsize::new(0) })
    }

    /// Whether some are not done yet: who does the same at once now would be pushing in.
    pub fn are_waiting(&self) -> bool {
        self.undone.load(Ordering::Acquire) > 0
    }

    /// Fails only where a thread is needed and can't be started.
    pub fn push(self: &Arc<Self>, job: impl FnOnce() + Send + 'static) -> Result<(), Errno> {
        let job: Job = Box::new(job);
        let job = match &*self.inbox() {
            Some(sender) => return self.send(sender, job),
            None => job,
        };
        // Not under the lock: starting one may take long.
        let (sender, jobs) = unbounded();
        let all = self.clone();
        spawn(self.name, move || all.run(&jobs))?;
        // Where somebody else was quicker, ours has nothing to do, and ends.
        self.send(self.inbox().get_or_insert(sender), job)
    }

    fn send(&self, sender: &Sender<Job>, job: Job) -> Result<(), Errno> {
        self.undone.fetch_add(1, Ordering::Release);
        // There is a receiver for as long as `inbox` has this sender.
        let _ = sender.send(job);
        Ok(())
    }

    fn run(&self, jobs: &Receiver<Job>) {
        loop {
            let job = match jobs.recv_timeout(LINGER) {
                Ok(job) => job,
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    let mut inbox = self.inbox();
                    // Whoever comes after this starts another thread.
                    let Ok(job) = jobs.try_recv().inspect_err(|_| *inbox = None) else { return };
                    job
                }
            };
            self.run_one(job);
        }
    }

    fn run_one(&self, job: Job) {
        // The jobs behind one that panics are done all the same.
        let _ = catch_unwind(AssertUnwindSafe(job));
        self.undone.fetch_sub(1, Ordering::Release);
    }

    fn inbox(&self) -> MutexGuard<'_, Option<Sender<Job>>> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::thread;

    #[test]
    fn are_done_in_their_order_whatever_one_does() {
        let jobs = Jobs::new("jobs");
        let (done, results) = channel();
        for number in 0..100 {
            let done = done.clone();
            jobs.push(move || {
                assert_ne!(number, 50);
                done.send(number).unwrap();
            })
            .unwrap();
        }
        drop(done);
        assert!(results.iter().eq((0..100).filter(|&number| number != 50)));
    }

    #[test]
    fn two_who_start_a_thread_at_once_are_both_served() {
        for _ in 0..100 {
            let jobs = Jobs::new("jobs");
            let (done, results) = channel();
            thread::scope(|scope| {
                for number in 0..4 {
                    let (jobs, done) = (&jobs, done.clone());
                    scope.spawn(move || jobs.push(move || done.send(number).unwrap()));
                }
            });
            drop(done);
            let mut numbers: Vec<_> = results.iter().collect();
            numbers.sort();
            assert_eq!(numbers, [0, 1, 2, 3]);
        }
    }

    #[test]
    fn none_is_lost_when_the_thread_is_about_to_end() {
        let jobs = Jobs::new("jobs");
        let (done, results) = channel();
        for number in 0..3 {
            let done = done.clone();
            jobs.push(move || done.send(number).unwrap()).unwrap();
            assert_eq!(results.recv(), Ok(number));
            thread::sleep(LINGER);
        }
        while jobs.are_waiting() {
            thread::yield_now();
        }
    }
}
