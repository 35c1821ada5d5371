//! Tasks that carry journeys out: each one after the other. A new task for each arrival would cost as much as its request.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};

use super::journey::Course;

/// An arrival that fell due.
#[derive(Debug, Clone, Copy)]
struct Job {
    number: u64,
    due_us: i64,
}

/// Where a worker without a job waits for one.
#[derive(Default)]
struct Desk {
    job: Mutex<Option<Job>>,
    called: Notify,
}

/// What the workers of a shard share.
#[derive(Default)]
struct Shared {
    /// The last to have become idle is the next to work: what it needs is still in the cache.
    idle: Mutex<Vec<Arc<Desk>>>,
    /// Journeys under way.
    busy: Arc<AtomicU64>,
    none_busy: Notify,
}

/// The workers of a shard.
pub(super) struct Workers {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

impl Workers {
    /// Who count their journeys here.
    pub(super) fn counting(busy: Arc<AtomicU64>) -> Self {
        let shared = Shared {
            busy,
            ..Shared::default()
        };
        Self {
            shared: Arc::new(shared),
            tasks: JoinSet::new(),
        }
    }

    /// Lets an arrival go.
    pub(super) fn carry_out(&mut self, course: &Arc<Course>, number: u64, due_us: i64) {
        let job = Job { number, due_us };
        self.shared.busy.fetch_add(1, Ordering::Relaxed);
        let idle = lock(&self.shared.idle).pop();
        match idle {
            Some(desk) => {
                *lock(&desk.job) = Some(job);
                desk.called.notify_one();
            }
            None => {
                let (shared, course) = (Arc::clone(&self.shared), Arc::clone(course));
                self.tasks.spawn(work(shared, course, job));
            }
        }
    }

    /// Lets one go on by itself until it ends.
    pub(super) fn admit(&mut self, user: impl Future<Output = ()> + Send + 'static) {
        let shared = Arc::clone(&self.shared);
        shared.busy.fetch_add(1, Ordering::Relaxed);
        self.tasks.spawn(async move {
            user.await;
            shared.done();
        });
    }

    /// Waits until no journey is under way.
    ///
    /// # Errors
    /// One broke off.
    pub(super) async fn finish(&mut self) -> Result<(), JoinError> {
        while self.shared.busy.load(Ordering::Relaxed) > 0 {
            tokio::select! {
                biased;
                error = broke_off(&mut self.tasks) => return Err(error),
                () = self.shared.none_busy.notified() => {}
            }
        }
        Ok(())
    }

    /// Waits until one breaks off. Safe to cancel.
    pub(super) async fn broke_off(&mut self) -> JoinError {
        broke_off(&mut self.tasks).await
    }

    /// Ends all of them where they are.
    pub(super) async fn shutdown(mut self) {
        self.tasks.shutdown().await;
    }
}

async fn broke_off(tasks: &mut JoinSet<()>) -> JoinError {
    loop {
        match tasks.join_next().await {
            Some(Err(error)) => return error,
            Some(Ok(())) => {}
            None => std::future::pending().await,
        }
    }
}

async fn work(shared: Arc<Shared>, course: Arc<Course>, mut job: Job) {
    let desk = Arc::new(Desk::default());
    loop {
        course.run(job.number, job.due_us).await;
        lock(&shared.idle).push(Arc::clone(&desk));
        shared.done();
        job = loop {
            desk.called.notified().await;
            if let Some(job) = lock(&desk.job).take() {
                break job;
            }
        };
    }
}

impl Shared {
    fn done(&self) {
        if self.busy.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.none_busy.notify_one();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
