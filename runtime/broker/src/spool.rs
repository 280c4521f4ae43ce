//! Bytes that outgrow memory: an unlinked file, mapped.

use bytes::Bytes;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Takes bytes, in memory first and in an unlinked file once they outgrow it.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    memory_bytes_max: usize,
    memory: Vec<u8>,
    file: Option<File>,
    bytes: u64,
}

impl Spool {
    /// An empty one that spills into `dir` past `memory_bytes_max`.
    pub fn new(dir: impl Into<PathBuf>, memory_bytes_max: usize) -> Self {
        Self {
            dir: dir.into(),
            memory_bytes_max,
            memory: Vec::new(),
            file: None,
            bytes: 0,
        }
    }

    /// Makes room for a body whose size is known; one that goes to disk needs none.
    pub fn expect(&mut self, bytes: u64) {
        if let Some(bytes) = usize::try_from(bytes).ok()
            && bytes <= self.memory_bytes_max
        {
            self.memory.reserve_exact(bytes);
        }
    }

    /// How many bytes were taken.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// All bytes, from memory or mapped.
    ///
    /// # Errors
    /// Where the file cannot be mapped.
    pub fn finish(self) -> io::Result<Bytes> {
        match self.file {
            None => Ok(Bytes::from(self.memory)),
            Some(file) => map(&file),
        }
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &mut self.file {
            Some(file) => file.write(bytes)?,
            None if self.memory.len() + bytes.len() <= self.memory_bytes_max => {
                self.memory.extend_from_slice(bytes);
                bytes.len()
            }
            None => {
                let mut file = tempfile::tempfile_in(&self.dir)?;
                file.write_all(&self.memory)?;
                self.memory = Vec::new();
                file.write_all(bytes)?;
                self.file = Some(file);
                bytes.len()
            }
        };
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Moves bytes out of memory: they live in an unlinked file in `dir` until the
/// last copy of the answer is dropped.
///
/// # Errors
/// Where the file cannot be made, written or mapped.
pub fn spill(dir: &Path, bytes: &[u8]) -> io::Result<Bytes> {
    if bytes.is_empty() {
        return Ok(Bytes::new());
    }
    let mut file = tempfile::tempfile_in(dir)?;
    file.write_all(bytes)?;
    map(&file)
}

#[expect(
    unsafe_code,
    reason = "mapping is undefined only where the file changes while it is mapped. This one was \
              made by `tempfile_in`: it has no name, its only descriptor is the one given here, \
              nothing writes or truncates after this point, and the descriptor is closed next, \
              so that no other code can reach the file"
)]
fn map(file: &File) -> io::Result<Bytes> {
    // SAFETY: the reason above.
    let map = unsafe { memmap2::Mmap::map(file) }?;
    Ok(Bytes::from_owner(map))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn bytes_past_the_memory_limit_come_back_from_a_file_without_a_name() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(dir.path(), 10);
        for chunk in [&b"0123456"[..], b"789", b"abc", b"", b"defg"] {
            spool.write_all(chunk).unwrap();
        }
        assert!(spool.file.is_some());
        assert_eq!(spool.bytes(), 17);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        assert_eq!(spool.finish().unwrap(), &b"0123456789abcdefg"[..]);
    }

    #[test]
    fn small_and_empty_bodies_touch_no_disk() {
        let nowhere = Path::new("/nonexistent");
        let mut spool = Spool::new(nowhere, 10);
        spool.write_all(b"0123456789").unwrap();
        assert_eq!(spool.finish().unwrap(), &b"0123456789"[..]);
        assert!(spill(nowhere, b"").unwrap().is_empty());
    }

    #[test]
    fn a_spilled_body_outlives_its_directory() {
        let dir = tempfile::tempdir().unwrap();
        let body = spill(dir.path(), b"kept").unwrap();
        drop(dir);
        assert_eq!(body.slice(1..), &b"ept"[..]);
    }
}
