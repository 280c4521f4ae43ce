//! Clients and what they are subscribed to: who is known, until when.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::generate::mix;
use crate::salesforce::cometd::channel::Channel;

/// A channel with the replay id that a client has reached on it.
#[derive(Clone, Debug)]
pub(crate) struct Subscription {
    /// As the client wrote it, for the events that come over it.
    pub(crate) name: String,
    pub(crate) channel: Channel,
    pub(crate) reached: u64,
}

#[derive(Debug)]
pub(crate) struct Session {
    /// What the `BAYEUX_BROWSER` cookie must say.
    pub(crate) cookie: String,
    pub(crate) subscriptions: Vec<Subscription>,
    /// Connects so far; the newest one is the one that is held.
    pub(crate) connects: u64,
    /// Whether a connect is held, or when the last answer went out.
    seen: Seen,
}

#[derive(Clone, Copy, Debug)]
enum Seen {
    Connected,
    At(Instant),
}

/// The known clients.
#[derive(Debug)]
pub(crate) struct Sessions {
    seed: u64,
    serial: u64,
    known: HashMap<String, Session>,
}

impl Sessions {
    pub(crate) fn new(seed: u64) -> Sessions {
        Sessions {
            seed,
            serial: 0,
            known: HashMap::new(),
        }
    }

    /// A new client; returns its id.
    pub(crate) fn open(&mut self, cookie: Option<&str>, now: Instant) -> String {
        let client = self.secret();
        let cookie = cookie.map_or_else(|| self.secret(), str::to_owned);
        let session = Session {
            cookie,
            subscriptions: Vec::new(),
            connects: 0,
            seen: Seen::At(now),
        };
        self.known.insert(client.clone(), session);
        client
    }

    /// A client that came back in time; others are forgotten.
    pub(crate) fn find(
        &mut self,
        client: &str,
        now: Instant,
        patience: Duration,
    ) -> Option<&mut Session> {
        let session = self.known.get(client)?;
        let late = matches!(session.seen, Seen::At(last) if now.duration_since(last) > patience);
        if late {
            self.known.remove(client);
        }
        self.known.get_mut(client)
    }

    /// A connect begins; returns its number.
    pub(crate) fn connect(session: &mut Session) -> u64 {
        session.connects += 1;
        session.seen = Seen::Connected;
        session.connects
    }

    /// A connect was answered, or its client left. An older one changes nothing: the
    /// newer is still held.
    pub(crate) fn disconnect(&mut self, client: &str, connect: u64, now: Instant) {
        if let Some(session) = self.known.get_mut(client)
            && session.connects == connect
        {
            session.seen = Seen::At(now);
        }
    }

    pub(crate) fn close(&mut self, client: &str) {
        self.known.remove(client);
    }

    /// Forgets everyone, as a server does that starts anew.
    pub(crate) fn forget(&mut self) {
        self.known.clear();
    }

    /// An id that cannot be guessed from others.
    fn secret(&mut self) -> String {
        self.serial += 1;
        let (high, low) = (
            mix(self.seed ^ mix(self.serial)),
            mix(mix(self.seed) ^ self.serial),
        );
        format!("{high:016x}{low:08x}")
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Sessions;

    const PATIENCE: Duration = Duration::from_secs(40);

    #[test]
    fn a_client_is_forgotten_when_it_stays_away_too_long_but_not_while_connected() {
        let mut sessions = Sessions::new(1);
        let start = Instant::now();
        let client = sessions.open(None, start);
        let later = start + PATIENCE;
        let session = sessions.find(&client, later, PATIENCE).unwrap();
        let connect = Sessions::connect(session);
        let answered = later + 3 * PATIENCE;
        assert!(sessions.find(&client, answered, PATIENCE).is_some());
        sessions.disconnect(&client, connect, answered);
        let back = answered + PATIENCE;
        assert!(sessions.find(&client, back, PATIENCE).is_some());
        let late = back + Duration::from_millis(1);
        assert!(sessions.find(&client, late, PATIENCE).is_none());
        assert!(
            sessions.find(&client, start, PATIENCE).is_none(),
            "forgotten for good"
        );
    }

    #[test]
    fn the_end_of_an_older_connect_leaves_the_newer_one_alone() {
        let mut sessions = Sessions::new(1);
        let start = Instant::now();
        let client = sessions.open(None, start);
        let older = Sessions::connect(sessions.find(&client, start, PATIENCE).unwrap());
        Sessions::connect(sessions.find(&client, start, PATIENCE).unwrap());
        sessions.disconnect(&client, older, start);
        assert!(
            sessions
                .find(&client, start + 3 * PATIENCE, PATIENCE)
                .is_some()
        );
    }

    #[test]
    fn ids_and_cookies_are_all_different() {
        let mut sessions = Sessions::new(1);
        let now = Instant::now();
        let (first, second) = (sessions.open(None, now), sessions.open(None, now));
        let cookie = |sessions: &mut Sessions, client: &str| {
            sessions.find(client, now, PATIENCE).unwrap().cookie.clone()
        };
        assert_ne!(first, second);
        assert_ne!(
            cookie(&mut sessions, &first),
            cookie(&mut sessions, &second)
        );
        let third = sessions.open(Some("kept"), now);
        assert_eq!(cookie(&mut sessions, &third), "kept");
    }
}
