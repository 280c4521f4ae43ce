//! Bayeux over long polling, as Salesforce speaks it: a session is shaken hands for,
//! subscribed to one channel and asked again and again. What is in the events stays in
//! the host; of each only its header is looked at.

use serde_json::{Value, json};
use tidegate_sdk::{HttpFault, prelude::*};

use crate::server_now_ms;

/// Where the streaming API lies.
pub(crate) const STREAMING: &str = "/cometd/62.0";
/// Salesforce holds a connect for 110 seconds; an answer that takes longer does not come.
const HELD_MS_MAX: u32 = 130_000;
/// From now on, where no event is known to go on from.
const NEW_ONLY: i64 = -1;
/// Messages of an answer that are looked at in one crossing.
const MESSAGES_AT_ONCE: usize = 100;
/// Characters of an error that are passed on.
const ERROR_CHARS_MAX: usize = 300;

/// Why a session does not go on.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It is gone, or the way to it is; another may be had.
    Lost(String),
    /// The event to go on from is kept no longer.
    Stale(String),
    /// The token is no good for it.
    Auth(String),
    /// No more clients or events are to be had for now.
    Full(String),
    /// Salesforce is busy for a moment.
    Busy(String),
    /// There is no such channel for this user.
    Refused(String),
    /// The host wants the slot back.
    Stopping,
    /// Nothing about the session.
    Failed(Failure),
}

impl From<HttpFault> for Trouble {
    fn from(fault: HttpFault) -> Self {
        match fault {
            HttpFault::Cancelled => Self::Stopping,
            HttpFault::Dns(text)
            | HttpFault::Connect(text)
            | HttpFault::Tls(text)
            | HttpFault::Timeout(text)
            | HttpFault::Protocol(text) => Self::Lost(text),
            HttpFault::Auth(text) => Self::Auth(text),
            other => Self::Failed(other.into()),
        }
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// What an event says of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// They are there, or are again.
    Written,
    /// They were deleted.
    Deleted,
    /// Too many changed to name them.
    Unnamed,
}

/// The header of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) replay: i64,
    pub(crate) change: Change,
    pub(crate) committed_ms: u64,
    pub(crate) ids: Vec<String>,
}

/// What a connect brought.
pub(crate) struct Heard {
    /// In the order in which they were committed.
    pub(crate) events: Vec<Event>,
    /// Salesforce's time.
    pub(crate) now_ms: u64,
}

/// A session, subscribed or about to be.
pub(crate) struct Client<'a> {
    host: &'a Host,
    auth: &'a str,
    channel: String,
    id: String,
}

impl<'a> Client<'a> {
    /// A new session.
    pub(crate) fn handshake(host: &'a Host, auth: &'a str, object: &str) -> Result<Self, Trouble> {
        let mut client = Self {
            host,
            auth,
            channel: channel(object),
            id: String::new(),
        };
        let answer = client.post(json!({
            "channel": "/meta/handshake",
            "version": "1.0",
            "minimumVersion": "1.0",
            "supportedConnectionTypes": ["long-polling"],
        }))?;
        accepted(&answer.body, 0)?;
        let id = answer.body.plain("/0/clientId")?;
        client.id = id.ok_or_else(|| protocol("a handshake without a client's id"))?;
        Ok(client)
    }

    /// Subscribes to the changes after an event, or from now on; Salesforce's time.
    pub(crate) fn subscribe(&self, after: Option<i64>) -> Result<u64, Trouble> {
        let channel = self.channel.as_str();
        let answer = self.post(json!({
            "channel": "/meta/subscribe",
            "clientId": self.id,
            "subscription": channel,
            "ext": {"replay": {channel: after.unwrap_or(NEW_ONLY)}},
        }))?;
        accepted(&answer.body, 0)?;
        Ok(server_now_ms(self.host, &answer))
    }

    /// Waits for events, as long as Salesforce holds the connection.
    pub(crate) fn connect(&self) -> Result<Heard, Trouble> {
        let answer = self.post(json!({
            "channel": "/meta/connect",
            "clientId": self.id,
            "connectionType": "long-polling",
        }))?;
        let channels = messages(&answer.body)?;
        let reply = channels.iter().position(|name| name == "/meta/connect");
        let reply = reply.ok_or_else(|| protocol("a connect was not answered"))?;
        accepted(&answer.body, reply)?;
        let of_events = channels.iter().enumerate();
        let of_events = of_events.filter(|(_, name)| **name == self.channel);
        let at: Vec<usize> = of_events.map(|(at, _)| at).collect();
        Ok(Heard {
            events: events(&answer.body, &at)?,
            now_ms: server_now_ms(self.host, &answer),
        })
    }

    /// Ends the session; that it ends by itself too makes a failure nobody's business.
    pub(crate) fn leave(&self) {
        let left = self.post(json!({"channel": "/meta/disconnect", "clientId": self.id}));
        drop(left);
    }

    fn post(&self, message: Value) -> Result<Response, Trouble> {
        let mut request = Request::post("streaming", STREAMING)
            .json(&json!([message]))
            .auth(self.auth)
            .bucket("streaming");
        request.timeout_ms = Some(HELD_MS_MAX);
        let answer = self.host.fetch(&request)?;
        let text = || format!("Salesforce answered {}", answer.status);
        match answer.status {
            200..=299 => Ok(answer),
            401 => Err(Trouble::Auth(text())),
            403 | 404 => Err(Trouble::Refused(text())),
            _ => Err(Trouble::Lost(text())),
        }
    }
}

/// `/data/AccountChangeEvent`, `/data/Thing__ChangeEvent`.
fn channel(object: &str) -> String {
    match object.strip_suffix("__c") {
        Some(name) => format!("/data/{name}__ChangeEvent"),
        None => format!("/data/{object}ChangeEvent"),
    }
}

fn protocol(text: &str) -> Trouble {
    Trouble::Failed(Failure::Protocol(format!("the streaming API sent {text}")))
}

/// The channels of an answer's messages, in their order.
fn messages(body: &Body) -> Result<Vec<String>, Trouble> {
    let mut found = Vec::new();
    loop {
        let some = found.len()..found.len() + MESSAGES_AT_ONCE;
        let pointers: Vec<String> = some.map(|at| format!("/{at}/channel")).collect();
        let names = many(body, &pointers)?;
        let whole = names.iter().all(Option::is_some);
        found.extend(names.into_iter().map_while(|name| name));
        if !whole {
            return Ok(found);
        }
    }
}

fn many(body: &Body, pointers: &[String]) -> Result<Vec<Option<String>>, Trouble> {
    let pointers: Vec<&str> = pointers.iter().map(String::as_str).collect();
    let found = body.get_many(&pointers)?;
    let text = |raw: String| match serde_json::from_str(&raw) {
        Ok(Value::String(text)) => text,
        _ => raw,
    };
    Ok(found.into_iter().map(|raw| raw.map(text)).collect())
}

/// The headers of the messages at these places.
fn events(body: &Body, at: &[usize]) -> Result<Vec<Event>, Trouble> {
    let mut events = Vec::with_capacity(at.len());
    for some in at.chunks(MESSAGES_AT_ONCE) {
        let of = |at: &usize| {
            let header = format!("/{at}/data/payload/ChangeEventHeader");
            [
                format!("/{at}/data/event/replayId"),
                format!("{header}/changeType"),
                format!("{header}/commitTimestamp"),
            ]
        };
        let pointers: Vec<String> = some.iter().flat_map(of).collect();
        let found = many(body, &pointers)?;
        for (at, header) in some.iter().zip(found.chunks(3)) {
            events.push(event(body, *at, header)?);
        }
    }
    Ok(events)
}

fn event(body: &Body, at: usize, header: &[Option<String>]) -> Result<Event, Trouble> {
    let [replay, kind, committed] = header else {
        return Err(protocol("an event without a header"));
    };
    let replay = replay.as_deref().and_then(|text| text.parse().ok());
    let committed = committed.as_deref().and_then(|text| text.parse().ok());
    let (Some(replay), Some(committed_ms), Some(kind)) = (replay, committed, kind) else {
        return Err(protocol("an event without its place or its time"));
    };
    let pointer = format!("/{at}/data/payload/ChangeEventHeader/recordIds");
    let count = body.count(&pointer)?.unwrap_or_default();
    let pointers: Vec<String> = (0..count).map(|id| format!("{pointer}/{id}")).collect();
    let ids: Vec<String> = many(body, &pointers)?.into_iter().flatten().collect();
    // Some kinds name all records of an object, or a part of them by `001*`.
    let is_id = |id: &String| id.len() == 18 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let change = match kind.strip_prefix("GAP_").unwrap_or(kind) {
        "OVERFLOW" => Change::Unnamed,
        _ if ids.is_empty() || !ids.iter().all(is_id) => Change::Unnamed,
        "DELETE" => Change::Deleted,
        // Kinds that are not known yet change records too.
        _ => Change::Written,
    };
    Ok(Event {
        replay,
        change,
        committed_ms,
        ids,
    })
}

/// Whether the message at this place says that it worked, and what its error means.
fn accepted(body: &Body, at: usize) -> Result<(), Trouble> {
    let pointers = [
        format!("/{at}/successful"),
        format!("/{at}/error"),
        format!("/{at}/ext/sfdc/failureReason"),
        format!("/{at}/advice/reconnect"),
    ];
    let found = many(body, &pointers)?;
    let said = |at: usize| found.get(at).and_then(Option::as_deref);
    if said(0) == Some("true") {
        return Ok(());
    }
    // A handshake says only that it is denied, and elsewhere why.
    let error = said(2).or(said(1)).unwrap_or("no reason given");
    Err(meaning(error, said(3) == Some("handshake")))
}

fn meaning(error: &str, is_to_shake_hands: bool) -> Trouble {
    let text: String = error.chars().take(ERROR_CHARS_MAX).collect();
    let has = |part: &str| error.contains(part);
    if error.starts_with("401") {
        Trouble::Auth(text)
    } else if has("replayId") && has("invalid") {
        Trouble::Stale(text)
    } else if is_to_shake_hands || has("Unknown client") || has("established a session") {
        Trouble::Lost(text)
    } else if error.starts_with("503") || has("too busy") {
        Trouble::Busy(text)
    } else if has("limit exceeded") {
        Trouble::Full(text)
    } else {
        Trouble::Refused(text)
    }
}

#[cfg(test)]
mod tests {
    use super::{Trouble, channel, meaning};

    #[test]
    fn custom_objects_have_channels_of_their_own_form() {
        assert_eq!(channel("Account"), "/data/AccountChangeEvent");
        assert_eq!(channel("Thing__c"), "/data/Thing__ChangeEvent");
    }

    #[test]
    fn each_error_means_what_is_to_be_done_about_it() {
        let kind = |error: &str| match meaning(error, false) {
            Trouble::Lost(_) => "lost",
            Trouble::Stale(_) => "stale",
            Trouble::Auth(_) => "auth",
            Trouble::Full(_) => "full",
            Trouble::Busy(_) => "busy",
            Trouble::Refused(_) => "refused",
            Trouble::Stopping | Trouble::Failed(_) => "other",
        };
        for (error, expected) in [
            ("401::Authentication invalid", "auth"),
            ("401::Request requires authentication", "auth"),
            ("403::Unknown client", "lost"),
            (
                "400::Client 7 has established a session, but no BAYEUX_BROWSER cookie present",
                "lost",
            ),
            (
                "400::The replayId {12} you provided was invalid.  Please provide a valid ID, -2 to replay all events, or -1 to replay only new events.",
                "stale",
            ),
            (
                "503::Server is too busy. Please try your request again later.",
                "busy",
            ),
            (
                "403::Organization total events daily limit exceeded",
                "full",
            ),
            ("403::Organization concurrent user limit exceeded", "full"),
            (
                "403::User not allowed to subscribe CDC without required permissions",
                "refused",
            ),
            ("404::Unknown channel /data/XChangeEvent", "refused"),
        ] {
            assert_eq!(kind(error), expected, "{error}");
        }
        assert!(matches!(meaning("402::Whatever", true), Trouble::Lost(_)));
    }
}
