//! Change events: which records they make the connector read, where it goes on, and what
//! it does when there is no going on.

use super::*;
use std::{cell::RefCell, collections::VecDeque, rc::Rc};
use tidegate_sdk::{Directive, HttpFault, Payload, Request, Target, testing::Answer};

/// What the streaming API answers, in order; sessions and subscriptions that are not
/// scripted work, and a connect that is not scripted is called off by the host.
#[derive(Clone, Default)]
struct Stream {
    handshakes: Rc<RefCell<VecDeque<Value>>>,
    subscriptions: Rc<RefCell<VecDeque<Value>>>,
    connects: Rc<RefCell<VecDeque<Vec<Value>>>>,
}

impl Stream {
    fn connect(self, events: &[Value], reply: Value) -> Self {
        let mut messages = events.to_vec();
        messages.push(reply);
        self.connects.borrow_mut().push_back(messages);
        self
    }

    /// A connect that brings events.
    fn brings(self, events: &[Value]) -> Self {
        self.connect(
            events,
            json!({"channel": "/meta/connect", "successful": true}),
        )
    }

    fn fails(self, error: &str) -> Self {
        let reply = json!({"channel": "/meta/connect", "successful": false, "error": error});
        self.connect(&[], reply)
    }

    fn refuses_subscription(self, error: &str) -> Self {
        let reply = json!({"channel": "/meta/subscribe", "successful": false, "error": error});
        self.subscriptions.borrow_mut().push_back(reply);
        self
    }

    fn refuses_handshake(self, reason: &str) -> Self {
        let reply = json!({"channel": "/meta/handshake", "successful": false,
            "error": "403::Handshake denied", "advice": {"reconnect": "none"},
            "ext": {"sfdc": {"failureReason": reason}}});
        self.handshakes.borrow_mut().push_back(reply);
        self
    }

    fn answer(&self, request: &Request) -> Answer {
        let Payload::Json(body) = &request.payload else {
            unreachable!("messages are JSON")
        };
        assert_eq!(request.bucket.as_deref(), Some("streaming"));
        let message: Value = serde_json::from_str(body).unwrap();
        let channel = message[0]["channel"].as_str().unwrap().to_owned();
        let scripted = match channel.as_str() {
            "/meta/handshake" => self.handshakes.borrow_mut().pop_front(),
            "/meta/subscribe" => self.subscriptions.borrow_mut().pop_front(),
            "/meta/connect" => match self.connects.borrow_mut().pop_front() {
                Some(messages) => return Answer::json(&Value::Array(messages)),
                None => return Answer::fault(HttpFault::Cancelled),
            },
            _ => None,
        };
        let works = json!({"channel": channel, "clientId": "c1", "successful": true});
        Answer::json(&json!([scripted.unwrap_or(works)]))
    }
}

fn event(replay: i64, kind: &str, ids: &[u64]) -> Value {
    let ids: Vec<String> = ids.iter().map(|id| key(*id)).collect();
    json!({"channel": "/data/AccountChangeEvent", "data": {
        "event": {"replayId": replay},
        "payload": {"Name": "x", "ChangeEventHeader": {"changeType": kind, "recordIds": ids,
            "commitTimestamp": NOW_MS - 2_000, "entityName": "Account"}},
    }})
}

fn streaming(org: &Org, stream: &Stream) -> MemoryHost {
    let (mut rest, stream) = (org.remote(), stream.clone());
    MemoryHost::new(move |request| match &request.target {
        Target::Endpoint { endpoint, .. } if endpoint == "streaming" => stream
            .answer(request)
            .header("date", "Sun, 22 Nov 2026 08:00:00 GMT"),
        _ => rest(request),
    })
    .at(NOW_MS + 250)
    .blind(&Salesforce::manifest())
}

fn live_slice() -> Slice {
    Slice {
        until: u64::MAX,
        since: NOW_MS - MINUTE_MS,
        ..hour()
    }
}

fn calls(position: Option<Option<i64>>) -> Calls {
    let cursor = position.map(|replay| Cursor {
        until: NOW_MS - MINUTE_MS,
        deletes: None,
        position: Position::Live {
            replay,
            proven: NOW_MS - MINUTE_MS,
        },
    });
    Calls {
        mode: SyncMode::Live,
        state: cursor.as_ref().and_then(state),
        ..accounts()
    }
}

fn call(memory: &MemoryHost, calls: &Calls) -> Result<Outcome<Salesforce>, Failure> {
    memory.call::<Salesforce>(calls, &live_slice())
}

fn saved(memory: &MemoryHost) -> Cursor {
    serde_json::from_value(memory.saves().pop().unwrap()).unwrap()
}

/// The last event that a cursor is behind.
fn replay(cursor: &Cursor) -> Option<i64> {
    match cursor.position {
        Position::Live { replay, .. } => replay,
        _ => panic!("{cursor:?} is none of a live slice"),
    }
}

/// The channels of the messages, and the paths of the other requests, in their order.
fn order(memory: &MemoryHost) -> Vec<String> {
    let requests = memory.requests();
    let name = |request: &Request| match (&request.payload, &request.target) {
        (Payload::Json(body), _) => {
            let message: Value = serde_json::from_str(body).unwrap();
            message[0]["channel"].as_str().unwrap().to_owned()
        }
        (_, Target::Endpoint { path, .. }) => path.rsplit('/').next().unwrap().to_owned(),
        _ => unreachable!("links are not followed"),
    };
    requests.iter().map(name).collect()
}

/// Where each subscription started.
fn replays(memory: &MemoryHost) -> Vec<i64> {
    let requests = memory.requests();
    let replay = |request: &Request| match &request.payload {
        Payload::Json(body) => {
            let message: Value = serde_json::from_str(body).unwrap();
            message[0]["ext"]["replay"]["/data/AccountChangeEvent"].as_i64()
        }
        _ => None,
    };
    requests.iter().filter_map(replay).collect()
}

/// Accounts that were modified too long ago for any query by time.
fn old(count: u64) -> Org {
    Org::of(count, NOW_MS - 30 * 24 * HOUR_MS)
}

#[test]
fn the_records_of_events_are_read_again_whole_and_once() {
    let stream = Stream::default().brings(&[
        event(7, "CREATE", &[1]),
        event(8, "UPDATE", &[2, 3]),
        event(11, "UPDATE", &[3]),
    ]);
    let memory = streaming(&old(5), &stream);
    let outcome = call(&memory, &calls(Some(Some(5)))).unwrap();
    assert!(matches!(outcome, Outcome::More), "{outcome:?}");
    let emitted = memory.emitted();
    assert_eq!(ids(&emitted), keys(1..=3));
    assert_eq!(
        emitted[0].record["Name"], "Account 1",
        "the event's own value"
    );
    assert_eq!(replay(&saved(&memory)), Some(11));
    assert_eq!(replays(&memory), [5]);
}

#[test]
fn events_without_values_are_read_like_others() {
    let stream =
        Stream::default().brings(&[event(6, "GAP_UPDATE", &[1]), event(7, "GAP_CREATE", &[4])]);
    let memory = streaming(&old(5), &stream);
    call(&memory, &calls(Some(Some(5)))).unwrap();
    assert_eq!(ids(&memory.emitted()), [key(1), key(4)]);
}

#[test]
fn an_event_that_names_no_records_makes_a_query_for_what_changed() {
    let org = recent(10);
    org.edit(7, |account| account.modified = NOW_MS - 2_000);
    for ids_of_event in [json!(["000000000000000AAA"]), json!(["001*"]), json!([])] {
        let mut overflow = event(6, "GAP_OVERFLOW", &[]);
        if ids_of_event == json!(["001*"]) {
            overflow = event(6, "UPDATE", &[]);
        }
        overflow["data"]["payload"]["ChangeEventHeader"]["recordIds"] = ids_of_event;
        let memory = streaming(&org, &Stream::default().brings(&[overflow]));
        call(&memory, &calls(Some(Some(5)))).unwrap();
        assert!(ids(&memory.emitted()).contains(&key(7)));
        let cursor = saved(&memory);
        assert_eq!(cursor.until, NOW_MS);
        assert_eq!(replay(&cursor), Some(6));
    }
}

#[test]
fn a_deleted_record_is_read_in_the_bin_and_one_that_left_it_becomes_a_tombstone() {
    let org = old(2);
    org.edit(1, |account| account.deleted = true);
    let gone = 9;
    let stream = Stream::default().brings(&[
        event(6, "DELETE", &[1]),
        event(7, "GAP_DELETE", &[gone]),
        event(8, "UPDATE", &[12]), // the user may not see it
    ]);
    let memory = streaming(&org, &stream);
    call(&memory, &calls(Some(Some(5)))).unwrap();
    let emitted = memory.emitted();
    let found: Vec<(String, bool, bool)> = emitted
        .iter()
        .map(|one| {
            (
                one.key.clone(),
                one.change == Change::Delete,
                one.record.is_null(),
            )
        })
        .collect();
    assert_eq!(found, [(key(1), true, false), (key(gone), true, true)]);
}

#[test]
fn a_first_read_subscribes_before_it_looks_for_what_is_there() {
    let org = recent(10);
    // In the second that runs, before the subscription: no event tells of it.
    org.edit(3, |account| account.modified = NOW_MS + 500);
    let memory = streaming(&org, &Stream::default());
    call(&memory, &calls(None)).unwrap();
    let order = order(&memory);
    let at = |name: &str| order.iter().position(|one| one == name).unwrap();
    assert!(at("/meta/subscribe") < at("queryAll"), "{order:?}");
    assert!(at("queryAll") < at("/meta/connect"), "{order:?}");
    assert_eq!(replays(&memory), [-1]);
    assert!(ids(&memory.emitted()).contains(&key(3)));
    let cursor = saved(&memory);
    assert_eq!((cursor.until, replay(&cursor)), (NOW_MS, None));
}

#[test]
fn a_stale_replay_id_is_given_up_for_a_query_of_what_changed_since() {
    let org = recent(10);
    org.edit(3, |account| account.modified = NOW_MS - 30_000);
    let stale = "400::The replayId {5} you provided was invalid.  Please provide a valid ID";
    let stream = Stream::default()
        .refuses_subscription(stale)
        .brings(&[event(40, "UPDATE", &[1])]);
    let memory = streaming(&org, &stream);
    call(&memory, &calls(Some(Some(5)))).unwrap();
    assert_eq!(replays(&memory), [5, -1]);
    assert_eq!(
        asked(&memory, "/queryAll"),
        2,
        "what changed, and what the event named"
    );
    assert!(ids(&memory.emitted()).contains(&key(3)));
    assert_eq!(replay(&saved(&memory)), Some(40));
    assert!(
        memory
            .log_lines()
            .iter()
            .any(|(level, _)| *level == Level::Warn)
    );
}

#[test]
fn a_lost_session_is_followed_by_another_that_goes_on_at_the_last_event() {
    let stream = Stream::default()
        .brings(&[event(6, "UPDATE", &[1])])
        .fails("403::Unknown client")
        .brings(&[event(7, "UPDATE", &[2])]);
    let memory = streaming(&old(5), &stream);
    call(&memory, &calls(Some(Some(5)))).unwrap();
    assert_eq!(replays(&memory), [5, 6]);
    assert_eq!(ids(&memory.emitted()), keys(1..=2));
    let again = order(&memory)
        .iter()
        .filter(|one| *one == "/meta/handshake")
        .count();
    assert_eq!(again, 2);
}

#[test]
fn sessions_that_are_lost_again_and_again_are_a_failure_worth_another_try() {
    let stream = (0..9).fold(Stream::default(), |stream, _| {
        stream.fails("403::Unknown client")
    });
    let failed = call(&streaming(&old(1), &stream), &calls(Some(Some(5)))).unwrap_err();
    assert!(matches!(failed, Failure::Transient(_)), "{failed}");
}

#[test]
fn an_old_token_is_renewed_by_a_call_and_once_only() {
    let stream = Stream::default()
        .fails("401::Authentication invalid")
        .brings(&[event(6, "UPDATE", &[1])])
        .fails("401::Authentication invalid");
    let memory = streaming(&old(1), &stream);
    call(&memory, &calls(Some(Some(5)))).unwrap();
    assert_eq!(
        asked(&memory, "/limits"),
        2,
        "one for each time that it was too old"
    );
    assert_eq!(replays(&memory), [5, 5, 6]);
    let stream = Stream::default()
        .refuses_handshake("401::Authentication invalid")
        .refuses_handshake("401::Authentication invalid");
    let failed = call(&streaming(&old(1), &stream), &calls(None)).unwrap_err();
    assert!(matches!(failed, Failure::Auth(_)), "{failed}");
}

#[test]
fn where_no_session_is_to_be_had_it_queries_and_waits() {
    let org = recent(10);
    org.edit(3, |account| account.modified = NOW_MS - 1_000);
    for (error, wait_ms) in [
        (
            "403::Organization total events daily limit exceeded",
            900_000,
        ),
        (
            "503::Server is too busy. Please try your request again later.",
            30_000,
        ),
    ] {
        let stream = Stream::default().refuses_subscription(error);
        let memory = streaming(&org, &stream);
        let outcome = call(&memory, &calls(Some(Some(5)))).unwrap();
        assert!(matches!(outcome, Outcome::WaitUntil(at) if at == NOW_MS + 250 + wait_ms));
        assert!(ids(&memory.emitted()).contains(&key(3)));
        assert_eq!(replay(&saved(&memory)), Some(5));
    }
}

#[test]
fn an_object_that_is_not_selected_for_change_events_says_what_to_do() {
    let stream = Stream::default().refuses_subscription("404::Unknown channel");
    let failed = call(&streaming(&old(1), &stream), &calls(None)).unwrap_err();
    assert!(matches!(&failed, Failure::Unsupported(text) if text.contains("Change Data Capture")));
}

#[test]
fn the_host_gets_its_slot_back_after_a_save_and_the_session_is_left() {
    let stream = Stream::default()
        .brings(&[event(6, "UPDATE", &[1])])
        .brings(&[event(7, "UPDATE", &[1])]);
    let memory = streaming(&old(1), &stream).directing([Directive::YieldSoon]);
    let outcome = call(&memory, &calls(Some(Some(5)))).unwrap();
    assert!(matches!(outcome, Outcome::More));
    assert_eq!(replay(&saved(&memory)), Some(6));
    assert_eq!(order(&memory).last().unwrap(), "/meta/disconnect");
}

#[test]
fn now_and_then_it_looks_for_what_no_event_told() {
    let org = recent(10);
    org.edit(3, |account| account.modified = NOW_MS - 1_000);
    let mut late = calls(Some(Some(5)));
    late.config["live_check_s"] = json!(60);
    let memory = streaming(&org, &Stream::default().brings(&[]));
    call(&memory, &late).unwrap();
    assert!(ids(&memory.emitted()).contains(&key(3)));
    assert_eq!(saved(&memory).until, NOW_MS);
    late.config["live_check_s"] = json!(61);
    let memory = streaming(&org, &Stream::default().brings(&[]));
    call(&memory, &late).unwrap();
    assert_eq!(asked(&memory, "/queryAll"), 0);
}

#[test]
fn the_lag_is_what_is_not_proven_to_be_read() {
    let stream = Stream::default()
        .brings(&[])
        .brings(&[event(6, "UPDATE", &[1])]);
    let memory = streaming(&old(1), &stream);
    call(&memory, &calls(Some(Some(5)))).unwrap();
    assert_eq!(memory.lags(), [MINUTE_MS, 2_000]);
}

#[test]
fn too_much_at_once_becomes_a_partition_of_its_own_and_then_the_stream_goes_on() {
    let org = Org::of(100_001, NOW_MS - 100_500_000);
    org.set(|settings| settings.page = 10);
    let mut slice = live_slice();
    slice.since = NOW_MS - 200_000_000;
    let memory = streaming(&org, &Stream::default());
    let outcome = memory.call::<Salesforce>(&calls(None), &slice).unwrap();
    let Outcome::Done(behind) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(behind.position, Position::Behind);
    let planned = |cursor: &Cursor| {
        let plan = plan_of(SyncMode::Live, std::slice::from_ref(cursor));
        Salesforce::plan(&memory.host(), plan).unwrap().remove(0)
    };
    let changes = planned(&behind);
    assert!(changes.id.starts_with("changes-"), "{}", changes.id);
    assert_eq!(
        (changes.slice.since, changes.slice.until),
        (slice.since - 600_000, NOW_MS)
    );
    let next = planned(&Cursor::end(changes.slice.until, None));
    assert_eq!(next.id, format!("live-{NOW_MS}"));
    assert_eq!(next.slice.until, u64::MAX);
}

#[test]
fn a_first_plan_begins_when_it_was_asked_for() {
    let memory = streaming(&old(1), &Stream::default());
    let mut plan = plan_of(SyncMode::Live, &[]);
    plan.window = Some(Window {
        since: NOW_MS - HOUR_MS,
        until: NOW_MS,
    });
    let planned = Salesforce::plan(&memory.host(), plan).unwrap();
    assert_eq!(planned.len(), 1);
    assert_eq!(planned[0].slice.since, NOW_MS - HOUR_MS);
    // A process that dies before it sealed anything finds there what it alone was told.
    assert_eq!(planned[0].slice.deletes, Some(NOW_MS - HOUR_MS));
}
