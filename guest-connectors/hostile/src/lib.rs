//! A connector that misbehaves in the way its configuration names, so that
//! the sandbox's limits can be shown to hold.
//!
//! Behaviours that probe end in `Done` with what each probe was answered;
//! those that must be ended from outside say so.

mod excess;
mod probes;
mod turns;

use serde::Deserialize;
use serde_json::{Value, json};
use tidegate_sdk::prelude::*;

const STREAM: &str = "records";
const ENDPOINT: &str = "api";

struct Hostile;

tidegate_sdk::connector!(Hostile);

#[derive(Deserialize)]
struct Config {
    behaviour: Behaviour,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Behaviour {
    /// Emits three records and is done.
    Ok,
    /// Emits a record, asks to be called again after a while, then emits another.
    Wait,
    /// Gives its place back after each of four records.
    More,
    /// Gives its place back, and never gets anywhere.
    MoreForEver,
    /// Loops for ever.
    Spin,
    /// Takes memory until it is refused.
    Grow,
    /// Emits a record, then traps.
    TrapAfterEmit,
    /// Writes a line of 1 MiB a thousand times.
    LogFlood,
    /// Asks for hosts that the manifest does not name.
    ForbiddenHost,
    /// Sets headers that are the host's, and headers that hold a line break.
    HeaderSmuggling,
    /// Asks a body for pointers that are none.
    BadPointers,
    /// Reads one page and saves one state, for ever.
    StuckCursor,
    /// Saves a state of 2 MiB.
    HugeState,
    /// Emits a record 10,000 arrays deep.
    DeepJson,
    /// Emits into a stream that is not being read.
    UnknownStream,
    /// Saves, then splits.
    SplitAfterSave,
    /// Keeps every body it is given.
    TooManyHandles,
    /// Exits the process.
    Exit,
    /// Panics.
    Panic,
    /// Asks for the time a million times.
    HostFlood,
    /// Emits 64 MiB in one call, or as much of it as memory allows.
    BigNdjson,
}

impl Connector for Hostile {
    type Config = Config;

    fn manifest() -> Manifest {
        Manifest::new("hostile", "Hostile", env!("CARGO_PKG_VERSION"))
            .config_schema(json!({
                "type": "object",
                "properties": {"behaviour": {"type": "string"}},
                "required": ["behaviour"]
            }))
            .endpoint(Endpoint::data(ENDPOINT, "https://hostile.example"))
    }
}

impl Source for Hostile {
    type Cursor = Value;
    type Slice = Value;

    fn check(_host: &Host, _config: &Config) -> Result<(), Failure> {
        Ok(())
    }

    fn discover(_host: &Host, _config: &Config) -> Result<Vec<Stream>, Failure> {
        let schema = json!({"type": "object", "properties": {"id": {"type": "string"}}});
        Ok(vec![Stream::new(STREAM, schema).primary_key("/id")])
    }

    fn plan(_host: &Host, _plan: Plan<Self>) -> Result<Vec<Partition<Value>>, Failure> {
        Ok(vec![Partition::new("all", json!({}))])
    }

    fn read(host: &Host, read: Read<Self>) -> Result<Outcome<Self>, Failure> {
        let stream = read.stream.as_str();
        let told = match read.config.behaviour {
            Behaviour::Ok => {
                let lines = b"{\"id\":\"1\"}\n{\"id\":\"2\"}\n{\"id\":\"3\"}\n";
                json!({"records": host.emit_ndjson(stream, Change::Upsert, lines)?.records})
            }
            Behaviour::Wait => return turns::wait(host, &read),
            Behaviour::More => return turns::more(host, &read),
            Behaviour::MoreForEver => return Ok(Outcome::More),
            Behaviour::Spin => excess::spin(),
            Behaviour::Grow => excess::grow(),
            Behaviour::TrapAfterEmit => excess::trap_after_emit(host, stream)?,
            Behaviour::LogFlood => excess::log_flood(host),
            Behaviour::ForbiddenHost => probes::forbidden_hosts(host),
            Behaviour::HeaderSmuggling => probes::smuggled_headers(host),
            Behaviour::BadPointers => probes::bad_pointers(host, stream)?,
            Behaviour::StuckCursor => excess::stuck_cursor(host, stream)?,
            Behaviour::HugeState => excess::huge_state(host)?,
            Behaviour::DeepJson => excess::deep_json(host, stream),
            Behaviour::UnknownStream => probes::unknown_stream(host),
            Behaviour::SplitAfterSave => {
                host.save(&json!({"saved": true}))?;
                let parts = ["a", "b"].map(|id| Partition::new(id, json!({"part": id})));
                return Ok(Outcome::Split(parts.into()));
            }
            Behaviour::TooManyHandles => excess::too_many_handles(host),
            Behaviour::Exit => std::process::exit(7),
            Behaviour::Panic => panic!("the connector panics, as it was configured to"),
            Behaviour::HostFlood => excess::host_flood(host),
            Behaviour::BigNdjson => excess::big_ndjson(host, stream),
        };
        Ok(Outcome::Done(told))
    }
}

#[cfg(test)]
mod tests;
