//! Records one a line, compressed: as they came, or parsed and written out again.

use crate::{Landing, Page, Read};
use anyhow::Result;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use serde_json::value::RawValue;
use std::fs::File;
use std::io::{self, BufWriter, Write};

/// The level of Tidegate, so that both compress as hard.
const ZSTD_LEVEL: i32 = 1;
/// Plain bytes per call of a compressor.
const BLOCK_BYTES: usize = 128 << 10;

type Zstd = zstd::stream::write::Encoder<'static, File>;
type Gzip = GzEncoder<BufWriter<File>>;

pub(crate) trait Compressor: Write {
    fn end(self) -> io::Result<File>;
}

/// What becomes of a record between page and line.
#[derive(Clone, Copy)]
pub(crate) enum Records {
    /// Its bytes are copied.
    Copied,
    /// It is parsed into a value and written out again, as where its author changes it.
    Parsed,
}

pub(crate) struct Lines<C> {
    compressor: C,
    block: Vec<u8>,
    records: Records,
}

pub(crate) fn zstd(file: File, records: Records) -> Result<Lines<Zstd>> {
    let mut encoder = Zstd::new(file, ZSTD_LEVEL)?;
    encoder.include_checksum(true)?;
    Ok(Lines::new(encoder, records))
}

pub(crate) fn gzip(file: File, level: u32, records: Records) -> Lines<Gzip> {
    let file = BufWriter::with_capacity(BLOCK_BYTES, file);
    let encoder = GzEncoder::new(file, Compression::new(level));
    Lines::new(encoder, records)
}

impl Compressor for Zstd {
    fn end(self) -> io::Result<File> {
        self.finish()
    }
}

impl Compressor for Gzip {
    fn end(self) -> io::Result<File> {
        let file = self.finish()?;
        file.into_inner().map_err(|error| error.into_error())
    }
}

impl<C> Lines<C> {
    fn new(compressor: C, records: Records) -> Lines<C> {
        Lines {
            compressor,
            block: Vec::with_capacity(2 * BLOCK_BYTES),
            records,
        }
    }

    fn copy(&mut self, body: &[u8]) -> Result<Read> {
        let page: Page<&RawValue> = serde_json::from_slice(body)?;
        for record in &page.results {
            self.block.extend_from_slice(record.get().as_bytes());
            self.block.push(b'\n');
        }
        Ok(page.read())
    }

    fn rewrite(&mut self, body: &[u8]) -> Result<Read> {
        let page: Page<Value> = serde_json::from_slice(body)?;
        for record in &page.results {
            serde_json::to_writer(&mut self.block, record)?;
            self.block.push(b'\n');
        }
        Ok(page.read())
    }
}

impl<C: Compressor> Landing for Lines<C> {
    fn land(&mut self, body: &[u8]) -> Result<Read> {
        let read = match self.records {
            Records::Copied => self.copy(body)?,
            Records::Parsed => self.rewrite(body)?,
        };
        if self.block.len() >= BLOCK_BYTES {
            self.compressor.write_all(&self.block)?;
            self.block.clear();
        }
        Ok(read)
    }

    fn finish(mut self: Box<Self>) -> Result<File> {
        self.compressor.write_all(&self.block)?;
        Ok(self.compressor.end()?)
    }
}
