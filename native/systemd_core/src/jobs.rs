//! Jobs that may block. They run on a thread of their own, so that no scheduler of the VM blocks.

use crate::worker::spawn;
use crossbeam_channel::{Receiver, Sender, unbounded};
use nix::errno::Errno;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

type Job = Box<dyn FnOnce() + Send>;

/// A queue of jobs. One thread runs them in order. It starts with the first job, and ends after a second without jobs.
#[derive(Debug)]
pub struct Jobs {
    name: &'static str,
    inbox: Mutex<Option<Sender<Job>>>,
    pending: AtomicUsize,
}

const LINGER: Duration = Duration::from_secs(1);

impl Jobs {
    /// `name` is the thread's name, of at most 15 characters: see pthread_setname_np(3).
    pub fn new(name: &'static str) -> Arc<Self> {
        Arc::new(Self { name, inbox: Mutex::default(), pending: AtomicUsize::new(0) })
    }

    /// Whether jobs are still pending. A caller that acts directly now would overtake them.
    pub fn has_pending(&self) -> bool {
        self.pending.load(Ordering::Acquire) > 0
    }

    /// Fails only if there is no thread yet and none can be started.
    pub fn push(self: &Arc<Self>, job: impl FnOnce() + Send + 'static) -> Result<(), Errno> {
        let job: Job = Box::new(job);
        let job = match &*self.inbox() {
            Some(sender) => return self.send(sender, job),
            None => job,
        };
        // The lock is not held here, because starting a thread may take long.
        let (sender, jobs) = unbounded();
        let all = self.clone();
        spawn(self.name, move || all.run(&jobs))?;
        // If another caller has started a thread first, that thread gets the job. This one loses its sender, and ends.
        self.send(self.inbox().get_or_insert(sender), job)
    }

    fn send(&self, sender: &Sender<Job>, job: Job) -> Result<(), Errno> {
        self.pending.fetch_add(1, Ordering::Release);
        // It can't fail: the receiver exists for as long as `inbox` has this sender.
        let _ = sender.send(job);
        Ok(())
    }

    fn run(&self, jobs: &Receiver<Job>) {
        // The first job shows that `inbox` has the sender of this queue. Until then only the caller that has started
        // this thread has it, and takes as long as it takes.
        let Ok(mut job) = jobs.recv() else { return };
        loop {
            self.run_one(job);
            job = match jobs.recv_timeout(LINGER) {
                Ok(job) => job,
                Err(_) => {
                    let mut inbox = self.inbox();
                    // The next `push` starts another thread.
                    let Ok(job) = jobs.try_recv().inspect_err(|_| *inbox = None) else { return };
                    job
                }
            };
        }
    }

    fn run_one(&self, job: Job) {
        // A panic must not keep the jobs behind this one from running.
        let _ = catch_unwind(AssertUnwindSafe(job));
        self.pending.fetch_sub(1, Ordering::Release);
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
    fn run_in_order_even_if_one_panics() {
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
    fn two_callers_may_start_a_thread_at_once() {
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

    /// A caller may be stopped for any time between starting the thread and making its queue the one of all callers.
    #[test]
    fn a_slow_caller_leaves_no_dead_queue() {
        let jobs = Jobs::new("jobs");
        let (sender, queue) = unbounded();
        let all = jobs.clone();
        thread::spawn(move || all.run(&queue));
        thread::sleep(LINGER * 3 / 2);
        jobs.inbox().get_or_insert(sender);
        let (done, results) = channel();
        jobs.push(move || done.send(()).unwrap()).unwrap();
        assert_eq!(results.recv(), Ok(()));
    }

    #[test]
    fn no_job_is_lost_while_the_thread_ends() {
        let jobs = Jobs::new("jobs");
        let (done, results) = channel();
        for number in 0..3 {
            let done = done.clone();
            jobs.push(move || done.send(number).unwrap()).unwrap();
            assert_eq!(results.recv(), Ok(number));
            thread::sleep(LINGER);
        }
        while jobs.has_pending() {
            thread::yield_now();
        }
    }
}
