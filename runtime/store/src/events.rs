//! The outbox: what subscribers hear is written with what happened, and delivered
//! at least once.
//!
//! Who hears of an event is decided after it was written, by whoever knows what
//! subscriptions mean ([`EventStore::dispatch`]), so that nothing waits for it.

use crate::Error;
use async_trait::async_trait;
use tidegate_domain::id::{OwnerToken, TenantId};

/// The kind of the event that tells of a delivery that was given up.
pub const GIVEN_UP: &str = "delivery.given_up";

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Its kind, as `noun.verb`: `job.finished`.
    pub kind: String,
    /// What it happened to.
    pub subject: String,
    /// More, as JSON text. No secrets.
    pub body: String,
}

/// Something that happened, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRow {
    /// Grows over all tenants; never used twice.
    pub seq: u64,
    /// Whose.
    pub tenant: TenantId,
    /// When, in milliseconds since the epoch.
    pub at_ms: u64,
    /// What.
    pub event: NewEvent,
}

/// An event on its way to one subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The event.
    pub event: EventRow,
    /// The document of kind `subscription` of the event's tenant.
    pub subscription: String,
    /// Times that it was tried before.
    pub tried: u32,
    /// When it was first to be delivered, in milliseconds since the epoch; what the
    /// time to give up counts from.
    pub since_ms: u64,
    /// Under whose claim it is.
    pub owner: OwnerToken,
}

/// How far a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It will be tried.
    Pending,
    /// The subscriber has it.
    Delivered,
    /// It was tried long enough.
    GivenUp,
}

/// A delivery, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRow {
    /// The event's number.
    pub event: u64,
    /// The event's kind.
    pub kind: String,
    /// How far it is.
    pub state: DeliveryState,
    /// Times that it was tried.
    pub tried: u32,
    /// When it is tried next, in milliseconds since the epoch, if it is pending.
    pub next_at_ms: u64,
    /// Why the last try failed.
    pub error: Option<String>,
}

/// What came of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tried {
    /// The subscriber has it.
    Delivered,
    /// Try again at this time.
    Again {
        /// In milliseconds since the epoch.
        at_ms: u64,
        /// Why it failed.
        error: String,
    },
    /// It was tried long enough, or nobody wants it any more.
    GivenUp {
        /// Why it failed.
        error: String,
    },
}

/// How many deliveries are taken at once. What is under a claim counts, so that one
/// subscriber that does not answer, or one tenant with many of them, holds up no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryCaps {
    /// In one answer.
    pub taken_max: u32,
    /// Of one tenant.
    pub tenant_max: u32,
    /// To one subscription.
    pub subscription_max: u32,
}

/// Deliveries to be tried, and when to look again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DueDeliveries {
    /// Under the caller's claim. Tenants in turn; of one, longest due first.
    pub due: Vec<Delivery>,
    /// The next time at which another comes due, in milliseconds since the epoch.
    /// What is due and was not taken, because of a cap or a claim, is not counted.
    pub next_at_ms: Option<u64>,
}

/// Events and their deliveries.
#[async_trait]
pub trait EventStore: Send + Sync {
    /// The tenant's events after one, by number, `limit` at the most.
    async fn events(
        &self,
        tenant: &TenantId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<EventRow>, Error>;

    /// Events of all tenants that were not dispatched, oldest first.
    async fn undispatched(&self, limit: u32) -> Result<Vec<EventRow>, Error>;

    /// Notes for every event up to `through` who is to hear of it: number of the event
    /// and subscription. False, and nothing done, where `from`, the first that was not
    /// dispatched, is no longer that.
    async fn dispatch(
        &self,
        from: u64,
        through: u64,
        to: Vec<(u64, String)>,
        now_ms: u64,
    ) -> Result<bool, Error>;

    /// Takes deliveries that are due, for `lifetime_ms`, but none to the subscriptions
    /// `except`.
    async fn claim_deliveries(
        &self,
        owner: OwnerToken,
        now_ms: u64,
        lifetime_ms: u64,
        caps: DeliveryCaps,
        except: Vec<(TenantId, String)>,
    ) -> Result<DueDeliveries, Error>;

    /// Says what came of a try. False, and nothing done, where the claim ran out and
    /// passed to another, or the delivery is gone. Giving up is an event of its own,
    /// [`GIVEN_UP`].
    async fn settle_delivery(&self, delivery: &Delivery, tried: Tried) -> Result<bool, Error>;

    /// Deliveries to a tenant's subscription after an event, by number.
    async fn deliveries(
        &self,
        tenant: &TenantId,
        subscription: &str,
        after: u64,
        limit: u32,
    ) -> Result<Vec<DeliveryRow>, Error>;
}
