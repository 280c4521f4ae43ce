//! What a provider allows in how much time.

/// Who shares a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One connection.
    Connection,
    /// All connections to one account of the provider.
    RemoteAccount,
    /// All users of one application registration.
    Application,
}

/// A calendar period, in the provider's zone (IANA name; none means UTC).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Period {
    /// A day.
    Day(Option<String>),
    /// A month.
    Month(Option<String>),
}

/// How units are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LimitRule {
    Paced(u32),
    Rolling,
    Fixed,
    Calendar(Period),
    Concurrent,
}

/// One limit of the provider. Several may name one bucket; a request must pass
/// all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    pub(crate) buckets: Vec<String>,
    pub(crate) scope: Scope,
    pub(crate) rule: LimitRule,
    pub(crate) capacity: u32,
    pub(crate) per_ms: u64,
    pub(crate) remaining_header: Option<String>,
    pub(crate) reset_header: Option<String>,
    pub(crate) costs: Costs,
}

/// What the contract says in the manifest's `extra` of a limit: which requests it
/// counts how.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Costs {
    #[serde(skip_serializing_if = "Option::is_none")]
    counts: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_header: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_pointer: Option<String>,
}

impl Limit {
    fn new(rule: LimitRule, capacity: u32, per_ms: u64) -> Self {
        Self {
            buckets: Vec::new(),
            scope: Scope::Connection,
            rule,
            capacity,
            per_ms,
            remaining_header: None,
            reset_header: None,
            costs: Costs::default(),
        }
    }

    /// Never more than `capacity` in any window of `per_ms`.
    #[must_use]
    pub fn rolling(capacity: u32, per_ms: u64) -> Self {
        Self::new(LimitRule::Rolling, capacity, per_ms)
    }

    /// One unit every `per_ms / capacity`, in bursts of up to `burst`.
    #[must_use]
    pub fn paced(capacity: u32, per_ms: u64, burst: u32) -> Self {
        Self::new(LimitRule::Paced(burst), capacity, per_ms)
    }

    /// `capacity` in each slice of `per_ms`, aligned to the epoch.
    #[must_use]
    pub fn fixed(capacity: u32, per_ms: u64) -> Self {
        Self::new(LimitRule::Fixed, capacity, per_ms)
    }

    /// `capacity` in each calendar period.
    #[must_use]
    pub fn calendar(capacity: u32, period: Period) -> Self {
        Self::new(LimitRule::Calendar(period), capacity, 0)
    }

    /// At most `capacity` at once.
    #[must_use]
    pub fn concurrent(capacity: u32) -> Self {
        Self::new(LimitRule::Concurrent, capacity, 0)
    }

    /// Adds a bucket that draws on this limit. Requests that name none draw on
    /// "default".
    #[must_use]
    pub fn bucket(mut self, name: impl Into<String>) -> Self {
        self.buckets.push(name.into());
        self
    }

    /// Says who shares it; else each connection has its own.
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// Response header that says how much is left.
    #[must_use]
    pub fn remaining_header(mut self, name: impl Into<String>) -> Self {
        self.remaining_header = Some(name.into());
        self
    }

    /// Response header that says when it is full again.
    #[must_use]
    pub fn reset_header(mut self, name: impl Into<String>) -> Self {
        self.reset_header = Some(name.into());
        self
    }

    /// Counts a request as one unit, whatever it costs in others of its bucket.
    #[must_use]
    pub fn counting_requests(mut self) -> Self {
        self.costs.counts = Some("requests");
        self
    }

    /// Response header that says what the request really cost.
    #[must_use]
    pub fn cost_header(mut self, name: impl Into<String>) -> Self {
        self.costs.cost_header = Some(name.into());
        self
    }

    /// JSON pointer into small answers to what the request really cost.
    #[must_use]
    pub fn cost_pointer(mut self, pointer: impl Into<String>) -> Self {
        self.costs.cost_pointer = Some(pointer.into());
        self
    }
}
