//! The host's imports, spoken in the SDK's own types.

use super::bindings::tidegate::connector::{
    checkpoint, clock, emit, http, kv, log, metrics, types::TimestampMs, vault,
};
use crate::{
    Change, Digest, Directive, EmitFault, Encoding, Extraction, HttpFault, KvFault, Level, Request,
    Response, Summary, VaultFault,
};

pub(crate) struct Platform;

#[derive(Debug)]
pub(crate) struct Body(http::Body);

#[derive(Debug)]
pub(crate) struct Pipeline(http::Pipeline);

type Fetched = Result<Response, HttpFault>;

fn fetched(answer: Result<http::Response, http::Fault>) -> Fetched {
    let answer = answer?;
    Ok(Response {
        status: answer.status,
        headers: answer
            .headers
            .into_iter()
            .map(|header| (header.name, header.value))
            .collect(),
        body: crate::Body {
            inner: Body(answer.body),
        },
    })
}

impl Platform {
    pub(crate) fn fetch(&self, request: &Request) -> Fetched {
        fetched(http::fetch(&request.into()))
    }

    pub(crate) fn fetch_many(&self, requests: &[Request], in_flight_max: u32) -> Vec<Fetched> {
        let requests: Vec<http::Request> = requests.iter().map(Into::into).collect();
        http::fetch_many(&requests, in_flight_max)
            .into_iter()
            .map(fetched)
            .collect()
    }

    pub(crate) fn pipeline(&self, in_flight_max: u32) -> Pipeline {
        Pipeline(http::Pipeline::new(in_flight_max))
    }

    pub(crate) fn emit_body(
        &self,
        stream: &str,
        body: &Body,
        how: &Extraction,
    ) -> Result<Summary, EmitFault> {
        Ok(emit::from_body(stream, &body.0, &how.into())?.into())
    }

    pub(crate) fn emit_ndjson(
        &self,
        stream: &str,
        kind: Change,
        lines: &[u8],
    ) -> Result<Summary, EmitFault> {
        Ok(emit::ndjson(stream, kind.into(), lines)?.into())
    }

    pub(crate) fn emit_deletes(
        &self,
        stream: &str,
        keys: &[String],
        at_ms: Option<TimestampMs>,
    ) -> Result<Summary, EmitFault> {
        Ok(emit::deletes(stream, keys, at_ms)?.into())
    }

    pub(crate) fn save(&self, state: &str) -> Directive {
        checkpoint::save(state).into()
    }

    pub(crate) fn poll(&self) -> Directive {
        checkpoint::poll().into()
    }

    pub(crate) fn lag(&self, lag_ms: u64) {
        checkpoint::lag(lag_ms);
    }

    pub(crate) fn now_ms(&self) -> u64 {
        clock::now()
    }

    pub(crate) fn elapsed_ms(&self) -> u64 {
        clock::elapsed_ms()
    }

    pub(crate) fn remaining_ms(&self) -> u64 {
        clock::remaining_ms()
    }

    pub(crate) fn log(&self, level: Level, message: &str, fields: &[(&str, &str)]) {
        log::write(level.into(), message, &labels(fields));
    }

    pub(crate) fn log_enabled(&self, level: Level) -> bool {
        log::enabled(level.into())
    }

    pub(crate) fn count(&self, name: &str, delta: f64, fields: &[(&str, &str)]) {
        metrics::add(name, delta, &labels(fields));
    }

    pub(crate) fn observe(&self, name: &str, value: f64, fields: &[(&str, &str)]) {
        metrics::observe(name, value, &labels(fields));
    }

    pub(crate) fn hint(&self, key: &str) -> Result<Option<Vec<u8>>, KvFault> {
        Ok(kv::get(key)?)
    }

    pub(crate) fn keep_hint(&self, key: &str, value: &[u8]) -> Result<(), KvFault> {
        Ok(kv::set(key, value)?)
    }

    pub(crate) fn forget_hint(&self, key: &str) -> Result<(), KvFault> {
        Ok(kv::remove(key)?)
    }

    pub(crate) fn hint_keys(&self, prefix: &str, limit: u32) -> Result<Vec<String>, KvFault> {
        Ok(kv::keys(prefix, limit)?)
    }

    pub(crate) fn sign(
        &self,
        secret: &str,
        digest: Digest,
        message: &[u8],
        encoding: Encoding,
    ) -> Result<String, VaultFault> {
        Ok(vault::sign(
            secret,
            digest.into(),
            message,
            encoding.into(),
        )?)
    }

    pub(crate) fn verify(
        &self,
        secret: &str,
        digest: Digest,
        message: &[u8],
        encoding: Encoding,
        signature: &str,
    ) -> Result<bool, VaultFault> {
        Ok(vault::verify(
            secret,
            digest.into(),
            message,
            encoding.into(),
            signature,
        )?)
    }
}

fn labels(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

impl Body {
    pub(crate) fn size(&self) -> u64 {
        self.0.size()
    }

    pub(crate) fn bytes(&self) -> Result<Vec<u8>, HttpFault> {
        Ok(self.0.bytes()?)
    }

    pub(crate) fn slice(&self, offset: u64, length: u32) -> Result<Vec<u8>, HttpFault> {
        Ok(self.0.slice(offset, length)?)
    }

    pub(crate) fn text(&self) -> Result<String, HttpFault> {
        Ok(self.0.text()?)
    }

    pub(crate) fn get(&self, pointer: &str) -> Result<Option<String>, HttpFault> {
        Ok(self.0.get(pointer)?)
    }

    pub(crate) fn get_many(&self, pointers: &[&str]) -> Result<Vec<Option<String>>, HttpFault> {
        let pointers: Vec<String> = pointers
            .iter()
            .map(|pointer| (*pointer).to_owned())
            .collect();
        Ok(self.0.get_many(&pointers)?)
    }

    pub(crate) fn count(&self, pointer: &str) -> Result<Option<u32>, HttpFault> {
        Ok(self.0.count(pointer)?)
    }
}

impl Pipeline {
    pub(crate) fn submit(&self, request: &Request) -> u32 {
        self.0.submit(&request.into())
    }

    pub(crate) fn next(&self) -> Option<(u32, Fetched)> {
        self.0
            .next()
            .map(|(ticket, answer)| (ticket, fetched(answer)))
    }

    pub(crate) fn pending(&self) -> u32 {
        self.0.pending()
    }
}
