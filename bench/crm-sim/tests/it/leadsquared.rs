//! The LeadSquared simulator.

mod activities;
mod client;
mod control;
mod keys;
mod leads;
mod limits;
mod writes;
