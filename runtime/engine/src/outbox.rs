//! The outbox: decides who hears of an event, and posts it until it is taken or a day
//! is over. What it knows is in the store; a killed one loses nothing, and what it was
//! posting is posted again under the same id.

mod payload;
mod post;
mod sign;
mod tries;

use crate::error::Error;
use crate::node::Node;
use post::{Failed, Poster, Signed};
use sign::SigningKey;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tidegate_domain::id::{OwnerToken, TenantId};
use tidegate_domain::spec::SubscriptionSpec;
use tidegate_store::clock::now_ms;
use tidegate_store::control::{DocumentKind, Page};
use tidegate_store::events::{Delivery, DeliveryCaps, EventRow, Tried};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Deliveries that are under way at once: of all, of one tenant, to one subscription.
const CAPS: DeliveryCaps = DeliveryCaps {
    taken_max: 64,
    tenant_max: 16,
    subscription_max: 4,
};
/// After this long another may take a delivery: well past the time that one may take.
const CLAIM_MS: u64 = 2 * post::DEADLINE.as_millis() as u64 + 30_000;
/// Events that are dispatched in one transaction.
const EVENTS_MAX: u32 = 200;
/// Documents that are read at a time.
const DOCUMENTS_PAGE: u32 = 500;
/// The longest time between two looks: others write events too.
const LOOK_MS_MAX: u64 = 500;
/// How long deliveries that are under way may still take at the end.
const GRACE: Duration = Duration::from_secs(5);

/// A subscription, over all tenants.
type Subscriber = (TenantId, String);

/// Delivers events; one per database is enough, more do no harm.
pub struct Outbox {
    node: Arc<Node>,
    poster: Arc<Poster>,
    tasks: JoinSet<Ended>,
    /// Subscribers whose last tries failed, until one succeeds.
    failing: HashMap<Subscriber, Failing>,
}

/// A subscriber that does not take what it is sent.
struct Failing {
    times: u32,
    rests_until: Instant,
}

/// What came of a delivery.
struct Ended {
    subscriber: Subscriber,
    is_taken: bool,
}

impl Outbox {
    /// An outbox over a node, under the operator's egress policy.
    ///
    /// # Errors
    /// [`Error::Broker`] where the file of extra authorities cannot be used.
    pub fn new(node: Arc<Node>) -> Result<Outbox, Error> {
        let poster = Arc::new(Poster::new(&node.config.broker)?);
        Ok(Outbox {
            node,
            poster,
            tasks: JoinSet::new(),
            failing: HashMap::new(),
        })
    }

    /// Runs until `shutdown`, then gives what is under way a moment to end.
    pub async fn run(mut self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            let look_at_ms = match self.work().await {
                Ok(look_at_ms) => look_at_ms,
                Err(error) => {
                    tracing::error!(error = %error.chain(), "the outbox cannot be read");
                    now_ms() + LOOK_MS_MAX
                }
            };
            let wait = Duration::from_millis(look_at_ms.saturating_sub(now_ms()));
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(ended) = self.tasks.join_next() => self.ended(ended),
                () = sleep(wait) => {}
            }
            while let Some(ended) = self.tasks.try_join_next() {
                self.ended(ended);
            }
        }
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(GRACE, all).await.is_err() {
            tracing::info!(
                cut_off = self.tasks.len(),
                "deliveries were cut off; they are sent again under the same id"
            );
        }
    }

    /// Dispatches what is new and begins what is due; says when to look again, in
    /// milliseconds since the epoch.
    async fn work(&mut self) -> Result<u64, Error> {
        while self.dispatch().await? {}
        let free = CAPS.taken_max - u32::try_from(self.tasks.len()).unwrap_or(CAPS.taken_max);
        let latest = now_ms() + LOOK_MS_MAX;
        if free == 0 {
            return Ok(latest);
        }
        let now = Instant::now();
        let resting = self.failing.iter().filter(|(_, it)| it.rests_until > now);
        let except = resting.map(|(subscriber, _)| subscriber.clone()).collect();
        let owner = OwnerToken::from_bytes(random());
        let caps = DeliveryCaps {
            taken_max: free,
            ..CAPS
        };
        let store = &self.node.store;
        let claimed = store
            .claim_deliveries(owner, now_ms(), CLAIM_MS, caps, except)
            .await?;
        for delivery in claimed.due {
            let (node, poster) = (Arc::clone(&self.node), Arc::clone(&self.poster));
            self.tasks.spawn(deliver(node, poster, delivery));
        }
        Ok(claimed.next_at_ms.map_or(latest, |next| next.min(latest)))
    }

    /// Notes who hears of the oldest events of which that is not decided. False where
    /// there is none.
    async fn dispatch(&self) -> Result<bool, Error> {
        let store = &self.node.store;
        let events = store.undispatched(EVENTS_MAX).await?;
        let (Some(first), Some(last)) = (events.first(), events.last()) else {
            return Ok(false);
        };
        let mut by_tenant: BTreeMap<&TenantId, Vec<(String, SubscriptionSpec)>> = BTreeMap::new();
        let mut to = Vec::new();
        for event in &events {
            if !by_tenant.contains_key(&event.tenant) {
                let found = subscriptions(&self.node, &event.tenant).await?;
                by_tenant.insert(&event.tenant, found);
            }
            let subscriptions = &by_tenant[&event.tenant];
            if subscriptions.is_empty() {
                continue;
            }
            let payload = payload::of(event);
            let hear = subscriptions
                .iter()
                .filter(|(_, spec)| spec.wants(&event.event.kind, &payload));
            to.extend(hear.map(|(id, _)| (event.seq, id.clone())));
        }
        // False where another was quicker: then this is not the front any more.
        store.dispatch(first.seq, last.seq, to, now_ms()).await?;
        Ok(true)
    }

    /// A subscriber that fails rests, the longer the more often; one success ends it.
    fn ended(&mut self, ended: Result<Ended, tokio::task::JoinError>) {
        let ended = match ended {
            Ok(ended) => ended,
            // Its claim runs out, and then it is tried again.
            Err(error) => {
                tracing::error!(%error, "a delivery's task died");
                return;
            }
        };
        if ended.is_taken {
            self.failing.remove(&ended.subscriber);
            return;
        }
        let now = Instant::now();
        self.failing
            .retain(|_, failing| failing.rests_until + tries::FORGET > now);
        let failing = self.failing.entry(ended.subscriber).or_insert(Failing {
            times: 0,
            rests_until: now,
        });
        // Several were under way: they count as one failure.
        if failing.rests_until <= now {
            failing.times = failing.times.saturating_add(1);
            let rest_ms = tries::REST.wait_ms(failing.times, random_u64());
            failing.rests_until = now + Duration::from_millis(rest_ms);
        }
    }
}

/// The tenant's subscriptions. One that cannot be read hears of nothing.
async fn subscriptions(
    node: &Node,
    tenant: &TenantId,
) -> Result<Vec<(String, SubscriptionSpec)>, Error> {
    let mut found = Vec::new();
    let mut page = Page {
        after: None,
        limit: DOCUMENTS_PAGE,
    };
    loop {
        let store = &node.store;
        let rows = store
            .documents(tenant, DocumentKind::Subscription, &page)
            .await?;
        let is_last = rows.len() < DOCUMENTS_PAGE as usize;
        page.after = rows.last().map(|row| row.id.clone());
        for row in rows {
            match serde_json::from_str(&row.body) {
                Ok(spec) => found.push((row.id, spec)),
                Err(error) => {
                    tracing::error!(tenant.id = %tenant, subscription.id = row.id, %error, "a subscription cannot be read");
                }
            }
        }
        if is_last {
            return Ok(found);
        }
    }
}

/// Posts an event once and notes what came of it.
async fn deliver(node: Arc<Node>, poster: Arc<Poster>, delivery: Delivery) -> Ended {
    let event = &delivery.event;
    let tried = match post(&node, &poster, &delivery).await {
        Ok(()) => Tried::Delivered,
        Err(failed) => after(&failed, &delivery),
    };
    if let Tried::GivenUp { error } = &tried {
        tracing::warn!(
            tenant.id = %event.tenant, subscription.id = delivery.subscription,
            event.seq = event.seq, error, "a delivery was given up"
        );
    }
    let is_taken = tried == Tried::Delivered;
    match node.store.settle_delivery(&delivery, tried).await {
        Ok(_) => {}
        // Its claim runs out, and then it is sent again, under the same id.
        Err(error) => tracing::error!(%error, "a delivery could not be settled"),
    }
    Ended {
        subscriber: (event.tenant.clone(), delivery.subscription.clone()),
        is_taken,
    }
}

/// What follows from a failed try.
fn after(failed: &Failed, delivery: &Delivery) -> Tried {
    let error = failed.error.clone();
    let next = tries::next_at_ms(
        delivery.tried + 1,
        delivery.since_ms,
        now_ms(),
        random_u64(),
    );
    match next {
        Some(at_ms) if !failed.is_final => {
            let asked_ms = failed.retry_after_ms.unwrap_or(0);
            let at_ms = at_ms.max(now_ms() + asked_ms.min(tries::BETWEEN.ceiling_ms));
            Tried::Again { at_ms, error }
        }
        _ => Tried::GivenUp { error },
    }
}

async fn post(node: &Node, poster: &Poster, delivery: &Delivery) -> Result<(), Failed> {
    let (event, id) = (&delivery.event, &delivery.subscription);
    let spec = subscription(node, event, id).await?;
    let place = format!("subscription {id}: secret");
    let secret = node.secret(&event.tenant, &spec.secret, &place).await;
    let secret = secret.map_err(|error| Failed::again(error.chain()))?;
    let key = SigningKey::of(&secret)
        .ok_or_else(|| Failed::again(format!("{place}: is not base64 after whsec_")))?;
    let payload = payload::of(event);
    let message = payload::id(event);
    let payload = match &spec.route {
        Some(route) => route.project(payload),
        None => payload,
    };
    let body = payload.to_string();
    let at_s = now_ms() / 1_000;
    let signed = Signed {
        signature: key.sign(&message, at_s, &body),
        id: message,
        at_s,
        body,
    };
    poster.post(&spec.url, signed).await
}

async fn subscription(node: &Node, event: &EventRow, id: &str) -> Result<SubscriptionSpec, Failed> {
    let kind = DocumentKind::Subscription;
    let found = node.store.document(&event.tenant, kind, id).await;
    let found = found.map_err(|error| Failed::again(error.to_string()))?;
    let row = found.ok_or_else(|| Failed::last("the subscription is gone"))?;
    serde_json::from_str(&row.body).map_err(|error| Failed::again(error.to_string()))
}

fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

fn random_u64() -> u64 {
    let bytes: [u8; 8] = *random().first_chunk().expect("there are 16 bytes");
    u64::from_le_bytes(bytes)
}
