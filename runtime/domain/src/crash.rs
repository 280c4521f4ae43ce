//! The names of the points at which a test may kill the process: one before and
//! one after each step of the commit protocol (`docs/commit-protocol.md`), and of a
//! token refresh.

/// Every crash point of the commit protocol, in protocol order. `A1.before`
/// stands before the step named A1, `A1.after` behind it.
pub const POINTS: &[&str] = &[
    "A0.before",
    "A0.after", // acquire the lease
    "A1.before",
    "A1.after", // read the tail of the log
    "A2.before",
    "A2.after", // fence
    "A3.before",
    "A3.after", // reconcile
    "S1.before",
    "S1.after", // extract and stage rows
    "S2.before",
    "S2.after", // make the staged file durable
    "S3.before",
    "S3.after", // seal
    "S4.before",
    "S4.after", // upload
    "S5.before",
    "S5.after", // mark uploaded
    "S6.before",
    "S6.after", // commit the slot
    "S7.before",
    "S7.after", // mark committed
    "S8.before",
    "S8.after", // remove the staged file
];

/// Every crash point of a token refresh, in its order.
pub const REFRESH_POINTS: &[&str] = &[
    "R1.before",
    "R1.after", // take the right to refresh
    "R2.before",
    "R2.after", // ask the token endpoint
    "R3.before",
    "R3.after", // salvage the sealed answer
    "R4.before",
    "R4.after", // store it
];
