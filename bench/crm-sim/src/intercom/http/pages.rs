//! Pages of lists, of searches and of the scroll.

use std::io::Write as _;

use serde_json::{Value, json};

use super::Exchange;
use crate::intercom::account::Account;
use crate::intercom::company;
use crate::intercom::cursor::Cursor;
use crate::intercom::kind::Kind;
use crate::intercom::problem::Problem;
use crate::intercom::scroll::PAGE_RECORDS;
use crate::intercom::search::{self, Request};
use crate::meter::add;
use crate::records::{Shown, Snapshot, TimeOrder, View};
use crate::reply::{Reply, short_page};

/// Records in a page of a cursor list at most.
const PER_PAGE_MAX: u64 = 150;
/// Companies in a page of their list at most.
const COMPANIES_PER_PAGE_MAX: u64 = 60;

/// Renders records into a list, no more of them than a fault lets through.
struct Sheet {
    out: Vec<u8>,
    keep: usize,
    shown: usize,
}

impl Exchange<'_> {
    fn sheet(&self, kind: Kind, records: u64) -> Sheet {
        let records = usize::try_from(records).unwrap_or(0);
        let (name, key) = match kind {
            Kind::Conversations => ("conversation.list", "conversations"),
            _ => ("list", "data"),
        };
        let mut out = Vec::with_capacity(256 + records * Account::record_bytes(kind));
        // Writing to memory cannot fail, here and below.
        let _written = write!(out, "{{\"type\":\"{name}\",\"{key}\":[");
        Sheet {
            out,
            keep: short_page(&self.damage),
            shown: 0,
        }
    }

    fn show(&self, kind: Kind, sheet: &mut Sheet, view: &View<'_>) {
        if sheet.shown == sheet.keep {
            return;
        }
        if sheet.shown > 0 {
            sheet.out.push(b',');
        }
        self.account
            .render(kind, self.version, view, &mut sheet.out);
        sheet.shown += 1;
    }

    fn close(&self, mut sheet: Sheet, rest: &Value) -> Reply {
        sheet.out.push(b']');
        if let Value::Object(members) = rest {
            for (name, value) in members {
                let _written = write!(sheet.out, ",\"{name}\":{value}");
            }
        }
        sheet.out.push(b'}');
        add(&self.account.meter.records, sheet.shown as u64);
        Reply::json(200, sheet.out)
    }

    /// A whole number of the query, from 1 on.
    fn number(&self, name: &str, default: u64, max: u64) -> Result<u64, Problem> {
        let Some(text) = self.query.get(name) else {
            return Ok(default);
        };
        let number = text
            .parse()
            .ok()
            .filter(|number| (1..=max).contains(number));
        number.ok_or_else(|| Problem::invalid(name, format!("{name} must be between 1 and {max}")))
    }

    /// A page of contacts or conversations, by cursor. Their order promises nothing
    /// about time.
    pub(super) fn list(&self, kind: Kind) -> Result<Reply, Problem> {
        let default = if kind == Kind::Contacts { 50 } else { 20 };
        let per_page = self.number("per_page", default, PER_PAGE_MAX)?;
        let after = self
            .query
            .get("starting_after")
            .filter(|text| !text.is_empty());
        let after = after.map(|text| Cursor::parse(text, kind)).transpose()?;
        let records = self.account.records(kind);
        let total = records.live_count() as u64;
        let mut sheet = self.sheet(kind, per_page);
        let mut last_ms = 0;
        let from = after.map_or(0, |after| after.id + 1);
        let limit = usize::try_from(per_page).unwrap_or(0);
        let page = records.walk(from, limit, Shown::Live, |view| {
            last_ms = view.row.created_ms;
            self.show(kind, &mut sheet, view);
        });
        let last = page.next_after.map(|id| (last_ms, id));
        let pages = paging(
            kind,
            after.map_or(1, |after| after.page),
            per_page,
            total,
            last,
        );
        Ok(self.close(sheet, &json!({"total_count": total, "pages": pages})))
    }

    pub(super) fn search(&self, kind: Kind) -> Result<Reply, Problem> {
        let request = Request::parse(self.account, kind, self.body)?;
        let per_page = request.per_page as u64;
        let mut sheet = self.sheet(kind, per_page);
        let found = search::page(self.account, kind, &request, |view| {
            self.show(kind, &mut sheet, view);
        });
        let number = request.after.map_or(1, |after| after.page);
        let pages = paging(kind, number, per_page, found.total, found.last);
        Ok(self.close(sheet, &json!({"total_count": found.total, "pages": pages})))
    }

    /// Companies: one by its own number or by its name, or a numbered page of them.
    pub(super) fn companies(&self) -> Result<Reply, Problem> {
        let account = self.account;
        for name in ["company_id", "name"] {
            if let Some(text) = self.query.get(name) {
                let id = account.find(Kind::Companies, name, text);
                return self.read(Kind::Companies, &Kind::Companies.wire_id(id.unwrap_or(0)));
            }
        }
        let per_page = self.number("per_page", 15, COMPANIES_PER_PAGE_MAX)?;
        let page = self.number("page", 1, u64::from(u32::MAX))?;
        if (page - 1) * per_page >= u64::from(account.config.companies_listed_max) {
            return Err(Problem::bad_request(
                "page limit reached, please use the scroll API",
            ));
        }
        let records = account.records(Kind::Companies);
        let total = records.live_count() as u64;
        let mut sheet = self.sheet(Kind::Companies, per_page);
        let overlay = records.overlay();
        let all = (i64::MIN, 0)..(i64::MAX, 0);
        let skip = usize::try_from((page - 1) * per_page).unwrap_or(usize::MAX);
        let take = usize::try_from(per_page).unwrap_or(0);
        let ordered = records.by_time(
            &overlay,
            all,
            TimeOrder::NewestFirst,
            Shown::Live,
            Snapshot::NOW,
        );
        let visible = ordered.filter(|view| company::is_visible(account, view));
        visible
            .skip(skip)
            .take(take)
            .for_each(|view| self.show(Kind::Companies, &mut sheet, &view));
        let total_pages = total.div_ceil(per_page);
        let next = (page < total_pages).then(|| {
            let base = &account.base_url;
            format!("{base}/companies?per_page={per_page}&page={}", page + 1)
        });
        let pages = json!({"type": "pages", "next": next, "page": page, "per_page": per_page, "total_pages": total_pages});
        Ok(self.close(sheet, &json!({"total_count": total, "pages": pages})))
    }

    /// A page of the scroll, which moves on even if its answer gets lost.
    pub(super) fn scroll(&self) -> Result<Reply, Problem> {
        let account = self.account;
        let now_ms = account.clock.now_ms();
        let place = match self.query.get("scroll_param") {
            Some(parameter) => account.scrolls.resume(parameter, now_ms)?,
            None => account.scrolls.open(account.uuid(), now_ms)?,
        };
        let records = account.records(Kind::Companies);
        let mut sheet = self.sheet(Kind::Companies, PAGE_RECORDS as u64);
        let (mut from, mut visible) = (place.from, 0);
        while visible == 0 {
            let page = records.walk(from, PAGE_RECORDS, Shown::Live, |view| {
                from = view.row.id + 1;
                if company::is_visible(account, view) {
                    visible += 1;
                    self.show(Kind::Companies, &mut sheet, view);
                }
            });
            if page.next_after.is_none() {
                break;
            }
        }
        if visible == 0 {
            account.scrolls.end();
        } else {
            account.scrolls.advance(from, now_ms);
        }
        Ok(self.close(
            sheet,
            &json!({"pages": null, "total_count": null, "scroll_param": place.parameter}),
        ))
    }

    /// The contacts of a company, all of them: few pages of a simulated company are
    /// full.
    pub(super) fn company_contacts(&self, id: &str) -> Result<Reply, Problem> {
        let id = self.live(Kind::Companies, id)?;
        let per_page = self.number("per_page", 50, PER_PAGE_MAX)?;
        let after = self
            .query
            .get("starting_after")
            .filter(|text| !text.is_empty());
        let after = after
            .map(|text| Cursor::parse(text, Kind::Contacts))
            .transpose()?;
        let members = company::members(self.account, id);
        let from = after.map_or(0, |after| members.partition_point(|id| *id <= after.id));
        let rest = &members[from..];
        let here = &rest[..rest.len().min(usize::try_from(per_page).unwrap_or(0))];
        let mut sheet = self.sheet(Kind::Contacts, here.len() as u64);
        let contacts = self.account.records(Kind::Contacts);
        for id in here {
            contacts.with_view(*id, |view| self.show(Kind::Contacts, &mut sheet, &view));
        }
        let last = here.last().filter(|_| here.len() < rest.len());
        let pages = paging(
            Kind::Contacts,
            after.map_or(1, |after| after.page),
            per_page,
            members.len() as u64,
            last.map(|id| (0, *id)),
        );
        Ok(self.close(
            sheet,
            &json!({"total_count": members.len(), "pages": pages}),
        ))
    }

    /// The feed of deleted conversations, by the number of the page.
    pub(super) fn deleted_conversations(&self) -> Result<Reply, Problem> {
        if !self.version.lists_deletions() {
            return Err(Problem::version());
        }
        let per_page = self.number("per_page", 20, PER_PAGE_MAX)?;
        let page = self.number("page", 1, u64::from(u32::MAX))?;
        let order = match self.query.get("order").map(String::as_str) {
            None | Some("desc") => TimeOrder::NewestFirst,
            Some("asc") => TimeOrder::OldestFirst,
            Some(_) => return Err(Problem::sort_order()),
        };
        let records = self.account.records(Kind::Conversations);
        let overlay = records.overlay();
        let all = (i64::MIN, 0)..(i64::MAX, 0);
        let gone = records.by_time(&overlay, all, order, Shown::Archived, Snapshot::NOW);
        let gone: Vec<Value> = gone
            .map(|view| {
                json!({
                    "type": "conversation",
                    "id": view.row.id.to_string(),
                    "metrics_retained": true,
                    "deleted_at": view.archived_ms.unwrap_or(0) / 1000,
                })
            })
            .collect();
        let total_pages = (gone.len() as u64).div_ceil(per_page);
        let skip = usize::try_from((page - 1) * per_page).unwrap_or(usize::MAX);
        let take = usize::try_from(per_page).unwrap_or(0);
        let here: Vec<Value> = gone.into_iter().skip(skip).take(take).collect();
        let mut pages = json!({"type": "pages", "page": page, "per_page": per_page, "total_pages": total_pages});
        if page < total_pages {
            let (base, next) = (&self.account.base_url, page + 1);
            let order = self.query.get("order").map_or("desc", String::as_str);
            pages["next"] = json!(format!(
                "{base}/conversations/deleted?page={next}&per_page={per_page}&order={order}"
            ));
        }
        add(&self.account.meter.records, here.len() as u64);
        let answer = json!({"type": "conversations.list", "conversations": here, "pages": pages});
        Ok(Reply::value(200, &answer))
    }
}

/// The `pages` of a cursor list: `next` is absent on the last one.
fn paging(kind: Kind, page: u64, per_page: u64, total: u64, last: Option<(i64, u64)>) -> Value {
    let mut pages = json!({
        "type": "pages",
        "page": page,
        "per_page": per_page,
        "total_pages": total.div_ceil(per_page),
    });
    if let Some((key_ms, id)) = last {
        let page = page + 1;
        let cursor = Cursor { key_ms, id, page };
        pages["next"] = json!({"page": page, "starting_after": cursor.text(kind)});
    }
    pages
}
