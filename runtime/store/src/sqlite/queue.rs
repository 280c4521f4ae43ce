//! The queue in SQLite.

mod candidates;
mod claims;
mod enqueue;
mod reads;
mod settle;

pub(super) use claims::{expire_claims, rouse};
pub(super) use enqueue::{cancel, enqueue};

use super::SqliteStore;
use super::failure::Failure;
use crate::Error;
use crate::queue::{
    AttemptRow, Candidates, Claim, JobFilter, LogLine, QueueStore, QueuedJob, Settled, Settlement,
};
use async_trait::async_trait;
use tidegate_domain::id::{JobId, OwnerToken, SyncId, TenantId};
use tidegate_domain::job::Job;

#[async_trait]
impl QueueStore for SqliteStore {
    async fn candidates(&self, now_ms: u64) -> Result<Candidates, Error> {
        self.read("candidates", move |database| {
            candidates::find(database, now_ms)
        })
        .await
    }

    async fn claim(
        &self,
        job: &JobId,
        owner: OwnerToken,
        now_ms: u64,
        lifetime_ms: u64,
    ) -> Result<Option<(Claim, QueuedJob)>, Error> {
        let job = job.clone();
        self.write("claim", move |database| {
            claims::claim(database, job, owner, now_ms, lifetime_ms)
        })
        .await
    }

    async fn renew_claim(&self, claim: &Claim, lifetime_ms: u64) -> Result<bool, Error> {
        let claim = claim.clone();
        self.write("renew claim", move |database| {
            claims::renew(database, &claim, lifetime_ms)
        })
        .await
    }

    async fn save_job(&self, claim: &Claim, job: &Job, at_ms: u64) -> Result<(), Error> {
        let (claim, job) = (claim.clone(), job.clone());
        self.write("save job", move |database| {
            settle::save(database, &claim, &job, at_ms)
        })
        .await
    }

    async fn settle(&self, claim: &Claim, settled: Settled) -> Result<Settlement, Error> {
        let claim = claim.clone();
        self.write("settle", move |database| {
            settle::settle(database, &claim, &settled)
        })
        .await
    }

    async fn rest(&self, claim: &Claim, revision: u64) -> Result<(), Error> {
        let claim = claim.clone();
        self.write("rest", move |database| {
            claims::rest(database, &claim, revision)
        })
        .await
    }

    async fn without_live_jobs(&self, limit: u32) -> Result<Vec<(TenantId, SyncId)>, Error> {
        self.read("without live jobs", move |database| {
            reads::without_live_jobs(database, limit)
        })
        .await
    }

    async fn cancel_requests(&self) -> Result<Vec<JobId>, Error> {
        self.read("cancel requests", claims::cancel_requests).await
    }

    async fn queued_job(&self, tenant: &TenantId, id: &JobId) -> Result<Option<QueuedJob>, Error> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.read("queued job", move |database| {
            let job = reads::job(database, &id)?;
            Ok(job.filter(|job| job.row.tenant == tenant))
        })
        .await
    }

    async fn queued_jobs(
        &self,
        tenant: &TenantId,
        filter: &JobFilter,
        limit: u32,
    ) -> Result<Vec<QueuedJob>, Error> {
        let (tenant, filter) = (tenant.clone(), filter.clone());
        self.read("queued jobs", move |database| {
            reads::jobs(database, &tenant, &filter, limit)
        })
        .await
    }

    async fn attempts(&self, tenant: &TenantId, job: &JobId) -> Result<Vec<AttemptRow>, Error> {
        let (tenant, job) = (tenant.clone(), job.clone());
        self.read("attempts", move |database| {
            reads::attempts(database, &tenant, &job)
        })
        .await
    }

    async fn append_log(&self, claim: &Claim, lines: Vec<LogLine>) -> Result<(), Error> {
        let claim = claim.clone();
        self.write("append log", move |database| {
            settle::append_log(database, &claim, &lines)
        })
        .await
    }

    async fn log(
        &self,
        tenant: &TenantId,
        job: &JobId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<(u64, LogLine)>, Error> {
        let (tenant, job) = (tenant.clone(), job.clone());
        self.read("log", move |database| {
            reads::log(database, &tenant, &job, after, limit)
        })
        .await
    }
}

fn lost(claim: &Claim) -> Failure {
    Failure::Known(Error::ClaimLost {
        job: claim.job.clone(),
    })
}
