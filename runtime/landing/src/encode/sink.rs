//! Where encoded bytes go: a file whose bytes are counted and hashed as they pass.

use super::{EncodeError, Finished};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::Digest as _;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use tidegate_domain::id::Sha256;

/// Level 1 costs half the CPU of the default 3 and gives files a tenth larger.
const ZSTD_LEVEL: i32 = 1;
/// 256 KiB: what it looks back at stays in a core's own cache. Against the level's 512 KiB
/// it costs a twelfth less CPU, and files of JSON are as small.
const ZSTD_WINDOW_LOG: u32 = 18;
/// Level 1 costs a third of the CPU of the default 6.
const GZIP_LEVEL: u32 = 1;

/// A file, its length and the hash of its bytes.
pub(super) struct HashedFile {
    file: File,
    hash: sha2::Sha256,
    bytes: u64,
}

impl HashedFile {
    pub(super) fn new(file: File) -> Self {
        HashedFile {
            file,
            hash: sha2::Sha256::new(),
            bytes: 0,
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What was written; nothing more may be.
    pub(super) fn finished(&self, rows: u64, drifted: u64) -> io::Result<Finished> {
        Ok(Finished {
            file: self.file.try_clone()?,
            rows,
            drifted,
            misfits: Vec::new(),
            sha256: Sha256::from_bytes(self.hash.clone().finalize().into()),
            bytes: self.bytes,
        })
    }
}

impl Write for HashedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A compressor into a [`HashedFile`].
pub(super) trait Compressor: Write + Send {
    /// Compressed bytes that have reached the file.
    fn bytes(&self) -> u64;

    /// Ends the stream and returns the file.
    fn end(self) -> io::Result<HashedFile>;
}

type Zstd = zstd::stream::write::Encoder<'static, HashedFile>;
type Gzip = GzEncoder<BufWriter<HashedFile>>;

pub(super) fn zstd(file: File) -> Result<Zstd, EncodeError> {
    let mut encoder = Zstd::new(HashedFile::new(file), ZSTD_LEVEL)?;
    encoder.include_checksum(true)?;
    encoder.window_log(ZSTD_WINDOW_LOG)?;
    Ok(encoder)
}

pub(super) fn gzip(file: File) -> Gzip {
    let file = BufWriter::with_capacity(128 << 10, HashedFile::new(file));
    GzEncoder::new(file, Compression::new(GZIP_LEVEL))
}

impl Compressor for Zstd {
    fn bytes(&self) -> u64 {
        self.get_ref().bytes()
    }

    fn end(self) -> io::Result<HashedFile> {
        self.finish()
    }
}

impl Compressor for Gzip {
    fn bytes(&self) -> u64 {
        let file = self.get_ref();
        file.get_ref().bytes() + file.buffer().len() as u64
    }

    fn end(self) -> io::Result<HashedFile> {
        self.finish()?
            .into_inner()
            .map_err(|error| error.into_error())
    }
}

/// Plain bytes on their way to a compressor, handed over in blocks: a call per row
/// costs more than the row.
pub(super) struct Blocks<C> {
    compressor: C,
    pub(super) block: Vec<u8>,
    plain_bytes: u64,
}

const BLOCK_BYTES: usize = 128 << 10;

impl<C: Compressor> Blocks<C> {
    pub(super) fn new(compressor: C) -> Self {
        Blocks {
            compressor,
            block: Vec::with_capacity(BLOCK_BYTES + (16 << 10)),
            plain_bytes: 0,
        }
    }

    /// Passes the block on if it is full.
    pub(super) fn row_ended(&mut self) -> io::Result<()> {
        if self.block.len() >= BLOCK_BYTES {
            return self.pass_on();
        }
        Ok(())
    }

    fn pass_on(&mut self) -> io::Result<()> {
        self.compressor.write_all(&self.block)?;
        self.plain_bytes += self.block.len() as u64;
        self.block.clear();
        if self.block.capacity() > 8 * BLOCK_BYTES {
            self.block.shrink_to(BLOCK_BYTES);
        }
        Ok(())
    }

    /// Compressed bytes: those in the file, and those held at the ratio so far.
    pub(super) fn bytes(&self) -> u64 {
        let written = self.compressor.bytes();
        let held = self.block.len() as u64;
        let ratio = (self.plain_bytes / written.max(1)).max(1);
        written + held / ratio
    }

    pub(super) fn finish(mut self, rows: u64, drifted: u64) -> io::Result<Finished> {
        self.pass_on()?;
        self.compressor.end()?.finished(rows, drifted)
    }
}
