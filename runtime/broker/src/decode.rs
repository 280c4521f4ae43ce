//! Bodies while they come: decoded, counted, and stopped at the caps. Memory is that
//! of one decoder's window and of the spool, whatever the peer sends.

use crate::spool::Spool;
use crate::{Config, Error, FetchFault};
use brotli_decompressor::DecompressorWriter;
use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use std::io::{self, Write};
use zstd::stream::{raw, zio};

/// What `accept-encoding` says.
pub(crate) const ACCEPTED: &str = "gzip, br, zstd";
/// Below this, no ratio is suspicious.
const RATIO_FROM_BYTES: u64 = 1 << 20;
/// 8 MiB: what RFC 9659 lets the coding `zstd` use. Brotli ends at 16 MiB by itself.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
const BROTLI_BUFFER_BYTES: usize = 16 << 10;

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
    Brotli,
    Zstd,
}

impl Encoding {
    /// One coding that was asked for, or none.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, FetchFault> {
        let mut named = headers.get_all(CONTENT_ENCODING).iter();
        let first = named.next().map(|value| value.as_bytes().trim_ascii());
        let first = first.map(<[u8]>::to_ascii_lowercase);
        match (first.as_deref(), named.next()) {
            (None | Some(b"" | b"identity"), None) => Ok(Encoding::Identity),
            (Some(b"gzip" | b"x-gzip"), None) => Ok(Encoding::Gzip),
            (Some(b"br"), None) => Ok(Encoding::Brotli),
            (Some(b"zstd"), None) => Ok(Encoding::Zstd),
            _ => Err(FetchFault::Protocol(
                "the body has an encoding that was not asked for".to_owned(),
            )),
        }
    }
}

/// The end of a body.
pub(crate) struct Decoder {
    unpack: Unpack,
    /// An answer without a body may still name an encoding.
    empty: bool,
}

enum Unpack {
    Identity(Box<Sink>),
    Gzip(Box<MultiGzDecoder<Sink>>),
    Brotli(Box<DecompressorWriter<Sink>>),
    Zstd(Box<zio::Writer<Sink, raw::Decoder<'static>>>),
}

impl Decoder {
    /// `expected_bytes` is what `content-length` says.
    pub(crate) fn new(
        encoding: Encoding,
        config: &Config,
        bytes_max: u64,
        expected_bytes: Option<u64>,
    ) -> Result<Self, FetchFault> {
        let mut sink = Sink::new(config, bytes_max);
        let unpack = match encoding {
            Encoding::Identity => {
                if expected_bytes.is_some_and(|bytes| bytes > bytes_max) {
                    return Err(FetchFault::TooLarge(bytes_max));
                }
                sink.spool.expect(expected_bytes.unwrap_or(0));
                Unpack::Identity(Box::new(sink))
            }
            Encoding::Gzip => Unpack::Gzip(Box::new(MultiGzDecoder::new(sink))),
            Encoding::Brotli => {
                Unpack::Brotli(Box::new(DecompressorWriter::new(sink, BROTLI_BUFFER_BYTES)))
            }
            Encoding::Zstd => {
                let decoder = zstd_decoder().map_err(|error| sink.fault(error))?;
                Unpack::Zstd(Box::new(zio::Writer::new(sink, decoder)))
            }
        };
        Ok(Self {
            unpack,
            empty: true,
        })
    }

    /// The next piece, as it came.
    pub(crate) fn take(&mut self, chunk: &[u8]) -> Result<(), FetchFault> {
        self.empty &= chunk.is_empty();
        let sink = self.sink();
        sink.received += chunk.len() as u64;
        // Packed pieces may go on for ever and hold nothing.
        if sink.received > sink.bytes_max {
            return Err(FetchFault::TooLarge(sink.bytes_max));
        }
        let taken = match &mut self.unpack {
            Unpack::Identity(sink) => sink.write_all(chunk),
            Unpack::Gzip(decoder) => decoder.write_all(chunk),
            Unpack::Brotli(decoder) => decoder.write_all(chunk),
            Unpack::Zstd(decoder) => decoder.write_all(chunk),
        };
        taken.map_err(|error| self.sink().fault(error))
    }

    /// The whole body, if it is one.
    pub(crate) fn finish(mut self) -> Result<Bytes, FetchFault> {
        if self.empty {
            return Ok(Bytes::new());
        }
        let ended = match &mut self.unpack {
            Unpack::Identity(_) => Ok(()),
            Unpack::Gzip(decoder) => decoder.try_finish(),
            Unpack::Brotli(decoder) => decoder.close(),
            Unpack::Zstd(decoder) => decoder.finish(),
        };
        ended.map_err(|error| self.sink().fault(error))?;
        let cut = || FetchFault::Protocol("the body was cut".to_owned());
        let sink = match self.unpack {
            Unpack::Identity(sink) => *sink,
            Unpack::Gzip(decoder) => decoder.finish().map_err(|_| cut())?,
            Unpack::Brotli(decoder) => decoder.into_inner().map_err(|_| cut())?,
            Unpack::Zstd(decoder) => decoder.into_inner().0,
        };
        let finished = sink.spool.finish();
        finished.map_err(|error| FetchFault::Host(Error::Spool(error)))
    }

    fn sink(&mut self) -> &mut Sink {
        match &mut self.unpack {
            Unpack::Identity(sink) => sink,
            Unpack::Gzip(decoder) => decoder.get_mut(),
            Unpack::Brotli(decoder) => decoder.get_mut(),
            Unpack::Zstd(decoder) => decoder.writer_mut(),
        }
    }
}

fn zstd_decoder() -> io::Result<raw::Decoder<'static>> {
    let mut decoder = raw::Decoder::new()?;
    decoder.set_parameter(raw::DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))?;
    Ok(decoder)
}

/// Counts what comes out of the decoder, and stops it at the caps.
struct Sink {
    spool: Spool,
    bytes_max: u64,
    ratio_max: u64,
    received: u64,
    excess: bool,
    disk: bool,
}

impl Sink {
    fn new(config: &Config, bytes_max: u64) -> Self {
        Self {
            spool: Spool::new(&config.spool_dir, config.body_memory_bytes_max),
            bytes_max,
            ratio_max: config.decompression_ratio_max,
            received: 0,
            excess: false,
            disk: false,
        }
    }

    /// What an error of the decoder stands for.
    fn fault(&self, error: io::Error) -> FetchFault {
        if self.excess {
            FetchFault::TooLarge(self.bytes_max)
        } else if self.disk {
            FetchFault::Host(Error::Spool(error))
        } else {
            FetchFault::Protocol("the compressed body is broken or cut".to_owned())
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let decoded = self.spool.bytes() + bytes.len() as u64;
        let ratio = decoded / self.received.max(1);
        if decoded > self.bytes_max || (decoded > RATIO_FROM_BYTES && ratio > self.ratio_max) {
            self.excess = true;
            return Err(io::Error::other("larger than allowed"));
        }
        let written = self.spool.write(bytes);
        self.disk = written.is_err();
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.spool.flush()
    }
}
