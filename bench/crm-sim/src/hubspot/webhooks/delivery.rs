//! Delivering events: in batches, signed, in no order, again and again until they are
//! taken or given up.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::signature::{v1, v3};
use super::{Batch, EVENTS_MAX, Webhooks};
use crate::hubspot::account::Account;
use crate::outbox::post;

/// Attempts of one delivery at most, the first included.
const ATTEMPTS_MAX: u32 = 11;

/// An attempt to deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// How many events it held.
    pub events: usize,
    /// How often they had been tried before.
    pub attempt: u32,
    /// What the receiver answered; nothing where it did not in time.
    pub status: Option<u16>,
}

/// Delivers until dropped.
pub(crate) async fn deliver(account: Arc<Account>) {
    loop {
        let due = account.webhooks.next_due();
        match due {
            Some(due) if due <= Instant::now() => {}
            Some(due) => {
                tokio::select! {
                    () = account.webhooks.woken.notified() => {}
                    () = tokio::time::sleep_until(due) => {}
                }
                continue;
            }
            None => {
                account.webhooks.woken.notified().await;
                continue;
            }
        }
        if let Some(batch) = account.webhooks.take() {
            attempt(&account, batch).await;
        }
    }
}

async fn attempt(account: &Account, mut batch: Batch) {
    let Some(settings) = account.webhooks.settings() else {
        return;
    };
    for event in &mut batch.events {
        event["attemptNumber"] = json!(batch.attempt);
    }
    let patience = Duration::from_millis(account.config.webhook_patience_ms);
    let sent = send(account, &settings.target_url, &batch.events);
    let status = match tokio::time::timeout(patience, sent).await {
        Ok(Ok(status)) => Some(status),
        // Whatever kept the receiver from answering, the events are tried again.
        Ok(Err(_)) | Err(_) => None,
    };
    let wait = Duration::from_millis(account.config.webhook_retry_ms);
    account.webhooks.settle(batch, status, wait);
}

async fn send(account: &Account, url: &str, events: &[Value]) -> anyhow::Result<u16> {
    let body = Value::Array(events.to_vec()).to_string();
    let secret = &account.config.client_secret;
    let now_ms = account.clock.now_ms();
    let headers = vec![
        ("user-agent", "HubSpot Connect 2.0 (simulated)".to_owned()),
        ("x-hubspot-request-timestamp", now_ms.to_string()),
        ("x-hubspot-signature-v3", v3(secret, url, &body, now_ms)),
        ("x-hubspot-signature", v1(secret, &body)),
        ("x-hubspot-signature-version", "v1".to_owned()),
    ];
    post(url, &headers, body).await
}

impl Webhooks {
    /// When the next batch is due.
    fn next_due(&self) -> Option<Instant> {
        let state = self.lock();
        if !state.waiting.is_empty() {
            return Some(Instant::now());
        }
        state.retries.iter().map(|batch| batch.due).min()
    }

    /// A batch that is due: fresh events first.
    fn take(&self) -> Option<Batch> {
        let mut state = self.lock();
        let count = state.waiting.len().min(EVENTS_MAX);
        let mut events: Vec<Value> = state.waiting.drain(..count).collect();
        if !events.is_empty() {
            // Nothing promises an order.
            events.reverse();
            return Some(Batch {
                events,
                attempt: 0,
                due: Instant::now(),
            });
        }
        let now = Instant::now();
        let due = state.retries.iter().position(|batch| batch.due <= now)?;
        Some(state.retries.swap_remove(due))
    }

    /// Notes how an attempt ended, and tries again later what was not taken.
    fn settle(&self, mut batch: Batch, status: Option<u16>, wait: Duration) {
        let mut state = self.lock();
        state.deliveries.push(Delivery {
            events: batch.events.len(),
            attempt: batch.attempt,
            status,
        });
        let is_taken = status.is_some_and(|status| (200..300).contains(&status));
        if !is_taken && batch.attempt + 1 < ATTEMPTS_MAX {
            batch.attempt += 1;
            batch.due = Instant::now() + wait;
            state.retries.push(batch);
        }
    }
}
