//! The life of a grant against a model of it: whatever a token endpoint does, in any
//! order, and with the process restarted before each request.

use crate::fixture::{Fixture, fetch, signed};
use crate::server::{Server, reply};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use tidegate_domain::id::{ConnectionId, TenantId};
use tidegate_store::grants::{GrantKey, GrantState};

/// What the token endpoint does with one refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Grant,
    RefuseGrant,
    RefuseApplication,
    Decline,
    BeBusy,
    LoseTheAnswer,
}

#[derive(Default)]
struct Script {
    next: VecDeque<Does>,
    /// In all, the code among them.
    token_requests: u64,
}

/// What the store must hold, and what the endpoint must have seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Model {
    state: GrantState,
    version: u64,
    token_requests: u64,
}

impl Model {
    /// One request of a connector; `does` are the answers to its refreshes.
    fn step(&mut self, does: [Does; 2]) {
        for does in does {
            if self.state == GrantState::NeedsReauth {
                return;
            }
            self.token_requests += 1;
            match (does, self.state) {
                (Does::Grant, _) => {
                    self.state = GrantState::Active;
                    self.version += 1;
                }
                (Does::RefuseGrant, GrantState::Active) => self.state = GrantState::Refused,
                (Does::RefuseGrant, _) => self.state = GrantState::NeedsReauth,
                (Does::LoseTheAnswer, _) => {
                    self.state = GrantState::Unknown;
                    continue; // asked once more with the same token
                }
                (Does::RefuseApplication | Does::Decline | Does::BeBusy, _) => {}
            }
            return;
        }
    }
}

async fn server(script: Arc<Mutex<Script>>) -> Server {
    Server::start(move |seen| {
        let script = Arc::clone(&script);
        async move {
            if seen.path != "/token" {
                return Ok(reply(200, "{}"));
            }
            let does = {
                let mut script = script.lock().unwrap();
                script.token_requests += 1;
                script.next.pop_front().unwrap_or(Does::Grant)
            };
            let pair = r#"{"access_token":"a","refresh_token":"r","expires_in":0}"#;
            match does {
                Does::Grant => Ok(reply(200, pair)),
                Does::RefuseGrant => Ok(reply(400, r#"{"error":"invalid_grant"}"#)),
                Does::RefuseApplication => Ok(reply(401, r#"{"error":"invalid_client"}"#)),
                Does::Decline => Ok(reply(400, r#"{"error":"invalid_scope"}"#)),
                Does::BeBusy => Ok(reply(503, "")),
                Does::LoseTheAnswer => Err(io::Error::other("lost")),
            }
        }
    })
    .await
}

async fn run(steps: Vec<[Does; 2]>) {
    let script = Arc::new(Mutex::new(Script::default()));
    let server = server(Arc::clone(&script)).await;
    let fixture = Fixture::with(&server, |config, _| {
        config.retries_max = 0;
        config.refusal_confirmed_after_ms = 0;
    });
    fixture.authorise(&fixture.session()).await;
    let key = GrantKey {
        tenant: TenantId::parse("acme").unwrap(),
        connection: ConnectionId::parse("crm-1").unwrap(),
        method: "oauth".to_owned(),
    };
    let mut model = Model {
        state: GrantState::Active,
        version: 1,
        token_requests: 1,
    };
    for does in steps {
        script.lock().unwrap().next = does.into();
        let restarted = fixture.second_broker().session(fixture.connection());
        let answer = fetch(&restarted, signed("/v1/x", "oauth")).await;
        let before = model;
        model.step(does);
        let stored = fixture.grants.grant(&key).await.unwrap().unwrap();
        let real = Model {
            state: stored.state,
            version: stored.version,
            token_requests: script.lock().unwrap().token_requests,
        };
        assert_eq!(real, model, "{does:?} in {before:?}");
        assert_eq!(answer.is_ok(), model.version > before.version);
    }
}

fn does() -> impl Strategy<Value = Does> {
    prop::sample::select(vec![
        Does::Grant,
        Does::RefuseGrant,
        Does::RefuseApplication,
        Does::Decline,
        Does::BeBusy,
        Does::LoseTheAnswer,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_grant_goes_through_its_states_as_the_model_does(
        steps in prop::collection::vec([does(), does()], 1..10)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(steps));
    }
}
