//! Records as they came, one a line, compressed.

use crate::{Landing, Page, Read};
use anyhow::Result;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::value::RawValue;
use std::fs::File;
use std::io::{self, BufWriter, Write};

/// The levels of Tidegate, so that both compress as hard.
const ZSTD_LEVEL: i32 = 1;
const GZIP_LEVEL: u32 = 1;
/// Plain bytes per call of a compressor.
const BLOCK_BYTES: usize = 128 << 10;

type Zstd = zstd::stream::write::Encoder<'static, File>;
type Gzip = GzEncoder<BufWriter<File>>;

pub(crate) trait Compressor: Write {
    fn end(self) -> io::Result<File>;
}

pub(crate) struct Lines<C> {
    compressor: C,
    block: Vec<u8>,
}

pub(crate) fn zstd(file: File) -> Result<Lines<Zstd>> {
    let mut encoder = Zstd::new(file, ZSTD_LEVEL)?;
    encoder.include_checksum(true)?;
    Ok(Lines::new(encoder))
}

pub(crate) fn gzip(file: File) -> Lines<Gzip> {
    let file = BufWriter::with_capacity(BLOCK_BYTES, file);
    Lines::new(GzEncoder::new(file, Compression::new(GZIP_LEVEL)))
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
    fn new(compressor: C) -> Lines<C> {
        Lines {
            compressor,
            block: Vec::with_capacity(2 * BLOCK_BYTES),
        }
    }
}

impl<C: Compressor> Landing for Lines<C> {
    fn land(&mut self, body: &[u8]) -> Result<Read> {
        let page: Page<&RawValue> = serde_json::from_slice(body)?;
        for record in &page.results {
            self.block.extend_from_slice(record.get().as_bytes());
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
