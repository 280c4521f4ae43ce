//! A lane: the thread on which the open batch of a stream is encoded, off the
//! guest's thread. Its queue is short, so a slow disk slows the reader down.

use crate::Error;
use crate::encode::{self, Encoder, Misfit};
use crate::page::Page;
use crate::stage::{self, Staging};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tidegate_domain::record::{Format, Operation};
use tidegate_domain::schema::Columns;
use tidegate_domain::slot::{Content, Object};
use tidegate_store::crash;
use tidegate_store::streams::StagedObject;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// Saves that may wait for the encoder.
const QUEUE: usize = 4;

/// How files are cut.
#[derive(Clone)]
pub(crate) struct Shape {
    pub(crate) format: Format,
    pub(crate) columns: Option<Arc<Columns>>,
}

enum Command {
    Pages(Vec<Page>),
    Finish {
        name: BatchName,
        reply: oneshot::Sender<Result<Encoded, Error>>,
    },
    Reshape(Arc<Columns>),
}

/// A batch whose files are durable, and not yet sealed.
pub(crate) struct Encoded {
    pub(crate) objects: Vec<StagedObject>,
    /// What fitted no column.
    pub(crate) misfits: Vec<Misfit>,
}

/// What a batch's files are named after.
#[derive(Clone, Copy)]
pub(crate) struct BatchName {
    pub(crate) epoch: u64,
    pub(crate) batch: u64,
    pub(crate) generation: u64,
}

/// The sending side of a lane.
pub(crate) struct Lane {
    commands: mpsc::Sender<Command>,
    encoded: Arc<AtomicU64>,
}

impl Lane {
    pub(crate) fn start(
        shape: Shape,
        staging: Arc<dyn Staging>,
        tasks: &mut JoinSet<Result<(), Error>>,
    ) -> Lane {
        let (commands, inbox) = mpsc::channel(QUEUE);
        let encoded = Arc::new(AtomicU64::new(0));
        let bench = Bench {
            shape,
            staging,
            encoded: Arc::clone(&encoded),
            open: Vec::new(),
            failed: None,
        };
        tasks.spawn_blocking(move || {
            bench.run(inbox);
            Ok(())
        });
        Lane { commands, encoded }
    }

    /// Encoded bytes of the open batch, as of now.
    pub(crate) fn encoded_bytes(&self) -> u64 {
        self.encoded.load(Ordering::Relaxed)
    }

    /// Hands pages over; waits while the encoder is behind. False when it is gone.
    pub(crate) async fn write(&self, pages: Vec<Page>) -> bool {
        self.commands.send(Command::Pages(pages)).await.is_ok()
    }

    /// Steps S1 to S2: everything written since the last call is encoded and
    /// durable. None when the lane is gone.
    pub(crate) async fn finish(&self, name: BatchName) -> Option<Result<Encoded, Error>> {
        let (reply, answer) = oneshot::channel();
        self.commands
            .send(Command::Finish { name, reply })
            .await
            .ok()?;
        answer.await.ok()
    }

    /// Cuts what is written from now on into other columns. Only between batches: a
    /// file never has two schemas. False when the lane is gone.
    pub(crate) async fn reshape(&self, columns: Arc<Columns>) -> bool {
        self.commands.send(Command::Reshape(columns)).await.is_ok()
    }
}

struct OpenFile {
    content: Content,
    temporary: PathBuf,
    encoder: Box<dyn Encoder>,
}

/// The lane's own side: the open file of each content.
struct Bench {
    shape: Shape,
    staging: Arc<dyn Staging>,
    encoded: Arc<AtomicU64>,
    open: Vec<OpenFile>,
    /// The first failure, kept until the batch is asked for.
    failed: Option<Error>,
}

impl Bench {
    fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        while let Some(command) = inbox.blocking_recv() {
            match command {
                Command::Pages(pages) => {
                    if self.failed.is_none() {
                        self.failed = pages.iter().try_for_each(|page| self.write(page)).err();
                    }
                    let bytes = self.open.iter().map(|open| open.encoder.bytes()).sum();
                    self.encoded.store(bytes, Ordering::Relaxed);
                }
                Command::Finish { name, reply } => {
                    let finished = match self.failed.take() {
                        Some(error) => Err(error),
                        None => self.finish(name),
                    };
                    self.discard();
                    // The writer may have gone; then nobody seals these files, and
                    // the next start removes them.
                    drop(reply.send(finished));
                }
                Command::Reshape(columns) => {
                    debug_assert!(self.open.is_empty(), "a batch is open");
                    self.shape.columns = Some(columns);
                }
            }
        }
        self.discard();
    }

    fn write(&mut self, page: &Page) -> Result<(), Error> {
        for operation in Operation::ALL {
            let rows: Vec<usize> = (0..page.rows.len())
                .filter(|at| page.rows[*at].operation == operation)
                .collect();
            if !rows.is_empty() {
                self.file(Content::Rows(operation))?.write(page, &rows)?;
            }
        }
        if !page.rejected.is_empty() {
            let all: Vec<usize> = (0..page.rejected.len()).collect();
            self.file(Content::Rejected)?.write(page, &all)?;
        }
        Ok(())
    }

    fn file(&mut self, content: Content) -> Result<&mut Box<dyn Encoder>, Error> {
        let at = match self.open.iter().position(|open| open.content == content) {
            Some(at) => at,
            None => {
                let (file, temporary) = self.staging.create().map_err(|source| Error::Stage {
                    operation: "make a file",
                    path: self.staging.root().to_owned(),
                    source,
                })?;
                let encoder = encode::encoder(
                    self.shape.format,
                    self.shape.columns.as_deref(),
                    file,
                    content,
                )?;
                self.open.push(OpenFile {
                    content,
                    temporary,
                    encoder,
                });
                self.open.len() - 1
            }
        };
        Ok(&mut self.open[at].encoder)
    }

    fn finish(&mut self, name: BatchName) -> Result<Encoded, Error> {
        let mut encoded = Encoded {
            objects: Vec::new(),
            misfits: Vec::new(),
        };
        crash::point("S2.before");
        for (lane, open) in std::mem::take(&mut self.open).into_iter().enumerate() {
            let (object, misfits) = self.persist(name, lane, open)?;
            encoded.objects.push(object);
            encode::merge_misfits(&mut encoded.misfits, misfits);
        }
        crash::point("S2.after");
        Ok(encoded)
    }

    fn persist(
        &self,
        name: BatchName,
        lane: usize,
        open: OpenFile,
    ) -> Result<(StagedObject, Vec<Misfit>), Error> {
        let finished = open.encoder.finish()?;
        let format = encode::format_of(open.content, self.shape.format);
        let file = stage::file_name(
            name.epoch,
            name.batch,
            lane,
            &finished.sha256,
            format.extension(),
        );
        let path = self
            .staging
            .persist(&finished.file, &open.temporary, &file)
            .map_err(|source| Error::Stage {
                operation: "make a batch durable",
                path: open.temporary.clone(),
                source,
            })?;
        let key = match open.content {
            Content::Rows(operation) => {
                format!("gen={}/op={}/{file}", name.generation, operation.as_str())
            }
            Content::Rejected => format!("_rejected/{file}"),
        };
        let has_columns = matches!(format, Format::Parquet | Format::CsvGzip);
        let columns = self.shape.columns.as_deref().filter(|_| has_columns);
        let object = Object {
            key,
            place: None, // said where it is uploaded
            content: open.content,
            format,
            sha256: finished.sha256,
            bytes: finished.bytes,
            rows: finished.rows,
            schema: columns.map(encode::schema_id),
        };
        Ok((StagedObject { object, path }, finished.misfits))
    }

    /// Forgets what is open; rows that were not sealed are read again.
    fn discard(&mut self) {
        for open in self.open.drain(..) {
            drop(open.encoder);
            if let Err(error) = self.staging.remove(&open.temporary) {
                tracing::warn!(path = %open.temporary.display(), %error, "a part file could not be removed");
            }
        }
        self.encoded.store(0, Ordering::Relaxed);
    }
}
