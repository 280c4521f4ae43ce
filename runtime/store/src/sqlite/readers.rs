//! The threads that read, each on a connection that cannot write.

use super::connection::open_reader;
use super::failure::Failure;
use crate::Error;
use rusqlite::Connection;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::{Semaphore, oneshot};

/// Reads are short and come from page caches; more threads would only wait.
const THREADS: usize = 3;
/// Reads that may wait; more callers wait for room.
const QUEUE_MAX: usize = 256;

type Read = Box<dyn FnOnce(&Connection) + Send>;

/// A handle to the threads; they end when it is dropped.
pub(super) struct Readers {
    queue: Arc<Queue>,
    room: Arc<Semaphore>,
    threads: Vec<JoinHandle<()>>,
}

/// Reads that wait. One that comes wakes one thread, if any is asleep.
#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    has_come: Condvar,
}

#[derive(Default)]
struct Waiting {
    reads: VecDeque<Read>,
    is_closed: bool,
}

impl Readers {
    pub(super) fn start(path: &Path) -> Result<Readers, Failure> {
        let mut readers = Readers {
            queue: Arc::default(),
            room: Arc::new(Semaphore::new(QUEUE_MAX)),
            threads: Vec::new(),
        };
        for _ in 0..THREADS {
            let database = open_reader(path)?;
            let queue = Arc::clone(&readers.queue);
            let named = std::thread::Builder::new().name("store-reader".to_owned());
            let thread = named
                .spawn(move || serve(&database, &queue))
                .map_err(Failure::Thread)?;
            readers.threads.push(thread);
        }
        Ok(readers)
    }

    pub(super) async fn read<T, W>(&self, operation: &'static str, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let place = Arc::clone(&self.room).acquire_owned().await;
        let place = place.map_err(|_| Error::Closed)?;
        let read: Read = Box::new(move |database| {
            drop(place);
            let result = work(database).map_err(|failure| failure.into_error(operation));
            reply.send(result).ok(); // the caller may have gone
        });
        self.queue.lock().reads.push_back(read);
        self.queue.has_come.notify_one();
        answer.await.map_err(|_| Error::Closed)?
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next read; none when there is none and none will come.
    fn next(&self) -> Option<Read> {
        let asleep = |waiting: &mut Waiting| waiting.reads.is_empty() && !waiting.is_closed;
        let woken = self.has_come.wait_while(self.lock(), asleep);
        woken
            .unwrap_or_else(PoisonError::into_inner)
            .reads
            .pop_front()
    }
}

fn serve(database: &Connection, queue: &Queue) {
    while let Some(read) = queue.next() {
        read(database);
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.queue.lock().is_closed = true;
        self.queue.has_come.notify_all();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread that reads the database panicked");
            }
        }
    }
}
