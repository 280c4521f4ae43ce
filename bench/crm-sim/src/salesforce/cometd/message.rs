//! Bayeux messages: what a client may send, and how it is answered.

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// One message of a client. What it leaves out is checked where it is needed.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Message {
    pub(crate) channel: String,
    /// Echoed as it is, whatever its type.
    #[serde(default)]
    pub(crate) id: Option<Value>,
    #[serde(default)]
    pub(crate) client_id: Option<String>,
    #[serde(default)]
    pub(crate) subscription: Option<Value>,
    #[serde(default)]
    pub(crate) version: Option<String>,
    #[serde(default)]
    pub(crate) supported_connection_types: Vec<String>,
    #[serde(default)]
    pub(crate) connection_type: Option<String>,
    #[serde(default)]
    pub(crate) ext: Value,
}

impl Message {
    /// The messages of a body: an array of them, or one alone.
    pub(crate) fn read(body: &[u8]) -> Option<Vec<Message>> {
        let value: Value = serde_json::from_slice(body).ok()?;
        let list = match value {
            Value::Array(list) => list,
            one => vec![one],
        };
        list.into_iter()
            .map(|message| serde_json::from_value(message).ok())
            .collect()
    }

    /// The channels that a subscription names: one, or several at once.
    pub(crate) fn subscriptions(&self) -> Vec<String> {
        match &self.subscription {
            Some(Value::String(name)) => vec![name.clone()],
            Some(Value::Array(names)) => {
                let names = names.iter().filter_map(Value::as_str);
                names.map(str::to_owned).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Where to start on a channel: only new events, unless the client says otherwise.
    pub(crate) fn replay_from(&self, channel: &str) -> i64 {
        let replay = self
            .ext
            .get("replay")
            .and_then(|replay| replay.get(channel));
        replay.and_then(Value::as_i64).unwrap_or(-1)
    }

    /// The answer that it worked.
    pub(crate) fn accept(&self) -> Answer {
        self.answer(true)
    }

    /// The answer that it did not, as `CODE:arguments:message`.
    pub(crate) fn refuse(&self, error: &str) -> Answer {
        self.answer(false).with("error", json!(error))
    }

    fn answer(&self, successful: bool) -> Answer {
        let mut answer = Map::new();
        if let Some(client) = &self.client_id {
            answer.insert("clientId".to_owned(), json!(client));
        }
        answer.insert("channel".to_owned(), json!(self.channel));
        if let Some(id) = &self.id {
            answer.insert("id".to_owned(), id.clone());
        }
        if let Some(subscription) = &self.subscription {
            answer.insert("subscription".to_owned(), subscription.clone());
        }
        answer.insert("successful".to_owned(), json!(successful));
        Answer(answer)
    }
}

/// One message of the server.
#[derive(Clone, Debug)]
pub(crate) struct Answer(Map<String, Value>);

impl Answer {
    pub(crate) fn with(mut self, name: &str, value: Value) -> Answer {
        self.0.insert(name.to_owned(), value);
        self
    }

    /// Tells the client what to do next: `retry`, `handshake` or `none`.
    pub(crate) fn advise(self, reconnect: &str) -> Answer {
        self.with("advice", json!({"interval": 0, "reconnect": reconnect}))
    }

    pub(crate) fn text(&self) -> String {
        json!(self.0).to_string()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::Message;

    #[test]
    fn ids_are_echoed_whatever_their_type() {
        for id in [json!("1a"), json!(7)] {
            let body = json!({"channel": "/meta/connect", "id": id, "clientId": "c"});
            let messages = Message::read(body.to_string().as_bytes()).unwrap();
            let answer: serde_json::Value =
                serde_json::from_str(&messages[0].accept().text()).unwrap();
            assert_eq!(answer["id"], id);
            assert_eq!(answer["clientId"], "c");
        }
    }

    #[test]
    fn a_body_holds_one_message_or_several_and_nothing_else() {
        let read = |text: &str| Message::read(text.as_bytes()).map(|found| found.len());
        assert_eq!(read(r#"{"channel":"/meta/connect"}"#), Some(1));
        assert_eq!(read(r#"[{"channel":"/a"},{"channel":"/b"}]"#), Some(2));
        assert_eq!(read(r#"[{"id":"1"}]"#), None);
        assert_eq!(read("[7]"), None);
        assert_eq!(read("no JSON"), None);
    }

    #[test]
    fn each_channel_has_its_own_place_to_start() {
        let body = json!({"channel": "/meta/subscribe", "subscription": ["/u/a", "/u/b"],
            "ext": {"replay": {"/u/a": -2}}});
        let messages = Message::read(body.to_string().as_bytes()).unwrap();
        assert_eq!(messages[0].subscriptions(), ["/u/a", "/u/b"]);
        assert_eq!(messages[0].replay_from("/u/a"), -2);
        assert_eq!(messages[0].replay_from("/u/b"), -1);
    }
}
