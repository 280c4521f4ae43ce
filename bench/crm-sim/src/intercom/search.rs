//! Searches: what a request asks for, and the page that answers it.

mod filter;
mod page;
mod request;

pub(crate) use self::page::{Answers, Found, page};
pub(crate) use self::request::{Order, Request, Sort};
