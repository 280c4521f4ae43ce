//! Records as JSON text, written straight into the response buffer.

use crate::clock::Instant;
use crate::generate::{Generator, number};
use crate::hubspot::schema::Schema;
use crate::json::{quoted, text_cell};
use crate::records::{Cell, View};

/// The generous size of one rendered record, for reserving buffers.
pub(crate) const RECORD_BYTES: usize = 1200;

/// Which properties appear, prepared once per distinct request.
#[derive(Debug)]
pub(crate) struct Projection {
    columns: Vec<Column>,
}

#[derive(Debug)]
struct Column {
    cell: Cell,
    /// `,"email":` - the comma is missing on the first.
    prefix: Box<[u8]>,
    escapes: bool,
}

impl Projection {
    /// The named properties and the system ones; unknown names are ignored.
    pub(crate) fn new<'a>(
        schema: &Schema,
        names: Option<impl Iterator<Item = &'a str>>,
    ) -> Projection {
        let mut columns: Vec<u16> = match names {
            Some(names) => names
                .filter_map(|name| schema.column(name.trim()))
                .collect(),
            None => schema.defaults.clone(),
        };
        columns.extend([schema.object_id, schema.created, schema.modified]);
        Projection::of(schema, columns)
    }

    /// Every property that is not archived.
    pub(crate) fn all(schema: &Schema) -> Projection {
        let count = u16::try_from(schema.properties.len()).unwrap_or(u16::MAX);
        let live = |column: &u16| !schema.property(*column).is_archived();
        Projection::of(schema, (0..count).filter(live).collect())
    }

    /// Exactly these columns.
    pub(crate) fn of(schema: &Schema, mut columns: Vec<u16>) -> Projection {
        columns.sort_unstable();
        columns.dedup();
        let columns = columns
            .into_iter()
            .enumerate()
            .map(|(place, column)| {
                let property = schema.property(column);
                let comma = if place == 0 { "" } else { "," };
                Column {
                    cell: schema.cell(column),
                    prefix: format!("{comma}\"{}\":", property.name).into_bytes().into(),
                    escapes: property.generator.escapes(),
                }
            })
            .collect();
        Projection { columns }
    }
}

/// Appends one record.
pub(crate) fn record(view: &View<'_>, projection: &Projection, out: &mut Vec<u8>) {
    let created = Instant::new(view.row.created_ms);
    let modified = Instant::new(view.row.modified_ms);
    out.extend_from_slice(b"{\"id\":\"");
    number(out, view.row.id);
    out.extend_from_slice(b"\",\"properties\":{");
    for column in &projection.columns {
        out.extend_from_slice(&column.prefix);
        match column.cell.generator {
            Generator::Created => quoted(&created, out),
            Generator::Modified => quoted(&modified, out),
            _ => text_cell(view, column.cell, column.escapes, out),
        }
    }
    out.extend_from_slice(b"},\"createdAt\":\"");
    out.extend_from_slice(&created);
    out.extend_from_slice(b"\",\"updatedAt\":\"");
    out.extend_from_slice(&modified);
    match view.archived_ms {
        None => out.extend_from_slice(b"\",\"archived\":false}"),
        Some(time_ms) => {
            out.extend_from_slice(b"\",\"archived\":true,\"archivedAt\":");
            quoted(&Instant::new(time_ms), out);
            out.push(b'}');
        }
    }
}
