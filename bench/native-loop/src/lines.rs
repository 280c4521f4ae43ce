//! Records as they came, one a line, compressed.

use crate::{Landing, Page, Read};
use anyhow::Result;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::marker::PhantomData;

/// The level of Tidegate, so that both compress as hard.
const ZSTD_LEVEL: i32 = 1;
/// Plain bytes per call of a compressor.
const BLOCK_BYTES: usize = 128 << 10;

type Zstd = zstd::stream::write::Encoder<'static, File>;
type Gzip = GzEncoder<BufWriter<File>>;

pub(crate) trait Compressor: Write {
    fn end(self) -> io::Result<File>;
}

/// A record, and how it becomes a line again.
pub(crate) trait Record<'a>: Deserialize<'a> {
    fn write(&self, block: &mut Vec<u8>) -> Result<()>;
}

/// The record's own text, checked and not taken apart.
impl<'a> Record<'a> for &'a RawValue {
    fn write(&self, block: &mut Vec<u8>) -> Result<()> {
        block.extend_from_slice(self.get().as_bytes());
        Ok(())
    }
}

/// A tree, as of one who looks into each record.
impl Record<'_> for Value {
    fn write(&self, block: &mut Vec<u8>) -> Result<()> {
        Ok(serde_json::to_writer(block, self)?)
    }
}

/// Names the kind of record, whatever its lifetime is.
pub(crate) trait Kind {
    type Record<'a>: Record<'a>;
}

pub(crate) struct Verbatim;
pub(crate) struct Parsed;

impl Kind for Verbatim {
    type Record<'a> = &'a RawValue;
}

impl Kind for Parsed {
    type Record<'a> = Value;
}

pub(crate) struct Lines<C, K> {
    compressor: C,
    block: Vec<u8>,
    kind: PhantomData<K>,
}

pub(crate) fn zstd<K: Kind>(file: File) -> Result<Lines<Zstd, K>> {
    let mut encoder = Zstd::new(file, ZSTD_LEVEL)?;
    encoder.include_checksum(true)?;
    Ok(Lines::new(encoder))
}

pub(crate) fn gzip<K: Kind>(file: File, level: u32) -> Lines<Gzip, K> {
    let file = BufWriter::with_capacity(BLOCK_BYTES, file);
    Lines::new(GzEncoder::new(file, Compression::new(level)))
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

impl<C, K> Lines<C, K> {
    fn new(compressor: C) -> Lines<C, K> {
        Lines {
            compressor,
            block: Vec::with_capacity(2 * BLOCK_BYTES),
            kind: PhantomData,
        }
    }
}

impl<C: Compressor, K: Kind> Landing for Lines<C, K> {
    fn land(&mut self, body: &[u8]) -> Result<Read> {
        let page: Page<K::Record<'_>> = serde_json::from_slice(body)?;
        for record in &page.results {
            record.write(&mut self.block)?;
            self.block.push(b'\n');
        }
        if self.block.len() >= BLOCK_BYTES {
            self.compressor.write_all(&self.block)?;
            self.block.clear();
        }
        Ok(page.read())
    }

    fn finish(mut self: Box<Self>) -> Result<File> {
        self.compressor.write_all(&self.block)?;
        Ok(self.compressor.end()?)
    }
}
