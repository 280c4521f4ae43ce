//! The streaming API: Bayeux over long polling, with replay. Every answer is what the
//! simulated org would send; time comes from the simulated clock for what is retained,
//! and is real for what clients wait for.

mod bus;
mod channel;
mod event;
mod message;
mod orders;
mod session;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::Instant;

use self::bus::{Bus, InvalidReplayId};
use self::channel::Channel;
pub(crate) use self::event::{Change, ChangeType};
use self::message::{Answer, Message};
use self::orders::Refusal;
pub use self::orders::{Order, Topic};
use self::session::{Session, Sessions, Subscription};
use crate::clock::Clock;

/// How long a connect is held that brings nothing, in milliseconds.
const HOLD_MS: u64 = 110_000;
/// How long a client may stay away between two connects, in milliseconds.
const PATIENCE_MS: u64 = 40_000;
const BROWSER_COOKIE: &str = "BAYEUX_BROWSER";

/// Whose request it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// The token is good.
    Known,
    /// It is not.
    Refused,
    /// There is none.
    Anonymous,
}

/// The org behind the streaming API: its time, and what is committed in it.
#[derive(Clone, Copy)]
pub(crate) struct Org<'a> {
    pub(crate) clock: &'a Clock,
    /// Changes after a number, each with its own, oldest first; a part of them at a time.
    /// Some are nobody's business.
    pub(crate) changes: &'a (dyn Fn(u64) -> Vec<(u64, Option<Change>)> + Send + Sync),
}

/// One request to the streaming API.
pub(crate) struct Call<'a> {
    pub(crate) caller: Caller,
    /// The `Cookie` headers, joined.
    pub(crate) cookies: &'a str,
    pub(crate) body: &'a [u8],
    pub(crate) org: Org<'a>,
}

/// What is answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Messages {
        status: u16,
        set_cookies: Vec<String>,
        body: String,
    },
    /// The connection breaks off without an answer.
    Nothing,
}

/// What clients of the streaming API did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StreamCounters {
    /// Handshakes that worked.
    pub handshakes: u64,
    /// Connects, answered or held.
    pub connects: u64,
    /// Subscriptions that worked.
    pub subscriptions: u64,
    /// Events sent; one that goes over two channels counts twice.
    pub delivered: u64,
    /// Messages that were refused.
    pub refused: u64,
}

/// The streaming API of one org.
#[derive(Debug)]
pub(crate) struct Streaming {
    state: Mutex<State>,
    /// Wakes the held connects.
    news: Notify,
}

#[derive(Debug)]
struct State {
    sessions: Sessions,
    bus: Bus,
    /// Objects that are selected for change events.
    entities: Vec<String>,
    /// Channels of platform and generic events.
    declared: Vec<Channel>,
    topics: Vec<Topic>,
    hold: Duration,
    patience: Duration,
    cookies_required: bool,
    /// Whether connects bring no events, as when the server is behind.
    stalled: bool,
    /// How often the held connects were broken off.
    cuts: u64,
    /// Changes that will come without values.
    gaps: u64,
    refusals: Vec<Refusal>,
    /// The number of the last change that became an event.
    committed: u64,
    counters: StreamCounters,
}

/// What a held connect finds when it looks.
enum Look {
    Answer(String),
    Wait(Instant),
    Cut,
}

impl Streaming {
    /// With change events for these objects.
    pub(crate) fn new(seed: u64, entities: Vec<String>) -> Streaming {
        Streaming {
            state: Mutex::new(State {
                sessions: Sessions::new(seed),
                bus: Bus::new(seed),
                entities,
                declared: Vec::new(),
                topics: Vec::new(),
                hold: Duration::from_millis(HOLD_MS),
                patience: Duration::from_millis(PATIENCE_MS),
                cookies_required: true,
                stalled: false,
                cuts: 0,
                gaps: 0,
                refusals: Vec::new(),
                committed: 0,
                counters: StreamCounters::default(),
            }),
            news: Notify::new(),
        }
    }

    pub(crate) fn counters(&self) -> StreamCounters {
        self.lock().counters
    }

    /// Says that something was committed, so that held connects look.
    pub(crate) fn committed(&self) {
        self.news.notify_waiters();
    }

    /// Answers a request; a connect may take as long as connects are held.
    pub(crate) async fn respond(&self, call: Call<'_>) -> Reply {
        let Some(messages) = Message::read(call.body) else {
            return Reply::Messages {
                status: 400,
                set_cookies: Vec::new(),
                body: json!([{"successful": false, "error": "400::Bad request"}]).to_string(),
            };
        };
        let mut set_cookies = Vec::new();
        let mut answers = Vec::new();
        for message in &messages {
            if message.channel == "/meta/connect" {
                match self.connect(message, &call).await {
                    Some(answer) => answers.push(answer),
                    None => return Reply::Nothing,
                }
            } else {
                let answer = self.answer(message, &call, &mut set_cookies);
                answers.push(answer.text());
            }
        }
        Reply::Messages {
            status: 200,
            set_cookies,
            body: format!("[{}]", answers.join(",")),
        }
    }

    /// Answers what takes no waiting.
    fn answer(&self, message: &Message, call: &Call<'_>, set_cookies: &mut Vec<String>) -> Answer {
        let now = Instant::now();
        let mut state = self.lock();
        state.catch_up(call.org);
        let answer = match message.channel.as_str() {
            "/meta/handshake" => state.handshake(message, call, set_cookies, now),
            "/meta/subscribe" => state.subscribe(message, call, now),
            "/meta/unsubscribe" => state.unsubscribe(message, call, now),
            "/meta/disconnect" => match state.session(message, call, now) {
                Ok(_) => {
                    let client = message.client_id.as_deref().unwrap_or("");
                    state.sessions.close(client);
                    Ok(message.accept())
                }
                Err(refused) => Err(refused),
            },
            _ => Err(message.refuse("403::Publishing is not allowed")),
        };
        drop(state);
        // A client that is gone must not be waited for.
        self.news.notify_waiters();
        answer.unwrap_or_else(|refused| {
            self.lock().counters.refused += 1;
            refused
        })
    }

    /// Answers a connect: the first at once, later ones when there is news, or when they
    /// have been held long enough. `None` when the connection is to break off.
    async fn connect(&self, message: &Message, call: &Call<'_>) -> Option<String> {
        let held = match self.begin_connect(message, call) {
            Ok(held) => held,
            Err(refused) => {
                self.lock().counters.refused += 1;
                return Some(refused.text());
            }
        };
        loop {
            let news = self.news.notified();
            tokio::pin!(news);
            // From here on no news is missed.
            news.as_mut().enable();
            match held.look(message, call.org) {
                Look::Answer(answer) => return Some(answer),
                Look::Cut => return None,
                Look::Wait(until) => {
                    tokio::select! {
                        () = &mut news => {}
                        () = tokio::time::sleep_until(until) => {}
                    }
                }
            }
        }
    }

    fn begin_connect(&self, message: &Message, call: &Call<'_>) -> Result<Held<'_>, Answer> {
        let now = Instant::now();
        let mut state = self.lock();
        let (hold, cuts) = (state.hold, state.cuts);
        if message.connection_type.as_deref() != Some("long-polling") {
            return Err(message.refuse("400::Unsupported connection type"));
        }
        let connect = Sessions::connect(state.session(message, call, now)?);
        state.counters.connects += 1;
        drop(state);
        // An older connect of the same client ends.
        self.news.notify_waiters();
        Ok(Held {
            streaming: self,
            client: message.client_id.clone().unwrap_or_default(),
            connect,
            cuts,
            until: if connect == 1 { now } else { now + hold },
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connect that is held. However it ends, its client's time starts to run.
struct Held<'a> {
    streaming: &'a Streaming,
    client: String,
    connect: u64,
    /// Cuts before it began.
    cuts: u64,
    until: Instant,
}

impl Held<'_> {
    fn look(&self, message: &Message, org: Org<'_>) -> Look {
        let now = Instant::now();
        let mut state = self.streaming.lock();
        if state.cuts != self.cuts {
            return Look::Cut;
        }
        let patience = state.patience;
        let Some(session) = state.sessions.find(&self.client, now, patience) else {
            return Look::Answer(unknown_client(message).text());
        };
        if session.connects != self.connect {
            return Look::Answer(message.accept().text());
        }
        state.catch_up(org);
        let events = state.deliver(&self.client, now, org.clock.now_ms());
        if events.is_empty() && now < self.until {
            return Look::Wait(self.until);
        }
        let mut answer = message.accept();
        if self.connect == 1 {
            let timeout = state.hold.as_millis();
            let advice = json!({"interval": 0, "timeout": timeout, "reconnect": "retry"});
            answer = answer.with("advice", advice);
        }
        let mut answers = events;
        answers.push(answer.text());
        Look::Answer(answers.join(","))
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut state = self.streaming.lock();
        state
            .sessions
            .disconnect(&self.client, self.connect, Instant::now());
    }
}

fn unknown_client(message: &Message) -> Answer {
    message.refuse("403::Unknown client").advise("handshake")
}

/// The value of a cookie.
fn cookie<'a>(cookies: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = cookies
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='));
    pairs
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value)
}

impl State {
    fn handshake(
        &mut self,
        message: &Message,
        call: &Call<'_>,
        set_cookies: &mut Vec<String>,
        now: Instant,
    ) -> Result<Answer, Answer> {
        let denied = |reason: &str| {
            let ext =
                json!({"sfdc": {"failureReason": reason}, "replay": true, "payload.format": true});
            let refused = message.refuse("403::Handshake denied").with("ext", ext);
            refused.with("advice", json!({"reconnect": "none"}))
        };
        match call.caller {
            Caller::Known => {}
            Caller::Refused => return Err(denied("401::Authentication invalid")),
            Caller::Anonymous => return Err(denied("401::Request requires authentication")),
        }
        if let Some(error) = self.refusal() {
            return Err(denied(&error));
        }
        let types = &message.supported_connection_types;
        if message.version.is_none() || !types.iter().any(|name| name == "long-polling") {
            return Err(message.refuse("400::Unsupported version or connection types"));
        }
        let kept = cookie(call.cookies, BROWSER_COOKIE);
        let client = self.sessions.open(kept, now);
        if kept.is_none()
            && let Some(session) = self.sessions.find(&client, now, self.patience)
        {
            set_cookies.push(format!(
                "{BROWSER_COOKIE}={}; Path=/; HttpOnly",
                session.cookie
            ));
            set_cookies.push(format!("sfdc-stream=!{}; Path=/; HttpOnly", session.cookie));
        }
        self.counters.handshakes += 1;
        Ok(message
            .accept()
            .with("clientId", json!(client))
            .with("version", json!("1.0"))
            .with("minimumVersion", json!("1.0"))
            .with("supportedConnectionTypes", json!(["long-polling"]))
            .with("ext", json!({"replay": true, "payload.format": true})))
    }

    /// The client that a message names, if it may speak.
    fn session(
        &mut self,
        message: &Message,
        call: &Call<'_>,
        now: Instant,
    ) -> Result<&mut Session, Answer> {
        match call.caller {
            Caller::Known => {}
            Caller::Refused => {
                return Err(message.refuse("401::Authentication invalid").advise("none"));
            }
            Caller::Anonymous => {
                let error = "401::Request requires authentication";
                return Err(message.refuse(error).advise("none"));
            }
        }
        let client = message.client_id.as_deref().unwrap_or("");
        let patience = self.patience;
        let required = self.cookies_required;
        let Some(session) = self.sessions.find(client, now, patience) else {
            return Err(unknown_client(message));
        };
        match cookie(call.cookies, BROWSER_COOKIE) {
            _ if !required => Ok(session),
            Some(found) if found == session.cookie => Ok(session),
            // Another server of theirs, which knows nothing of this client.
            Some(_) => Err(unknown_client(message)),
            None => Err(message.refuse(&format!(
                "400::Client {client} has established a session, but no {BROWSER_COOKIE} cookie present"
            ))),
        }
    }

    fn subscribe(
        &mut self,
        message: &Message,
        call: &Call<'_>,
        now: Instant,
    ) -> Result<Answer, Answer> {
        self.session(message, call, now)?;
        if let Some(error) = self.refusal() {
            return Err(message.refuse(&error));
        }
        let names = message.subscriptions();
        if names.is_empty() {
            return Err(message.refuse("403::Subscription is missing"));
        }
        let mut subscriptions = Vec::new();
        for name in names {
            let known = Channel::parse(&name).filter(|channel| self.offers(channel));
            let Some(channel) = known else {
                return Err(message.refuse(&format!("404::Unknown channel {name}")));
            };
            let from = message.replay_from(&name);
            let reached = self
                .bus
                .position(from, call.org.clock.now_ms())
                .map_err(|InvalidReplayId(id)| {
                    message.refuse(&format!(
                        "400::The replayId {{{id}}} you provided was invalid.  Please provide a valid ID, -2 to replay all events, or -1 to replay only new events."
                    ))
                })?;
            subscriptions.push(Subscription {
                name,
                channel,
                reached,
            });
        }
        self.counters.subscriptions += subscriptions.len() as u64;
        let session = self.session(message, call, now)?;
        for subscription in subscriptions {
            let others = &mut session.subscriptions;
            others.retain(|known| known.name != subscription.name);
            others.push(subscription);
        }
        Ok(message.accept())
    }

    fn unsubscribe(
        &mut self,
        message: &Message,
        call: &Call<'_>,
        now: Instant,
    ) -> Result<Answer, Answer> {
        let session = self.session(message, call, now)?;
        for name in message.subscriptions() {
            session.subscriptions.retain(|known| known.name != name);
        }
        Ok(message.accept())
    }

    /// Whether there is such a channel.
    fn offers(&self, channel: &Channel) -> bool {
        match channel {
            Channel::AllChanges => true,
            Channel::Changes(entity) => self.entities.contains(entity),
            Channel::Topic(name) => self.topics.iter().any(|topic| topic.name == *name),
            Channel::Platform(_) | Channel::Generic(_) => self.declared.contains(channel),
        }
    }

    /// The events that a client has not seen, as messages; they count as seen now.
    fn deliver(&mut self, client: &str, now: Instant, now_ms: i64) -> Vec<String> {
        if self.stalled {
            return Vec::new();
        }
        let Some(session) = self.sessions.find(client, now, self.patience) else {
            return Vec::new();
        };
        let subscriptions = &mut session.subscriptions;
        let reached: Vec<(Channel, u64)> = subscriptions
            .iter()
            .map(|known| (known.channel.clone(), known.reached))
            .collect();
        let deliveries = self.bus.after(&reached, now_ms);
        self.counters.delivered += deliveries.len() as u64;
        deliveries
            .into_iter()
            .map(|delivery| {
                let subscription = &mut subscriptions[delivery.subscription];
                subscription.reached = delivery.replay_id;
                let channel = json!(subscription.name);
                format!("{{\"data\":{},\"channel\":{channel}}}", delivery.body)
            })
            .collect()
    }

    /// Makes events of what was committed since the last time. Until somebody asks,
    /// nothing is made of it.
    fn catch_up(&mut self, org: Org<'_>) {
        loop {
            let changes = (org.changes)(self.committed);
            if changes.is_empty() {
                return;
            }
            for (number, change) in changes {
                self.committed = number;
                let Some(mut change) = change else {
                    continue;
                };
                if self.gaps > 0 && self.entities.contains(&change.entity) {
                    self.gaps -= 1;
                    change.change_type = change.change_type.gap();
                }
                self.publish_change(&change, change.commit_ms);
            }
        }
    }

    fn publish_change(&mut self, change: &Change, now_ms: i64) {
        if !self.entities.contains(&change.entity) {
            return;
        }
        let commit = self.committed;
        let channel = Channel::Changes(change.entity.clone());
        self.bus.publish(channel, now_ms, |replay_id| {
            event::change(change, commit, replay_id).to_string()
        });
        for topic in &self.topics {
            topic.publish(&mut self.bus, change, now_ms);
        }
    }

    /// The error that was ordered for the next message of its kind.
    fn refusal(&mut self) -> Option<String> {
        let refusal = self.refusals.first_mut()?;
        let error = refusal.error.clone();
        refusal.times = refusal.times.saturating_sub(1);
        self.refusals.retain(|refusal| refusal.times > 0);
        Some(error)
    }
}

#[cfg(test)]
mod tests;
