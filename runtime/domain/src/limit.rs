//! pure limits
