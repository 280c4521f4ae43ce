//! Salesforce from the simulated org to the lake, through the real program: what lands is
//! the org's truth, and the org counts what was asked of it.

mod budget;
mod bulk;
mod demo;
mod history;
mod org;
mod truth;
mod values;
mod windows;
