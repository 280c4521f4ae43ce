//! SOQL: from the text of a query to the records that it finds.

mod bounds;
mod compile;
mod filter;
mod found;
mod parse;
mod render;
mod token;

pub(crate) use compile::{Flavour, Query, compile};
pub(crate) use filter::moment_ms;
pub(crate) use found::{Found, Place};
pub(crate) use render::{csv_header, csv_row, json_field, json_row, open_record};
