//! The threads that read, each on a connection that cannot write.

use super::connection::open_reader;
use super::failure::Failure;
use crate::Error;
use rusqlite::Connection;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// Reads are short and come from page caches; more threads would only wait.
const THREADS: usize = 3;
const QUEUE_MAX: usize = 256;

type Read = Box<dyn FnOnce(&Connection) + Send>;

/// A handle to the threads; they end when it is dropped.
pub(super) struct Readers {
    queue: Option<mpsc::Sender<Read>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    pub(super) fn start(path: &Path) -> Result<Readers, Failure> {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let receiver = Arc::new(Mutex::new(receiver));
        let mut readers = Readers {
            queue: Some(sender),
            threads: Vec::new(),
        };
        for _ in 0..THREADS {
            let database = open_reader(path)?;
            let queue = Arc::clone(&receiver);
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
        let read: Read = Box::new(move |database| {
            let result = work(database).map_err(|failure| failure.into_error(operation));
            reply.send(result).ok(); // the caller may have gone
        });
        let queue = self.queue.as_ref().ok_or(Error::Closed)?;
        queue.send(read).await.map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?
    }
}

fn serve(database: &Connection, queue: &Mutex<mpsc::Receiver<Read>>) {
    loop {
        // Whoever waits for the next read waits with the lock; the others wait for it.
        let next = queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .blocking_recv();
        match next {
            Some(read) => read(database),
            None => return,
        }
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        drop(self.queue.take());
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread that reads the database panicked");
            }
        }
    }
}
