//! Tokens, limits and faults of the provider, as the provider counts them.

use crate::site::{Options, Site, assert_same, shown, summary};
use crm_sim::hubspot::{Fault, PathKind, Rule, When};

fn at_real_limits() -> Options {
    Options {
        broker: "limit_scale: 1.0",
        ..Options::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_429s_is_waited_out_and_nothing_is_lost() {
    let site = Site::new(
        crm_sim::hubspot::Config {
            contacts: 3_000,
            limit_scale: None,
            ..crm_sim::hubspot::Config::default()
        },
        at_real_limits(),
    )
    .await;
    for skip in [3, 9, 15] {
        site.crm.install_fault(Rule {
            path: Some(PathKind::List),
            when: When::Ordinal { skip, take: 2 },
            fault: Fault::Throttle {
                retry_after_s: Some(1),
            },
        });
    }
    site.sync_to_end().await;
    assert_same(&site.landed().await, &site.truth(), "after 429s");
    let counters = site.crm.counters();
    assert!(counters.throttled > 0, "no 429 was given");
    assert_eq!(
        counters.during_retry_after, 0,
        "requests inside a Retry-After"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_providers_limit_is_never_exceeded_by_its_own_count() {
    let site = Site::new(
        crm_sim::hubspot::Config {
            contacts: 13_000,
            ..crm_sim::hubspot::Config::default()
        },
        at_real_limits(),
    )
    .await;
    site.sync_to_end().await;
    assert_same(&site.landed().await, &site.truth(), "at the limit");
    let counters = site.crm.counters();
    assert!(
        counters.ten_second_max <= 110,
        "{} requests in ten seconds",
        counters.ten_second_max
    );
    assert_eq!(counters.throttled, 0, "the provider had to refuse");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_errors_and_cut_bodies_are_sent_again() {
    let site = Site::new(
        crm_sim::hubspot::Config {
            contacts: 3_000,
            limit_scale: None,
            ..crm_sim::hubspot::Config::default()
        },
        Options::default(),
    )
    .await;
    for (seed, fault) in [Fault::Status(502), Fault::Cut(400), Fault::Status(503)]
        .into_iter()
        .enumerate()
    {
        site.crm.install_fault(Rule {
            path: Some(PathKind::List),
            when: When::Share {
                per_mille: 60,
                seed: seed as u64,
            },
            fault,
        });
    }
    let summary = site.sync_to_end().await;
    assert_same(&site.landed().await, &site.truth(), "after faults");
    assert!(
        summary["retries"].as_u64().unwrap() > 0,
        "nothing was sent again: {summary}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_answer_fails_the_stream_and_the_next_run_goes_on() {
    let site = Site::new(
        crm_sim::hubspot::Config {
            contacts: 3_000,
            limit_scale: None,
            ..crm_sim::hubspot::Config::default()
        },
        Options::default(),
    )
    .await;
    site.crm.install_fault(Rule {
        path: Some(PathKind::List),
        when: When::Ordinal { skip: 12, take: 1 },
        fault: Fault::WrongJson(crm_sim::hubspot::WrongJson::Truncated),
    });
    let output = site.run(site.sync()).await;
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    assert_eq!(summary(&output)["state"], "failed");
    site.sync_to_end().await;
    assert_same(&site.landed().await, &site.truth(), "after a wrong answer");
}
