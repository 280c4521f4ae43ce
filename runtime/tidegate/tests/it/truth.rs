//! What every connector promises, held against the simulator of its API: a history and
//! three increments with edits, ties, creations, deletions, late commits, records that
//! move while they are read, and faults; then what landed equals the truth, exactly.

mod compare;
mod lake;
mod people;

use crate::endpoint::Endpoint;
use crate::oauth::authorize;
use crate::site::{Site, SyncDocument, is_proof, proof_fragment, shown, summary};
use compare::Differences;
use crm_sim::Simulator;
use lake::Landed;
use people::People;
use serde_json::{Value, json};
use std::sync::Arc;
use tidegate_landing::target::Target;

/// What is particular about a CRM.
pub(crate) struct Crm {
    /// Of the connector, and of the page with its figures.
    pub(crate) name: &'static str,
    /// Below `connection.config`.
    pub(crate) config: &'static str,
    pub(crate) streams: &'static [Stream],
    /// How far the CRM's clock is behind ours, in milliseconds. Then hours of the CRM
    /// pass between runs, so that no look-back heals what a run has missed. 0 where the
    /// connector goes by our clock.
    pub(crate) clock_behind_ms: i64,
    /// Of the simulator, for the control API's `settings`.
    pub(crate) settings: &'static str,
    /// Faults for the control API; the argument is how many of a thousand requests each
    /// of them strikes.
    pub(crate) faults: fn(u32) -> Vec<Value>,
    /// Answers that no connector can make sense of: the run fails and the next goes on.
    pub(crate) nonsense: &'static [&'static str],
}

/// What is particular about a stream.
pub(crate) struct Stream {
    pub(crate) name: &'static str,
    /// The simulator's name of its records.
    pub(crate) kind: &'static str,
    /// `incremental`, or `full_refresh` where there is nothing else.
    pub(crate) mode: &'static str,
    /// The API tells of deletes.
    pub(crate) tells_deletes: bool,
    /// What is deleted may come back.
    pub(crate) undeletes: bool,
    /// Pointer to where the record lies in a row.
    pub(crate) record_at: &'static str,
    /// Members that the simulator's truth has and the stream does not, or that change
    /// without a new version. Paths, with dots; `*` is any one name.
    pub(crate) not_compared: &'static [&'static str],
    /// The connector reads pages again by design, so one run may land a record twice.
    pub(crate) reads_again: bool,
    /// Records that get one and the same time of modification.
    pub(crate) ties: usize,
}

impl Stream {
    /// A stream with nothing particular about it.
    pub(crate) const fn of(name: &'static str) -> Stream {
        Stream {
            name,
            kind: name,
            mode: "incremental",
            tells_deletes: false,
            undeletes: false,
            record_at: "",
            not_compared: &[],
            reads_again: false,
            ties: 450,
        }
    }
}

/// Faults that every API knows, each for so many of a thousand requests.
pub(crate) fn usual_faults(per_mille: u32) -> Vec<Value> {
    let faults = [
        json!({"status": 500}),
        json!({"status": 502}),
        json!({"status": 503}),
        json!({"cut": 400}),
        json!({"delay": 100}),
    ];
    let share = |(seed, fault)| json!({"when": {"share": {"per_mille": per_mille, "seed": seed}}, "fault": fault});
    (1..).zip(faults).map(share).collect()
}

/// A fault for a few requests, after as many have passed.
pub(crate) fn at(skip: u32, take: u32, fault: &Value) -> Value {
    json!({"when": {"ordinal": {"skip": skip, "take": take}}, "fault": fault})
}

/// How many records of all streams together: a million in proofs.
pub(crate) fn records(small: u32) -> u32 {
    if is_proof() { 1_000_000 } else { small }
}

/// The limits are the simulator's; tests of them are elsewhere.
const UNLIMITED: &str = "limit_scale: .inf";
/// Rounds of changes after the history.
const ROUNDS: u32 = 3;
/// Between two runs, by the clock of a CRM that is behind ours: more than any look-back.
const BETWEEN_RUNS_MS: i64 = 2 * 3_600_000;
/// How far before the end of the last run a late commit is dated.
const LATE_MS: i64 = 20_000;
/// Runs in which nonsense may be met until one must succeed.
const FAILURES_MAX: u32 = 4;

/// Figures of all runs.
#[derive(Default)]
struct Figures {
    runs: u32,
    failed: u32,
    rows: u64,
    requests: u64,
    seconds: f64,
    peak_bytes: u64,
    compared: u64,
}

struct Proof<'a> {
    crm: &'a Crm,
    site: Site<Arc<dyn Simulator>>,
    target: Arc<dyn Target>,
    people: People,
    landed: Vec<Landed>,
    figures: Figures,
}

/// Runs the whole proof on a simulator that was just started, into a directory.
pub(crate) async fn check(crm: &Crm, simulator: Arc<dyn Simulator>) {
    let site = connected(crm, simulator, UNLIMITED).await;
    let target = site.lake();
    check_at(crm, site, target).await;
}

/// The same, into a bucket.
pub(crate) async fn check_on_s3(crm: &Crm, simulator: Arc<dyn Simulator>) {
    let endpoint = Endpoint::find().await;
    let prefix = format!("truth-{}-{}", crm.name, std::process::id());
    let site = Site::around(simulator);
    let document = endpoint.document(&prefix, "jsonl.zst");
    write_documents(crm, &site, UNLIMITED, &document);
    endpoint.admit(&site);
    consent(&site).await;
    let target = endpoint.target(&prefix);
    check_at(crm, site, target).await;
}

async fn check_at(crm: &Crm, site: Site<Arc<dyn Simulator>>, target: Arc<dyn Target>) {
    let mut proof = Proof::prepare(crm, site, target);
    let began_ms = proof.people.now_ms();
    proof.run("history", true).await;
    let mut last_ms = began_ms;
    for round in 1..=ROUNDS {
        proof.people.pass(BETWEEN_RUNS_MS / 2);
        proof.people.change(last_ms - LATE_MS);
        proof.people.pass(BETWEEN_RUNS_MS / 2);
        if round == ROUNDS {
            proof.talk_nonsense();
        }
        last_ms = proof.people.now_ms();
        proof.run(&format!("round {round}"), true).await;
    }
    proof
        .site
        .crm
        .steer("DELETE", "faults", &Value::Null)
        .unwrap();
    proof.people.pass(BETWEEN_RUNS_MS);
    proof.run("the end", false).await;
    proof.publish();
}

/// The documents of a sync of all streams, authorised; `broker` is of the operator's
/// file.
pub(crate) async fn connected(
    crm: &Crm,
    simulator: Arc<dyn Simulator>,
    broker: &str,
) -> Site<Arc<dyn Simulator>> {
    let site = Site::around(simulator);
    let target = "{ url: 'file://{folder}/lake', format: jsonl.zst }";
    write_documents(crm, &site, broker, target);
    consent(&site).await;
    site
}

fn write_documents(crm: &Crm, site: &Site<Arc<dyn Simulator>>, broker: &str, target: &str) {
    let simulator = &*site.crm;
    let mut auth = format!("config: {}\n", crm.config);
    if let Some((client_id, client_secret)) = simulator.app() {
        site.write("client-secret", &client_secret);
        auth.push_str(&format!(
            "  oauth_app: {{ client_id: {client_id}, client_secret: '${{file:{{folder}}/client-secret}}' }}\n"
        ));
    }
    let keys = simulator.keys();
    if !keys.is_empty() {
        auth.push_str("  secrets:\n");
    }
    for (name, secret) in keys {
        site.write(name, &secret);
        auth.push_str(&format!("    {name}: '${{file:{{folder}}/{name}}}'\n"));
    }
    let stream = |stream: &Stream| {
        let (name, mode) = (stream.name, stream.mode);
        format!("\n  - {{ name: {name}, mode: {mode}, landing: append_dedup }}")
    };
    let streams: Vec<String> = crm.streams.iter().map(stream).collect();
    site.write_sync(&SyncDocument {
        connector: crm.name,
        auth: &auth,
        streams: &streams.concat(),
        target,
        batch: "{ rows_max: 200000 }",
    });
    site.write_operator(simulator, broker);
}

/// A person consents, where one is asked.
async fn consent(site: &Site<Arc<dyn Simulator>>) {
    if site.crm.app().is_some() {
        authorize(site).await;
    }
}

impl<'a> Proof<'a> {
    fn prepare(crm: &'a Crm, site: Site<Arc<dyn Simulator>>, target: Arc<dyn Target>) -> Proof<'a> {
        let simulator = Arc::clone(&site.crm);
        let steer = |method: &str, path: &str, body: &Value| {
            simulator.steer(method, path, body).unwrap();
        };
        let settings: Value = serde_json::from_str(crm.settings).unwrap();
        steer("POST", "settings", &settings);
        let behind = json!({"clock_shift_ms": -crm.clock_behind_ms});
        steer("POST", "settings", &behind);
        let per_mille = if is_proof() { 2 } else { 15 };
        for rule in (crm.faults)(per_mille) {
            steer("POST", "faults", &rule);
        }
        let landed = crm.streams.iter().map(Landed::new).collect();
        Proof {
            crm,
            people: People::new(simulator, crm),
            site,
            target,
            landed,
            figures: Figures::default(),
        }
    }

    /// Strikes one request of the next runs with each answer of the CRM's nonsense.
    fn talk_nonsense(&self) {
        for (skip, wrong) in (2..).step_by(2).zip(self.crm.nonsense) {
            let rule = at(skip, 1, &json!({"wrong_json": wrong}));
            self.site.crm.steer("POST", "faults", &rule).unwrap();
        }
    }

    /// Runs the sync, people working meanwhile, and compares what landed.
    async fn run(&mut self, when: &str, meanwhile: bool) {
        self.people.begin_run();
        let working = self.people.clone();
        let run = async {
            let mut output = self.site.run(self.site.sync()).await;
            let mut failed = 0;
            while !output.status.success() {
                failed += 1;
                let may_fail = when == "round 3" && !self.crm.nonsense.is_empty();
                assert!(
                    may_fail && failed < FAILURES_MAX,
                    "{when}: {}",
                    shown(&output)
                );
                output = self.site.run(self.site.sync()).await;
            }
            (output, failed)
        };
        let (output, failed) = tokio::select! {
            done = run => done,
            never = working.work(), if meanwhile => match never {},
        };
        let summary = summary(&output);
        assert_eq!(summary["state"], "succeeded", "{when}: {summary}");
        self.figures.failed += failed;
        self.figures.add(&summary);
        let mut differences = Differences::default();
        // Who goes on after a failure begins where the last checkpoint is, or anew.
        let once = failed == 0;
        for (landed, stream) in self.landed.iter_mut().zip(self.crm.streams) {
            let unsettled = self.people.unsettled(stream);
            compare::compare(
                &*self.site.crm,
                stream,
                &unsettled,
                (landed, once),
                &self.target,
                &mut differences,
            )
            .await;
        }
        self.figures.compared += differences.compared;
        differences.assert_none(&format!("{} after {when}", self.crm.name));
    }

    fn publish(&self) {
        let Figures {
            runs,
            failed,
            rows,
            requests,
            seconds,
            peak_bytes,
            compared,
        } = &self.figures;
        let counters = self
            .site
            .crm
            .steer("GET", "counters", &Value::Null)
            .unwrap();
        let count = |name: &str| counters[name].as_u64().unwrap_or_default();
        assert!(count("faulted") > 0, "no fault struck: {counters}");
        let kinds = self.crm.streams.iter().map(|stream| {
            let current = self.site.crm.current(stream.kind).unwrap();
            format!("{} {}", current.count(), stream.name)
        });
        let kinds: Vec<String> = kinds.collect();
        let done = self.people.done();
        let text = format!(
            "# What lands of {name} is the simulator's truth\n\n\
             A history and {ROUNDS} rounds of changes, then a last run; records move while each of them is read, and faults strike.\n\n\
             | | |\n|---|---:|\n\
             | records at the end | {kinds} |\n\
             | edited, of which late commits | {edited}, {late} |\n\
             | created, deleted, brought back | {created}, {deleted}, {back} |\n\
             | edited, created or deleted while a run was reading | {meanwhile} |\n\
             | runs, of which failed on nonsense and went on | {all}, {failed} |\n\
             | rows that landed | {rows} |\n\
             | requests, of which struck by a fault | {requests}, {faulted} |\n\
             | throttled, refused for an expired token, refreshed | {throttled}, {unauthorized}, {refreshes} |\n\
             | seconds of all runs, development profile | {seconds:.1} |\n\
             | peak memory of a run | {peak} MB |\n\
             | records compared field by field | {compared} |\n\
             | **lost, stale, doubled, unexpected, different** | **0, 0, 0, 0, 0** |\n",
            name = self.crm.name,
            kinds = kinds.join(", "),
            edited = done.edited,
            late = done.late,
            created = done.created,
            deleted = done.deleted,
            back = done.back,
            meanwhile = done.meanwhile,
            all = runs + failed,
            faulted = count("faulted"),
            throttled = count("throttled"),
            unauthorized = count("unauthorized"),
            refreshes = count("refreshes"),
            peak = peak_bytes / 1_000_000,
        );
        proof_fragment(&format!("truth-{}", self.crm.name), &text);
    }
}

impl Figures {
    fn add(&mut self, summary: &Value) {
        let count = |name: &str| summary[name].as_u64().unwrap_or_default();
        self.runs += 1;
        self.rows += count("rows");
        self.requests += count("requests");
        self.seconds += summary["seconds"].as_f64().unwrap_or_default();
        self.peak_bytes = self.peak_bytes.max(count("peak_rss_bytes"));
    }
}
