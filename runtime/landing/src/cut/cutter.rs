//! One record: its key, version and operation, or why it is not landed.

use super::layout::Records;
use super::order::{Rank, Ranked};
use super::{CutError, CutLimits, Extraction, KEY_POINTERS_MAX, Summary};
use crate::json::{Paths, ROOT, Scanner, Span, Walk, quote, unescape};
use crate::moment::Moment;
use crate::page::{Page, Rejected, Row, Text};
use bytes::Bytes;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;
use tidegate_domain::record::{CursorOrder, Operation};

/// A key's or version's bytes; what sorts and joins rows is short.
const KEY_BYTES_MAX: usize = 64 << 10;

/// An extraction, ready for many records.
pub(super) struct Plan {
    paths: Paths,
    key: Vec<usize>,
    key_pointers: String,
    cursor: Option<(usize, CursorOrder)>,
    floor: Option<String>,
    deleted: Option<usize>,
    created: Option<usize>,
    lower_bound: Option<Moment>,
    present: Option<usize>,
    kind: Operation,
    /// The pointers to keep, as a tree whose slots index the list.
    project: Option<(Paths, Vec<usize>)>,
    record_bytes_max: usize,
    records_max: usize,
}

impl Plan {
    pub(super) fn compile(
        how: &Extraction,
        limits: &CutLimits,
        lower_bound: Option<&str>,
    ) -> Result<Self, CutError> {
        let invalid = |reason: String| CutError::Extraction { reason };
        if how.key.len() > KEY_POINTERS_MAX {
            return Err(invalid(format!(
                "a key joins {KEY_POINTERS_MAX} pointers at the most"
            )));
        }
        let mut paths = Paths::new();
        let mut add =
            |pointer: &String| paths.add(pointer).ok_or_else(|| CutError::pointer(pointer));
        let key = how.key.iter().map(&mut add).collect::<Result<_, _>>()?;
        let cursor = match &how.cursor {
            Some((pointer, order)) => Some((add(pointer)?, *order)),
            None => None,
        };
        let deleted = how.deleted.as_ref().map(&mut add).transpose()?;
        let created = how.created.as_ref().map(&mut add).transpose()?;
        let present = how.present.as_ref().map(&mut add).transpose()?;
        let mut kept = Paths::new();
        let mut kept_slots = Vec::new();
        for pointer in &how.project {
            let slot = add(pointer)?;
            let kept_slot = kept
                .add(pointer)
                .ok_or_else(|| CutError::pointer(pointer))?;
            if kept_slot == kept_slots.len() {
                kept_slots.push(slot);
            }
        }
        if let Some(floor) = &how.floor {
            let (_, order) = cursor.ok_or_else(|| invalid("a floor needs a cursor".to_owned()))?;
            Ranked::parse(order, floor).ok_or_else(|| {
                invalid(format!("the floor {floor:?} is not ordered as {order:?}"))
            })?;
        }
        let lower_bound = match lower_bound {
            Some(text) => Some(
                Moment::parse(text)
                    .ok_or_else(|| invalid(format!("the lower bound {text:?} is not a time")))?,
            ),
            None => None,
        };
        Ok(Plan {
            paths,
            key,
            key_pointers: how.key.join(", "),
            cursor,
            floor: how.floor.clone(),
            deleted,
            created,
            lower_bound,
            present,
            kind: how.kind,
            project: (!how.project.is_empty()).then_some((kept, kept_slots)),
            record_bytes_max: usize::try_from(limits.record_bytes_max).unwrap_or(usize::MAX),
            records_max: limits.records_max,
        })
    }

    /// The members of a record that are looked at.
    pub(super) fn members(&self) -> impl Iterator<Item = &str> {
        let members = self.paths.children(ROOT).iter();
        members.map(|member| self.paths.name(*member))
    }

    /// How cursors are compared, where records have one.
    pub(super) fn cursor_order(&self) -> Option<CursorOrder> {
        self.cursor.map(|(_, order)| order)
    }
}

/// Gathers the rows of one body.
pub(super) struct Cutter<'a> {
    text: &'a str,
    plan: &'a Plan,
    walk: Walk,
    rows: Vec<Row>,
    rejected: Vec<Rejected>,
    /// Keys and versions that are no range of the body.
    side: String,
    /// Projected records; the page's body then.
    projected: Vec<u8>,
    summary: Summary,
    least: Option<(String, Rank)>,
    greatest: Option<(String, Rank)>,
}

impl<'a> Cutter<'a> {
    pub(super) fn new(text: &'a str, plan: &'a Plan) -> Self {
        Cutter {
            text,
            plan,
            walk: Walk::new(&plan.paths),
            rows: Vec::new(),
            rejected: Vec::new(),
            side: String::new(),
            projected: Vec::new(),
            summary: Summary::default(),
            least: None,
            greatest: None,
        }
    }

    pub(super) fn finish(self, sent_at_ms: u64) -> (Page, Summary) {
        let page = Page {
            body: Bytes::from(self.projected),
            side: Bytes::from(self.side),
            rows: self.rows,
            rejected: self.rejected,
            extracted_at_ms: sent_at_ms,
            table: None,
        };
        let text = |text: &Text| match text {
            Text::Body(range) => self.text[range.start as usize..range.end as usize].to_owned(),
            Text::Side(_) => page.text(text).to_owned(),
        };
        let keyed = !self.plan.key.is_empty();
        let key_of = |row: Option<&Row>| row.filter(|_| keyed).map(|row| text(&row.key));
        let summary = Summary {
            records: page.rows.len() as u32,
            rejected: page.rejected.len() as u32,
            min_cursor: self.least.map(|(text, _)| text),
            max_cursor: self.greatest.map(|(text, _)| text),
            first_key: key_of(page.rows.first()),
            last_key: key_of(page.rows.last()),
            ..self.summary
        };
        (page, summary)
    }

    fn found(&self, slot: Option<usize>) -> Option<Span> {
        self.walk.found(slot?)
    }

    /// The text of a string, number or boolean.
    fn scalar(&self, span: Span) -> Option<Cow<'a, str>> {
        scalar(span.of(self.text))
    }

    /// What speaks against landing the record that was just walked.
    fn objection(&self, record: Span, lone_surrogate: bool) -> Option<String> {
        let limit = self.plan.record_bytes_max;
        if record.len() > limit {
            Some(format!("the record is longer than {limit} bytes"))
        } else if !record.of(self.text).starts_with('{') {
            Some("the record is not an object".to_owned())
        } else if lone_surrogate {
            Some("the record has a string with half a surrogate pair".to_owned())
        } else if self.walk.reserved {
            Some("the record has a field that starts with _tg_, which is reserved".to_owned())
        } else {
            None
        }
    }

    fn operation(&self) -> Operation {
        let flag = self.found(self.plan.deleted).and_then(|at| self.scalar(at));
        if flag.is_some_and(|flag| flag.eq_ignore_ascii_case("true")) {
            return Operation::Delete;
        }
        let created = self.found(self.plan.created).and_then(|at| self.scalar(at));
        let created = created.and_then(|text| Moment::parse(&text));
        match (created, self.plan.lower_bound) {
            (Some(created), Some(bound)) if created >= bound => Operation::Create,
            (Some(_), Some(_)) => Operation::Update,
            _ => self.plan.kind,
        }
    }

    fn key(&mut self) -> Result<Text, String> {
        let plan = self.plan;
        let missing = || format!("the record has no key at {}", plan.key_pointers);
        if let [slot] = plan.key[..] {
            let span = self.walk.found(slot).ok_or_else(missing)?;
            let text = self.scalar(span).ok_or_else(missing)?;
            return match text.len() {
                0 => Err(missing()),
                1..=KEY_BYTES_MAX => Ok(self.place(span, &text)),
                _ => Err(format!("the key is longer than {KEY_BYTES_MAX} bytes")),
            };
        }
        let start = self.side.len();
        let joined = self.join_key(missing);
        let length = self.side.len() - start;
        let joined = joined.and_then(|()| match length {
            0..=KEY_BYTES_MAX => Ok(Text::Side(range(start, start + length))),
            _ => Err(format!("the key is longer than {KEY_BYTES_MAX} bytes")),
        });
        if joined.is_err() {
            self.side.truncate(start);
        }
        joined
    }

    fn join_key(&mut self, missing: impl Fn() -> String) -> Result<(), String> {
        for (at, slot) in self.plan.key.iter().enumerate() {
            let span = self.walk.found(*slot).ok_or_else(&missing)?;
            let part = self.scalar(span).ok_or_else(&missing)?;
            if part.contains('\u{1f}') {
                return Err("a part of the key holds U+001F, which joins the parts".to_owned());
            }
            if at > 0 {
                self.side.push('\u{1f}');
            }
            self.side.push_str(&part);
        }
        Ok(())
    }

    /// Where a scalar's text is: in the body, unless it had escapes or the body goes.
    fn place(&mut self, span: Span, text: &str) -> Text {
        let quotes = usize::from(span.of(self.text).starts_with('"'));
        let inside = Span {
            start: span.start + quotes,
            end: span.end - quotes,
        };
        if self.plan.project.is_none() && inside.of(self.text) == text {
            return Text::Body(range(inside.start, inside.end));
        }
        let start = self.side.len();
        self.side.push_str(text);
        Text::Side(range(start, self.side.len()))
    }

    /// Widens the extremes by a cursor.
    fn note_cursor(&mut self, cursor: Ranked<'_>, text: &str) {
        for (extreme, wanted) in [
            (&mut self.least, Ordering::Less),
            (&mut self.greatest, Ordering::Greater),
        ] {
            match extreme {
                Some((held, rank)) => {
                    if cursor.compare(Ranked::again(held, *rank)) == wanted {
                        held.clear();
                        held.push_str(text);
                        *rank = cursor.rank();
                    }
                }
                None => *extreme = Some((text.to_owned(), cursor.rank())),
            }
        }
    }

    /// Puts the record where the page's body will be.
    fn keep(&mut self, record: Span) -> Result<Range<u32>, CutError> {
        let Some((kept, slots)) = &self.plan.project else {
            return Ok(range(record.start, record.end));
        };
        let start = self.projected.len();
        let (text, walk) = (self.text, &self.walk);
        project(
            kept,
            0,
            &|slot| walk.found(slots[slot]).map(|at| at.of(text)),
            &mut self.projected,
        );
        self.bound_projected()?;
        Ok(range(start, self.projected.len()))
    }

    fn reject(&mut self, record: Span, reason: String) -> Result<(), CutError> {
        let record = if self.plan.project.is_some() {
            let start = self.projected.len();
            self.projected
                .extend_from_slice(record.of(self.text).as_bytes());
            self.bound_projected()?;
            range(start, self.projected.len())
        } else {
            range(record.start, record.end)
        };
        self.rejected.push(Rejected { record, reason });
        Ok(())
    }

    fn bound_projected(&self) -> Result<(), CutError> {
        super::check_size(self.projected.len(), u64::from(u32::MAX))?;
        super::check_size(self.side.len(), u64::from(u32::MAX))
    }
}

impl Records for Cutter<'_> {
    fn record(&mut self, scanner: &mut Scanner<'_>) -> Result<(), CutError> {
        let plan = self.plan;
        let records_max = plan.records_max;
        if self.rows.len() + self.rejected.len() == records_max {
            return Err(CutError::TooMany { records_max });
        }
        scanner.lone_surrogate = false;
        let record = self.walk.walk(scanner, &plan.paths, &mut |_| {})?;
        if plan.present.is_some() {
            let present = self.found(plan.present).map(|at| at.of(self.text));
            if matches!(present, None | Some("null")) {
                self.summary.skipped += 1;
                return Ok(());
            }
        }
        let mut version = None;
        if let Some((slot, order)) = plan.cursor
            && let Some(span) = self.walk.found(slot)
            && let Some(text) = self.scalar(span).filter(|text| text.len() <= KEY_BYTES_MAX)
            && let Some(cursor) = Ranked::parse(order, &text)
        {
            let floor = plan.floor.as_deref();
            if let Some(floor) = floor.and_then(|floor| Ranked::parse(order, floor))
                && cursor.compare(floor).is_lt()
            {
                self.summary.skipped += 1;
                return Ok(());
            }
            self.note_cursor(cursor, &text);
            version = Some((span, text.clone()));
        }
        if let Some(reason) = self.objection(record, scanner.lone_surrogate) {
            return self.reject(record, reason);
        }
        let key = match self.key() {
            Ok(key) => key,
            Err(reason) => return self.reject(record, reason),
        };
        let version = version.map(|(span, text)| self.place(span, &text));
        let operation = self.operation();
        let record = self.keep(record)?;
        super::check_size(self.side.len(), u64::from(u32::MAX))?;
        self.summary.bytes += u64::from(record.end - record.start);
        self.summary.deletes += u32::from(operation == Operation::Delete);
        self.rows.push(Row {
            record,
            key,
            version,
            operation,
        });
        Ok(())
    }

    fn restart(&mut self) {
        *self = Cutter::new(self.text, self.plan);
    }
}

/// A place in a body, which has fewer than 2^32 bytes: `cut` has checked.
fn range(start: usize, end: usize) -> Range<u32> {
    start as u32..end as u32
}

/// The text of a string, number or boolean, from its JSON.
pub(super) fn scalar(raw: &str) -> Option<Cow<'_, str>> {
    match raw.as_bytes() {
        [b'"', .., b'"'] => {
            let inside = &raw[1..raw.len() - 1];
            if !inside.contains('\\') {
                return Some(Cow::Borrowed(inside));
            }
            let mut out = String::with_capacity(inside.len());
            unescape(inside, &mut out);
            Some(Cow::Owned(out))
        }
        [b'{' | b'[' | b'n', ..] | [] => None,
        _ => Some(Cow::Borrowed(raw)),
    }
}

/// Writes what the pointers lead to, inside the objects that they lead through;
/// false where that is nothing.
fn project<'a>(
    kept: &Paths,
    node: usize,
    found: &impl Fn(usize) -> Option<&'a str>,
    out: &mut Vec<u8>,
) -> bool {
    if let Some(slot) = kept.slot(node) {
        return found(slot)
            .inspect(|raw| out.extend_from_slice(raw.as_bytes()))
            .is_some();
    }
    let start = out.len();
    let mut any = false;
    for child in kept.children(node) {
        let before = out.len();
        out.push(if any { b',' } else { b'{' });
        quote(kept.name(*child), out);
        out.push(b':');
        if project(kept, *child, found, out) {
            any = true;
        } else {
            out.truncate(before);
        }
    }
    if any {
        out.push(b'}');
    } else if node == 0 {
        out.extend_from_slice(b"{}");
    } else {
        out.truncate(start);
    }
    any
}
