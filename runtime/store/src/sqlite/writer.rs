//! The one thread that writes. What waits shares a transaction and its fsync.

use super::failure::{Failure, is_full};
use crate::Error;
use rusqlite::{Connection, ErrorCode};
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// Requests that may wait; more callers wait for room.
const QUEUE_MAX: usize = 1024;
/// Requests that share a commit. Bounds the wait of the first behind the last.
const GROUP_MAX: usize = 256;

/// A handle to the thread; it finishes what was asked and ends when this is dropped.
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Box<dyn Request>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(database: Connection) -> Result<Writer, Failure> {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let named = std::thread::Builder::new().name("store-writer".to_owned());
        let thread = named
            .spawn(move || serve(database, receiver))
            .map_err(Failure::Thread)?;
        Ok(Writer {
            queue: Some(sender),
            thread: Some(thread),
        })
    }

    /// Runs `work` in a transaction; when this answers, it is on disk.
    pub(super) async fn write<T, W>(&self, operation: &'static str, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        let (request, answer) = Pending::new(operation, work);
        let queue = self.queue.as_ref().ok_or(Error::Closed)?;
        queue
            .send(Box::new(request))
            .await
            .map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if self
            .thread
            .take()
            .is_some_and(|thread| thread.join().is_err())
        {
            tracing::error!("the thread that writes the database panicked");
        }
    }
}

/// One caller's part of a group.
trait Request: Send {
    fn run(&mut self, database: &Connection) -> Ran;
    /// Answers the caller, after the group's commit or its loss.
    fn answer(self: Box<Self>, lost: Option<&Lost>);
}

/// How a request went, as far as its group is concerned.
enum Ran {
    Well,
    Refused,
    Full,
}

/// Why a whole group came to nothing.
#[derive(Debug)]
enum Lost {
    Full,
    Sql(Arc<rusqlite::Error>),
}

impl Lost {
    fn to_error(&self, operation: &'static str) -> Error {
        match self {
            Lost::Full => Error::Full,
            Lost::Sql(source) => Error::Statement {
                operation,
                source: Box::new(Arc::clone(source)),
            },
        }
    }

    /// After a failed write or fsync nobody knows what is on disk, and a second
    /// fsync may lie. Opening the file anew finds out.
    fn is_final(&self) -> bool {
        matches!(self, Lost::Sql(source)
            if source.sqlite_error_code() == Some(ErrorCode::SystemIoFailure))
    }
}

impl From<rusqlite::Error> for Lost {
    fn from(error: rusqlite::Error) -> Self {
        if is_full(&error) {
            Lost::Full
        } else {
            Lost::Sql(Arc::new(error))
        }
    }
}

struct Pending<T, W> {
    operation: &'static str,
    work: Option<W>,
    result: Option<Result<T, Error>>,
    reply: oneshot::Sender<Result<T, Error>>,
}

impl<T, W> Pending<T, W> {
    fn new(operation: &'static str, work: W) -> (Self, oneshot::Receiver<Result<T, Error>>) {
        let (reply, answer) = oneshot::channel();
        (
            Pending {
                operation,
                work: Some(work),
                result: None,
                reply,
            },
            answer,
        )
    }
}

impl<T, W> Request for Pending<T, W>
where
    T: Send,
    W: FnOnce(&Connection) -> Result<T, Failure> + Send,
{
    fn run(&mut self, database: &Connection) -> Ran {
        let work = self.work.take().expect("a group runs each request once");
        let result = work(database).map_err(|failure| failure.into_error(self.operation));
        let ran = match &result {
            Ok(_) => Ran::Well,
            Err(Error::Full) => Ran::Full,
            Err(_) => Ran::Refused,
        };
        self.result = Some(result);
        ran
    }

    fn answer(self: Box<Self>, lost: Option<&Lost>) {
        let result = match (self.result, lost) {
            (Some(Err(own)), _) => Err(own),
            (_, Some(lost)) => Err(lost.to_error(self.operation)),
            (Some(Ok(value)), None) => Ok(value),
            (None, None) => Err(Error::Closed),
        };
        self.reply.send(result).ok(); // the caller may have gone
    }
}

fn serve(database: Connection, mut queue: mpsc::Receiver<Box<dyn Request>>) {
    let mut group = Vec::with_capacity(GROUP_MAX);
    while queue.blocking_recv_many(&mut group, GROUP_MAX) > 0 {
        let lost = commit_group(&database, &mut group).err();
        for request in group.drain(..) {
            request.answer(lost.as_ref());
        }
        if lost.is_some_and(|lost| lost.is_final()) {
            tracing::error!("the disk failed under the database; it takes no more writes");
            break;
        }
    }
    close(database);
}

/// Runs a group in one transaction. A request that fails undoes only itself.
fn commit_group(database: &Connection, group: &mut [Box<dyn Request>]) -> Result<(), Lost> {
    execute(database, "BEGIN IMMEDIATE")?;
    let ended = run_group(database, group).and_then(|()| execute(database, "COMMIT"));
    if ended.is_err() && !database.is_autocommit() {
        execute(database, "ROLLBACK")?;
    }
    ended
}

fn run_group(database: &Connection, group: &mut [Box<dyn Request>]) -> Result<(), Lost> {
    for request in group {
        execute(database, "SAVEPOINT request")?;
        let ran = request.run(database);
        // SQLite answers some failures, a full disk among them, by rolling the whole
        // transaction back: then the group is lost.
        if matches!(ran, Ran::Full) && database.is_autocommit() {
            return Err(Lost::Full);
        }
        if !matches!(ran, Ran::Well) {
            execute(database, "ROLLBACK TO request")?;
        }
        execute(database, "RELEASE request")?;
    }
    Ok(())
}

/// Runs a statement that takes and answers nothing; parsed once, since each request has two.
fn execute(database: &Connection, statement: &str) -> Result<(), Lost> {
    database.prepare_cached(statement)?.execute([])?;
    Ok(())
}

fn close(database: Connection) {
    let checkpoint = database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    let closed = checkpoint.and_then(|()| database.close().map_err(|(_, error)| error));
    if let Err(error) = closed {
        tracing::warn!(%error, "the database was not closed cleanly; the next start recovers it");
    }
}

#[cfg(test)]
mod tests;
