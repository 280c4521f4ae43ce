//! Bulk in bounded memory, and what a kill amid pages of results costs by the org's count.

use crate::salesforce::org::{Options, Site, org_of};
use crate::salesforce::truth::Landed;
use crate::site::{is_proof, proof_fragment, shown, summary};
use crm_sim::salesforce::Object;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::time::Duration;
use tokio::time::Instant;

struct Size {
    accounts: u32,
    /// Pages of results that the org has given before the kill.
    pages_before: usize,
    options: Options,
}

/// Some columns of each kind: what is measured are rows, not their width.
const STREAMS: &str = "[{ name: Account, mode: incremental, landing: append, partitions_max: 4, \
    fields: [Name, Industry, AnnualRevenue, NumberOfEmployees, BillingCity, CreatedDate, Description] }]";

fn size() -> Size {
    match is_proof() {
        true => Size {
            accounts: 5_000_000,
            pages_before: 90,
            options: Options {
                streams: STREAMS,
                // One page of results: what is saved is sealed before the next is asked for.
                batch: "{ rows_max: 25000 }",
                ..Options::default()
            },
        },
        false => Size {
            accounts: 12_000,
            pages_before: 9,
            options: Options {
                config: "bulk_above: 500, bulk_page_records: 500",
                streams: STREAMS,
                batch: "{ rows_max: 500 }",
                ..Options::default()
            },
        },
    }
}

/// How often each page of results was asked for, by job. A page is named by its job and
/// its place in the results.
fn pages_asked(site: &Site) -> BTreeMap<String, BTreeMap<String, usize>> {
    let mut jobs: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for seen in site.org.journal() {
        if let Some((before, place)) = seen.target.split_once("/results?") {
            let job = before.rsplit('/').next().unwrap().to_owned();
            let pages = jobs.entry(job).or_default();
            *pages.entry(place.to_owned()).or_default() += 1;
        }
    }
    jobs
}

fn count(jobs: &BTreeMap<String, BTreeMap<String, usize>>) -> usize {
    jobs.values().flat_map(BTreeMap::values).sum()
}

/// The most memory that a process ever had, as the kernel knows.
fn peak_bytes(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line
        .and_then(|line| line.trim().strip_suffix("kB"))
        .unwrap();
    kibibytes.trim().parse::<u64>().unwrap() * 1024
}

/// Starts a run and kills it once the org has given so many pages; its peak memory.
async fn kill_amid_pages(site: &Site, pages: usize) -> u64 {
    let mut command = site.sync();
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(3_600);
    while count(&pages_asked(site)) < pages {
        assert!(Instant::now() < deadline, "the pages are not asked for");
        assert_eq!(child.try_wait().unwrap(), None, "it ended by itself");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let peak = peak_bytes(child.id());
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().code(), None, "it ended by itself");
    peak
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_amid_bulk_results_costs_one_page_of_each_partition_at_most() {
    let size = size();
    let org = org_of(&[(Object::Account, size.accounts)]);
    let site = Site::new(org, &size.options).await;
    site.org.begin_journal();
    let peak_of_killed = kill_amid_pages(&site, size.pages_before).await;
    let before = pages_asked(&site);
    let output = site.run().await;
    assert!(output.status.success(), "{}", shown(&output));
    let summary = summary(&output);
    let after = pages_asked(&site);
    let again =
        |pages: &BTreeMap<String, usize>| -> usize { pages.values().map(|times| times - 1).sum() };
    for (job, pages) in &after {
        assert!(again(pages) <= 1, "job {job} gave pages again: {pages:?}");
    }
    let asked_again: usize = after.values().map(again).sum();
    assert!(count(&after) > count(&before), "nothing was left to read");
    let landed = Landed::of(&site, Object::Account, &BTreeSet::new()).await;
    let same = landed.assert_is_truth(&site, Object::Account, "after the kill");
    assert_eq!(landed.rows, u64::from(size.accounts), "rows landed twice");
    let peak = summary["peak_rss_bytes"]
        .as_u64()
        .unwrap()
        .max(peak_of_killed);
    proof_fragment(
        "salesforce-bulk",
        &format!(
            "# Salesforce: {} Account rows by Bulk, killed amid the pages\n\n\
             {} jobs of Bulk API 2.0, {} pages of results. SIGKILL after {} of them; the second run asked for {asked_again} again, never for more than one of a partition, \
             by the org's own count. {} rows landed, each once, all with the org's version.\n\n\
             Peak memory of the process: {} MB in the first run, {} MB in the second (VmHWM, mapped files included). The second run took {:.0} s, debug build.\n",
            size.accounts,
            after.len(),
            count(&after) - asked_again,
            count(&before),
            same.live,
            peak_of_killed / 1_000_000,
            summary["peak_rss_bytes"].as_u64().unwrap() / 1_000_000,
            summary["seconds"].as_f64().unwrap()
        ),
    );
    assert!(peak < 700_000_000, "{peak} bytes");
}
