//! HubSpot contacts the way connectors are usually written: every page is
//! copied into the connector, parsed, and written out again.
//!
//! It is the control beside the blind `hubspot`: a search for a record's
//! content in guest memory must find it here, and a benchmark shows what the
//! copying costs.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tidegate_sdk::{Auth, Directive, prelude::*};

struct Copying;

tidegate_sdk::connector!(Copying);

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Config {
    /// Auth method of the manifest.
    auth: AuthChoice,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AuthChoice {
    #[default]
    Oauth,
    PrivateApp,
}

impl AuthChoice {
    fn name(self) -> &'static str {
        match self {
            Self::Oauth => "oauth",
            Self::PrivateApp => "private_app",
        }
    }
}

/// One page of the list.
#[derive(Deserialize)]
struct Page {
    results: Vec<Value>,
    #[serde(default)]
    paging: Option<Paging>,
}

#[derive(Deserialize)]
struct Paging {
    next: Next,
}

#[derive(Deserialize)]
struct Next {
    after: String,
}

/// The token of the next page; none at the end.
#[derive(Serialize, Deserialize)]
struct Cursor {
    after: Option<String>,
}

impl Connector for Copying {
    type Config = Config;

    fn manifest() -> Manifest {
        let api = "https://api.hubapi.com";
        Manifest::new(
            "copying",
            "HubSpot contacts, copied",
            env!("CARGO_PKG_VERSION"),
        )
        .config_schema(json!({
            "type": "object",
            "properties": {"auth": {"enum": ["oauth", "private_app"], "default": "oauth"}}
        }))
        .endpoint(Endpoint::data("api", api).path("/crm/v3/objects/contacts"))
        .endpoint(Endpoint::metadata("schema", api).path("/account-info/"))
        .auth(
            "oauth",
            Auth::OAuthCode(OAuthCode {
                authorize_url: "https://app.hubspot.com/oauth/authorize".to_owned(),
                token_url: "https://api.hubapi.com/oauth/v1/token".to_owned(),
                scopes: vec!["oauth".to_owned(), "crm.objects.contacts.read".to_owned()],
                pkce: true,
                ..OAuthCode::default()
            }),
        )
        .auth(
            "private_app",
            Auth::key(
                "token",
                Place::Header("authorization".to_owned()),
                "Bearer ",
            ),
        )
        .limit(
            Limit::rolling(110, 10_000)
                .bucket("default")
                .scope(Scope::RemoteAccount),
        )
        .response(ResponseRule::status(429, ResponseClass::ThrottledShort))
        .response(ResponseRule::status(401, ResponseClass::Auth))
        .response(ResponseRule::range(500, 599, ResponseClass::Transient))
    }
}

impl Source for Copying {
    type Cursor = Cursor;
    type Slice = ();

    fn check(host: &Host, config: &Config) -> Result<(), Failure> {
        let request = Request::get("schema", "/account-info/v3/details").auth(config.auth.name());
        host.fetch(&request)?.success().map(drop)
    }

    fn discover(_host: &Host, _config: &Config) -> Result<Vec<Stream>, Failure> {
        let schema = json!({
            "type": "object",
            "properties": {
                "id": {"type": "string"},
                "properties": {"type": "object"},
                "createdAt": {"type": "string", "format": "date-time"},
                "updatedAt": {"type": "string", "format": "date-time"},
                "archived": {"type": "boolean"}
            },
            "required": ["id"]
        });
        Ok(vec![Stream::new("contacts", schema).primary_key("/id")])
    }

    fn plan(_host: &Host, _plan: Plan<Self>) -> Result<Vec<Partition<()>>, Failure> {
        Ok(vec![Partition::new("list", ())])
    }

    fn read(host: &Host, read: Read<Self>) -> Result<Outcome<Self>, Failure> {
        let mut after = read.cursor.as_ref().and_then(|cursor| cursor.after.clone());
        loop {
            let mut request = Request::get("api", "/crm/v3/objects/contacts")
                .query("limit", 100)
                .auth(read.config.auth.name());
            let chosen = read
                .fields
                .iter()
                .filter_map(|field| field.strip_prefix("/properties/"));
            let chosen: Vec<&str> = chosen.collect();
            if !chosen.is_empty() {
                request = request.query("properties", chosen.join(","));
            }
            if let Some(token) = &after {
                request = request.query("after", token);
            }
            let body = host.fetch(&request)?.success()?;
            let page: Page = serde_json::from_slice(&body.bytes()?)?;
            host.emit_ndjson(&read.stream, Change::Upsert, &lines(&page.results)?)?;
            after = page.paging.map(|paging| paging.next.after);
            let cursor = Cursor {
                after: after.clone(),
            };
            if after.is_none() {
                return Ok(Outcome::Done(cursor));
            }
            if read.save(host, &cursor)? != Directive::Proceed {
                return Ok(Outcome::More);
            }
        }
    }
}

fn lines(records: &[Value]) -> Result<Vec<u8>, Failure> {
    let mut lines = Vec::new();
    for record in records {
        serde_json::to_writer(&mut lines, record)?;
        lines.push(b'\n');
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use tidegate_sdk::testing::{Answer, Job, MemoryHost};

    use super::*;

    fn pages() -> MemoryHost {
        MemoryHost::scripted([
            Answer::json(&json!({"results": [{"id": "1"}], "paging": {"next": {"after": "b"}}})),
            Answer::json(&json!({"results": [{"id": "2"}]})),
        ])
    }

    #[test]
    fn records_are_written_out_as_they_were_read() {
        let memory = pages();
        let outcome = memory.run::<Copying>(&Job::new("contacts"), &()).unwrap();
        assert!(matches!(outcome, Outcome::Done(Cursor { after: None })));
        let records: Vec<Value> = memory.emitted().into_iter().map(|it| it.record).collect();
        assert_eq!(records, [json!({"id": "1"}), json!({"id": "2"})]);
        assert_eq!(memory.saves(), [json!({"after": "b"})]);
    }

    #[test]
    fn it_cannot_run_blind() {
        let memory = pages().blind(&Copying::manifest());
        assert!(memory.run::<Copying>(&Job::new("contacts"), &()).is_err());
    }
}
