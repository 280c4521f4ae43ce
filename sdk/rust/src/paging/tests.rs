//! Walks over a list of numbered records, served in the three usual ways.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{cell::RefCell, rc::Rc};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    Connector, CursorOrder, Directive, Ended, Extraction, Failure, Host, Manifest, Mark, Numbered,
    Outcome, Pages, Partition, Plan, Read, Request, Source, Step, Stream, Target, each_page,
    testing::{Answer, Job, MemoryHost},
};

/// Which way the list is walked is the slice.
struct Numbers;

#[derive(Deserialize)]
struct Config {}

impl Connector for Numbers {
    type Config = Config;

    fn manifest() -> Manifest {
        Manifest::new("numbers", "Numbers", "1")
    }
}

impl Source for Numbers {
    type Cursor = Value;
    type Slice = String;

    fn check(_: &Host, _: &Config) -> Result<(), Failure> {
        Ok(())
    }

    fn discover(_: &Host, _: &Config) -> Result<Vec<Stream>, Failure> {
        Ok(Vec::new())
    }

    fn plan(_: &Host, _: Plan<Self>) -> Result<Vec<Partition<String>>, Failure> {
        Ok(Vec::new())
    }

    fn read(host: &Host, read: Read<Self>) -> Result<Outcome<Self>, Failure> {
        let how = Extraction::json("/items")
            .key("/id")
            .cursor("/time", CursorOrder::Number);
        let pages = Pages::new(host, &read.stream, how)
            .ending_when(|page| page.max_cursor.as_deref() == Some("99"));
        let ask = |way: &str, after: &str| {
            let response = host.fetch(&Request::get("api", "/").query(way, after))?;
            match response.status {
                410 => Err(Failure::StaleCursor("forgotten".to_owned())),
                _ => response.success(),
            }
        };
        let text = read
            .cursor
            .as_ref()
            .and_then(Value::as_str)
            .map(str::to_owned);
        let ended = match read.partition.slice.as_str() {
            "token" => pages.by_token(
                "/next",
                text,
                |token| ask("token", token.unwrap_or("0")),
                |token| json!(token),
            ),
            "offset" => pages.by_offset(
                read.cursor
                    .as_ref()
                    .and_then(Value::as_u64)
                    .unwrap_or_default(),
                |offset| ask("offset", &offset.to_string()),
                |offset| json!(offset),
            ),
            "number" | "empty" => pages.by_number(
                (read.partition.slice == "number").then_some("/next"),
                read.cursor
                    .as_ref()
                    .and_then(|saved| serde_json::from_value::<Numbered>(saved.clone()).ok())
                    .unwrap_or(Numbered::FIRST),
                |number| ask("offset", &((number - 1) * 3).to_string()),
                |at| json!(at),
            ),
            "counted" => pages.counted_at("/total").by_number(
                None,
                read.cursor
                    .as_ref()
                    .and_then(|saved| serde_json::from_value::<Numbered>(saved.clone()).ok())
                    .unwrap_or(Numbered::FIRST),
                |number| ask("offset", &((number - 1) * 3).to_string()),
                |at| json!(at),
            ),
            "still" => {
                pages.until_still(3, |number| ask("offset", &((number - 1) * 3).to_string()))
            }
            "mark" => pages.by_mark(
                read.cursor
                    .as_ref()
                    .and_then(|saved| serde_json::from_value::<Mark>(saved.clone()).ok()),
                |mark| match mark {
                    None => ask("key", "-1"),
                    Some(Mark { time, key }) => {
                        // Three records share a time, so that alone it says too little.
                        let key: u64 = key.parse().expect("a number");
                        assert_eq!(*time, (key / 3).to_string());
                        ask("key", &key.to_string())
                    }
                },
                |mark| json!(mark),
            ),
            _ => pages.by_key(
                Some("/total"),
                text,
                |key| ask("key", key.unwrap_or("-1")),
                |key| json!(key),
            ),
        };
        Ok(ended?.or_done(json!("end")))
    }
}

/// Serves records 0 to `count - 1`, three a page.
fn serve(count: i64) -> impl FnMut(&Request) -> Answer {
    move |request| {
        let Target::Endpoint { query, .. } = &request.target else {
            unreachable!()
        };
        let (way, after) = &query[0];
        let after: i64 = after.parse().unwrap();
        let first = if way == "key" { after + 1 } else { after };
        let end = (first + 3).min(count);
        let items: Vec<Value> = (first..end)
            .map(|id| json!({"id": id, "time": id / 3}))
            .collect();
        let next = (end < count).then(|| end.to_string());
        Answer::json(&json!({"items": items, "next": next, "total": count - first}))
    }
}

fn keys(memory: &MemoryHost) -> Vec<i64> {
    memory
        .emitted()
        .iter()
        .map(|record| record.key.parse().unwrap())
        .collect()
}

const WAYS: [&str; 6] = ["token", "offset", "key", "number", "empty", "mark"];

#[test]
fn every_way_reads_every_record_once_and_saves_between_pages() {
    for way in WAYS {
        let memory = MemoryHost::new(serve(7));
        let outcome = memory
            .run::<Numbers>(&Job::new("n"), &way.to_owned())
            .unwrap();
        assert!(
            matches!(outcome, Outcome::Done(end) if end == "end"),
            "{way}"
        );
        assert_eq!(keys(&memory), (0..7).collect::<Vec<_>>(), "{way}");
        assert!(memory.saves().len() >= 2, "{way}");
    }
}

#[test]
fn a_directive_ends_the_call_after_its_save_and_the_next_call_goes_on_there() {
    for way in WAYS {
        for directive in [Directive::YieldSoon, Directive::Stop] {
            let memory = MemoryHost::new(serve(7)).directing([directive]);
            let job = Job::new("n");
            let outcome = memory.call::<Numbers>(&job, &way.to_owned()).unwrap();
            assert!(matches!(outcome, Outcome::More), "{way}");
            assert_eq!(keys(&memory), [0, 1, 2], "{way}");
            let rest = Job {
                state: memory.saves().pop(),
                ..job
            };
            memory.run::<Numbers>(&rest, &way.to_owned()).unwrap();
            assert_eq!(keys(&memory), (0..7).collect::<Vec<_>>(), "{way}");
        }
    }
}

#[test]
fn a_failure_keeps_what_was_saved_and_loses_the_rest() {
    let calls = Rc::new(RefCell::new(0));
    let counter = Rc::clone(&calls);
    let mut remote = serve(7);
    let memory = MemoryHost::new(move |request| {
        *counter.borrow_mut() += 1;
        if *counter.borrow() == 2 {
            Answer::status(503)
        } else {
            remote(request)
        }
    });
    let job = Job::new("n");
    let failure = memory.call::<Numbers>(&job, &"key".to_owned()).unwrap_err();
    assert!(matches!(failure, Failure::Transient(_)));
    assert_eq!(keys(&memory), [0, 1, 2]);
    let rest = Job {
        state: memory.saves().pop(),
        ..job
    };
    memory.run::<Numbers>(&rest, &"key".to_owned()).unwrap();
    assert_eq!(keys(&memory), (0..7).collect::<Vec<_>>());
}

#[test]
fn a_page_that_leads_back_to_itself_is_a_protocol_failure() {
    for way in ["token", "key", "mark"] {
        let same = json!({"items": [{"id": 1, "time": 0}], "next": "1", "total": 9});
        let memory = MemoryHost::new(move |_| Answer::json(&same));
        let failure = memory
            .run::<Numbers>(&Job::new("n"), &way.to_owned())
            .unwrap_err();
        assert!(matches!(failure, Failure::Protocol(_)), "{way}: {failure}");
        assert_eq!(memory.requests().len(), 2, "{way}");
    }
}

#[test]
fn an_empty_list_is_done_at_once() {
    for way in WAYS {
        let memory = MemoryHost::new(serve(0));
        let outcome = memory
            .run::<Numbers>(&Job::new("n"), &way.to_owned())
            .unwrap();
        assert!(matches!(outcome, Outcome::Done(_)), "{way}");
        assert!(memory.saves().is_empty(), "{way}");
    }
}

#[test]
fn a_walk_ends_early_where_a_page_is_enough() {
    for way in WAYS {
        let beyond = json!({"items": [{"id": 1, "time": 99}], "next": "1", "total": 9});
        let memory = MemoryHost::new(move |_| Answer::json(&beyond));
        let outcome = memory
            .run::<Numbers>(&Job::new("n"), &way.to_owned())
            .unwrap();
        assert!(matches!(outcome, Outcome::Done(_)), "{way}");
        assert_eq!(
            (keys(&memory), memory.requests().len()),
            (vec![1], 1),
            "{way}"
        );
    }
}

#[test]
fn a_saved_token_that_was_forgotten_begins_the_list_anew_and_a_fresh_one_is_a_failure() {
    let mut remote = serve(7);
    let memory = MemoryHost::new(move |request| match request.parameter("token") {
        Some("6") => Answer::status(410),
        _ => remote(request),
    });
    let saved = Job {
        state: Some(json!("6")),
        ..Job::new("n")
    };
    let failure = memory
        .run::<Numbers>(&saved, &"token".to_owned())
        .unwrap_err();
    assert!(matches!(failure, Failure::Protocol(_)), "{failure}");
    let asked: Vec<String> = memory
        .requests()
        .iter()
        .map(|request| request.parameter("token").unwrap().to_owned())
        .collect();
    assert_eq!(asked, ["6", "0", "3", "6"]);
}

/// Nine records, three a page, of which one leaves before each of these requests.
fn leaving(before: Vec<usize>) -> MemoryHost {
    let mut ids: Vec<usize> = (0..9).collect();
    let mut number = 0;
    MemoryHost::new(move |request| {
        number += 1;
        if before.contains(&number) {
            ids.remove(0);
        }
        let offset: usize = request.parameter("offset").unwrap().parse().unwrap();
        let items = ids.iter().skip(offset).take(3);
        let items: Vec<Value> = items.map(|id| json!({"id": id, "time": 0})).collect();
        Answer::json(&json!({"items": items, "total": ids.len()}))
    })
}

#[test]
fn pages_before_are_read_again_where_the_list_counts_fewer_than_it_did() {
    for before in [vec![], vec![2], vec![2, 3], vec![4], vec![3, 4, 5]] {
        // In one call, and in calls that each end after a page.
        for directives in [vec![], vec![Directive::YieldSoon; 20]] {
            let memory = leaving(before.clone()).directing(directives);
            let mut job = Job::new("n");
            while let Outcome::More = memory.call::<Numbers>(&job, &"counted".to_owned()).unwrap() {
                job.state = memory.saves().pop();
            }
            let seen = keys(&memory);
            let left: Vec<i64> = (before.len() as i64..9).collect();
            assert!(
                left.iter().all(|id| seen.contains(id)),
                "{before:?}: {seen:?}"
            );
        }
    }
}

#[test]
fn a_set_that_records_leave_is_read_until_nothing_leaves() {
    for (before, readings) in [(vec![], 2), (vec![2], 2), (vec![2, 6], 3)] {
        let memory = leaving(before.clone());
        memory
            .run::<Numbers>(&Job::new("n"), &"still".to_owned())
            .unwrap();
        let mut seen = keys(&memory);
        seen.sort_unstable();
        seen.dedup();
        let left: Vec<i64> = (before.len() as i64..9).collect();
        assert!(
            left.iter().all(|id| seen.contains(id)),
            "{before:?}: {seen:?}"
        );
        assert_eq!(memory.requests().len().div_ceil(4), readings, "{before:?}");
    }
    let memory = leaving(vec![2, 6, 10]);
    let failure = memory
        .run::<Numbers>(&Job::new("n"), &"still".to_owned())
        .unwrap_err();
    assert!(matches!(failure, Failure::Transient(_)), "{failure}");
}

#[test]
fn a_walk_that_pauses_saves_the_page_and_goes_on_in_another_call() {
    for (pause_after, calls) in [(1, 9), (2, 5), (9, 1)] {
        let memory = MemoryHost::new(serve(25));
        let host = memory.host();
        let (mut start, mut taken, mut called) = (None, 0, 0);
        loop {
            called += 1;
            let mut pages = 0;
            let fetch = |token: Option<&str>| {
                let request = Request::get("api", "/").query("token", token.unwrap_or("0"));
                host.fetch(&request)?.success()
            };
            let take = |page: &crate::Body| {
                pages += 1;
                taken += page.each("/items/*/id", 100)?.len();
                Ok(match pages % pause_after {
                    0 => Step::Pause,
                    _ => Step::Further,
                })
            };
            let ended = each_page(&host, "/next", start, fetch, take, |token| json!(token));
            if ended.unwrap() == Ended::Exhausted {
                break;
            }
            let saved = memory.saves().pop().unwrap();
            start = saved.as_str().map(str::to_owned);
        }
        assert_eq!((taken, called), (25, calls), "after {pause_after} pages");
    }
}
