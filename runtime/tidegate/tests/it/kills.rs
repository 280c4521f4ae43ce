//! The service is killed, really, amid jobs that run: all of them end well, nothing is
//! lost or doubled, and no job runs twice at once. For that the witness is the CRM.

use crate::service::{Service, command};
use crate::site::{Rows, assert_same, guest, is_proof, proof_fragment, rows_of, truth_of};
use crm_sim::hubspot::{CrmSim, Fault, PathKind, Rule, Seen, When};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use tidegate_landing::directory::DirectoryTarget;
use tidegate_landing::target::Target;
use tokio::time::Instant;

/// How much of it.
#[derive(Clone, Copy)]
struct Size {
    /// Each of a sync and a connection of its own.
    jobs: usize,
    /// That run at once; the others wait.
    at_once: usize,
    kills: usize,
    contacts: u32,
    /// What the CRM takes for a page.
    page_ms: u64,
    /// A kill comes this late at the most, once every place is taken.
    late_ms: u64,
    /// How long a claim, and a stream's lease, outlive their worker's last word.
    claim_ms: u64,
    /// Places beyond those that are taken.
    spare: usize,
}

const SMALL: Size = Size {
    jobs: 8,
    at_once: 6,
    kills: 2,
    contacts: 1_500,
    page_ms: 60,
    late_ms: 400,
    claim_ms: 30_000,
    spare: 0,
};
const WHOLE: Size = Size {
    jobs: 60,
    at_once: 50,
    kills: 20,
    contacts: 8_000,
    page_ms: 100,
    late_ms: 2_500,
    claim_ms: 30_000,
    spare: 0,
};
const SUSPENDED: Size = Size {
    jobs: 4,
    at_once: 4,
    kills: 0,
    claim_ms: 1_000,
    spare: 4,
    ..SMALL
};

/// What one kill hit.
struct Kill {
    /// Jobs that the service said were running.
    running: usize,
    /// Requests that were under way at the CRM, and broke off.
    broken_off: usize,
    /// Jobs that were over.
    over: usize,
    /// Since every place was taken.
    after: Duration,
}

/// A sync of its own, with the job that was asked of it.
struct Work {
    sync: String,
    job: String,
    /// Nobody else's, so that the CRM can tell the jobs apart.
    token: String,
}

/// A CRM, the files of a service, and what happened.
struct Field {
    size: Size,
    crm: CrmSim,
    folder: tempfile::TempDir,
    works: Vec<Work>,
    /// How many requests the CRM had seen at each start of the service.
    lives: Vec<usize>,
    kills: Vec<Kill>,
    seed: u64,
}

impl Field {
    async fn new(size: Size, seed: u64) -> Field {
        let crm = crm_sim::hubspot::Config {
            contacts: size.contacts,
            limit_scale: None,
            tie_burst: 30,
            access_token_ttl_s: 86_400,
            ..crm_sim::hubspot::Config::default()
        };
        let crm = CrmSim::start(crm).await.unwrap();
        crm.begin_journal();
        crm.install_fault(Rule {
            path: Some(PathKind::List),
            when: When::Always,
            fault: Fault::Delay(size.page_ms),
        });
        let folder = tempfile::tempdir().unwrap();
        let places = size.at_once + size.spare;
        let worker = json!({
            "jobs_max": places,
            "tenant_jobs_max": places,
            "connector_jobs_max": places,
            "claim_ms": size.claim_ms,
        });
        let broker = json!({
            "limit_scale": 1e6,
            "mappings": [{ "from": "https://api.hubapi.com", "to": crm.base_url() }],
        });
        let settings = json!({
            "api": { "requests_per_second": 100_000, "requests_burst": 100_000 },
            "node": { "worker": worker, "broker": broker, "lease_ms": size.claim_ms },
        });
        std::fs::write(folder.path().join("serve.yaml"), settings.to_string()).unwrap();
        Field {
            size,
            crm,
            folder,
            works: Vec::new(),
            lives: Vec::new(),
            kills: Vec::new(),
            seed,
        }
    }

    /// Starts the service on what is there. Blocks.
    fn start(&mut self) -> Service {
        self.lives.push(self.crm.journal().len());
        let mut command = command(self.folder.path());
        command
            .arg("--config")
            .arg(self.folder.path().join("serve.yaml"));
        Service::start(self.folder.path(), command)
    }

    /// Makes a sync for each job, then asks for the jobs. Blocks.
    fn ask(&mut self, service: &Service) {
        service.upload(&guest("hubspot"));
        let lake = self.folder.path().join("lake");
        for at in 0..self.size.jobs {
            let sync = format!("crm-{at}");
            let token = self.crm.issue_tokens().access_token;
            let put = |kind: &str, body: Value| {
                service.must("PUT", &format!("/v1/{kind}/{sync}"), &body);
            };
            put("secrets", json!({ "value": token }));
            let connection = json!({
                "connector": "hubspot",
                "config": { "auth": "private_app" },
                "secrets": { "token": format!("${{secret:{sync}}}") },
            });
            put("connections", connection);
            let landing = ["append", "append_dedup"][at % 2];
            let document = json!({
                "connection": sync,
                "streams": [{
                    "name": "contacts", "mode": "incremental", "landing": landing,
                    "fields": ["email"], "partitions_max": 1,
                }],
                "target": { "url": format!("file://{}", lake.display()), "format": "jsonl.zst" },
                "batch": { "rows_max": 200 },
            });
            put("syncs", document);
            let job = String::new();
            self.works.push(Work { sync, job, token });
        }
        for work in &mut self.works {
            let path = format!("/v1/syncs/{}/jobs", work.sync);
            let job = service.must("POST", &path, &Value::Null);
            work.job = job["id"].as_str().unwrap().to_owned();
        }
    }

    /// Starts, kills and starts again until all jobs are over. Blocks.
    fn play(mut self, kills_max: usize) -> Field {
        let mut service = self.start();
        let key = service.key.clone();
        self.ask(&service);
        while self.kills.len() < kills_max && self.wait_until_full(&service) {
            self.kill(service);
            service = self.start();
            service.key.clone_from(&key);
        }
        self.finish(service);
        self
    }

    /// Waits for the end of every job. Blocks.
    fn finish(&self, service: Service) {
        for work in &self.works {
            let job = service.job_to_end(&work.job);
            assert_eq!(job["state"], "succeeded", "{job}\n{}", service.log());
            let attempts = service.must(
                "GET",
                &format!("/v1/jobs/{}/attempts", work.job),
                &json!(null),
            );
            self.check_attempts(work, &job, &attempts["items"]);
        }
        assert!(service.end().success());
    }

    /// Stops for a while, as with the whole machine, again and again. Blocks.
    fn suspend(mut self) -> Field {
        let service = self.start();
        self.ask(&service);
        for _ in 0..3 {
            if !self.wait_until_full(&service) {
                break;
            }
            service.suspend(Duration::from_millis(self.size.claim_ms * 2));
            std::thread::sleep(Duration::from_millis(self.size.claim_ms / 2));
        }
        self.finish(service);
        self
    }

    /// False when too few jobs are left to take every place. Blocks.
    fn wait_until_full(&self, service: &Service) -> bool {
        let since = self.lives[self.lives.len() - 1];
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            if self.count(service, "succeeded") + self.size.at_once > self.size.jobs {
                return false;
            }
            let journal = self.crm.journal();
            let asking: BTreeSet<_> = journal[since..].iter().map(|seen| &seen.token).collect();
            if asking.len() >= self.size.at_once {
                return true;
            }
            assert!(
                Instant::now() < deadline,
                "{} jobs ask\n{}",
                asking.len(),
                service.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn count(&self, service: &Service, state: &str) -> usize {
        let path = format!("/v1/jobs?limit=200&state={state}");
        let page = service.must("GET", &path, &Value::Null);
        page["items"].as_array().unwrap().len()
    }

    /// Blocks.
    fn kill(&mut self, service: Service) {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        let after = Duration::from_millis(self.seed % self.size.late_ms);
        std::thread::sleep(after);
        let (running, over) = (
            self.count(&service, "running"),
            self.count(&service, "succeeded"),
        );
        service.kill();
        let since = self.lives[self.lives.len() - 1];
        // The CRM learns of it in a moment.
        let is_under_way = |seen: &Seen| seen.ended.is_none();
        while self.crm.journal().iter().any(is_under_way) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let journal = self.crm.journal();
        let broken_off = journal[since..]
            .iter()
            .filter(|seen| !seen.answered)
            .count();
        self.kills.push(Kill {
            running,
            broken_off,
            over,
            after,
        });
    }

    /// A life of the service begins a job once at the most, and no two attempts of it
    /// were at the same time.
    fn check_attempts(&self, work: &Work, job: &Value, attempts: &Value) {
        let begun = job["attempts"].as_u64().unwrap();
        let lives = self.lives_of(work).len() as u64;
        assert!(
            (lives..=self.lives.len() as u64).contains(&begun),
            "{begun} attempts in {lives} lives: {job}"
        );
        let attempts = attempts.as_array().unwrap();
        for pair in attempts.windows(2) {
            let ended = pair[0]["ended_at_ms"].as_u64();
            assert!(ended <= pair[1]["started_at_ms"].as_u64(), "{attempts:?}");
        }
    }

    /// What the CRM was asked for a job, by life of the service.
    fn lives_of(&self, work: &Work) -> BTreeMap<usize, Vec<Seen>> {
        let mut lives: BTreeMap<usize, Vec<Seen>> = BTreeMap::new();
        for (at, seen) in self.crm.journal().into_iter().enumerate() {
            if seen.token == work.token {
                let life = self.lives.partition_point(|start| *start <= at);
                lives.entry(life).or_default().push(seen);
            }
        }
        lives
    }

    /// One job asks for one page after another. Two at once would ask at the same time
    /// or, however they took turns, for a page that the other has had.
    fn check_alone(&self) {
        for work in &self.works {
            for (life, asked) in self.lives_of(work) {
                for pair in asked.windows(2) {
                    assert!(
                        pair[0].ended.is_some_and(|ended| ended <= pair[1].began),
                        "{} at once in life {life}: {pair:?}",
                        work.job
                    );
                }
                // A search says in its body for what it asks.
                let is_page = |target: &&str| target.contains('?');
                let pages = asked.iter().map(|seen| seen.target.as_str());
                let pages: Vec<&str> = pages.filter(is_page).collect();
                let once: BTreeSet<&str> = pages.iter().copied().collect();
                assert_eq!(
                    pages.len(),
                    once.len(),
                    "{} asked twice: {pages:?}",
                    work.job
                );
            }
        }
    }

    async fn check_rows(&self) {
        let lake = self.folder.path().join("lake");
        let target: Arc<dyn Target> = Arc::new(DirectoryTarget::open(&lake).unwrap());
        let truth = truth_of(&self.crm);
        let newest_of_truth = newest(&truth);
        for work in &self.works {
            let landed = rows_of("default", &work.sync, &target).await;
            assert_same(&landed, &truth, &work.sync);
            assert_eq!(newest(&landed), newest_of_truth, "{}", work.sync);
        }
    }
}

/// What a reader keeps that wants each key once.
fn newest(rows: &Rows) -> BTreeMap<&str, &str> {
    // Sorted by key and version: the last of a key stays.
    let rows = rows.keys();
    rows.map(|(key, version)| (key.as_str(), version.as_str()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_amid_running_jobs_lose_and_double_nothing_and_no_job_runs_twice_at_once() {
    let size = if is_proof() { WHOLE } else { SMALL };
    let mut seed = 0x2545_F491_4F6C_DD1D;
    let (mut kills, mut jobs, mut rows, mut requests) = (Vec::new(), 0, 0, 0);
    while kills.len() < size.kills {
        let field = Field::new(size, seed).await;
        let left = size.kills - kills.len();
        let played = tokio::task::spawn_blocking(move || field.play(left));
        let field = played.await.unwrap();
        field.check_alone();
        field.check_rows().await;
        assert!(
            !field.kills.is_empty(),
            "the jobs were over before the first kill"
        );
        for kill in &field.kills {
            assert!(kill.running >= size.at_once / 2, "{} ran", kill.running);
        }
        let broken_off: usize = field.kills.iter().map(|kill| kill.broken_off).sum();
        assert!(broken_off > 0, "nothing was under way");
        jobs += size.jobs;
        rows += size.jobs * size.contacts as usize;
        requests += field.crm.journal().len();
        seed = field.seed;
        kills.extend(field.kills);
    }
    let mut page = format!(
        "# The service, killed amid its jobs\n\n{} kills of `tidegate serve` (SIGKILL) amid {jobs} jobs of {} contacts, \
         {} at once: {jobs} jobs succeeded, {rows} rows landed, 0 lost, 0 doubled. The CRM saw {requests} requests, \
         none of a job while another of it was under way, and no page twice in one life of the service.\n\n\
         | kill | jobs running | requests broken off | jobs over | ms since all places were taken |\n|---:|---:|---:|---:|---:|\n",
        kills.len(),
        size.contacts,
        size.at_once
    );
    for (at, kill) in kills.iter().enumerate() {
        let (
            Kill {
                running,
                broken_off,
                over,
                after,
            },
            number,
        ) = (kill, at + 1);
        writeln!(
            page,
            "| {number} | {running} | {broken_off} | {over} | {} |",
            after.as_millis()
        )
        .unwrap();
    }
    proof_fragment("service-kills", &page);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_slept_past_its_claims_takes_none_of_its_own_jobs_twice() {
    let field = Field::new(SUSPENDED, 1).await;
    let played = tokio::task::spawn_blocking(move || field.suspend());
    let field = played.await.unwrap();
    field.check_alone();
    field.check_rows().await;
}
