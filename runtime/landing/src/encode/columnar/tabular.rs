//! Rows of CSV as the cells that their JSON would give, without the JSON.

use super::{Cell, Cutter, EncodeError, typed};
use crate::encode::misfit::Why;
use crate::json::{Paths, ROOT};
use crate::table::{Table, Values};
use std::borrow::Cow;
use std::sync::Arc;
use tidegate_domain::schema::ColumnType;

/// Which fields of a table the columns are.
pub(super) struct Fitting {
    table: Arc<Table>,
    /// By slot.
    fields: Vec<Option<usize>>,
    strays: Vec<Stray>,
}

/// A field that is no column.
struct Stray {
    field: usize,
    /// Where columns lie below it, as if it were an object.
    node: Option<usize>,
}

impl Fitting {
    fn new(table: &Arc<Table>, paths: &Paths) -> Fitting {
        let mut fields = vec![None; paths.slots()];
        let mut strays = Vec::new();
        for (field, name) in table.names().enumerate() {
            let mut nodes = paths.children(ROOT).iter().copied();
            let node = nodes.find(|node| paths.name(*node) == name);
            match node.and_then(|node| paths.slot(node)) {
                Some(slot) => fields[slot] = Some(field),
                None => strays.push(Stray { field, node }),
            }
        }
        Fitting {
            table: Arc::clone(table),
            fields,
            strays,
        }
    }
}

impl Cutter {
    /// [`Cutter::row`] of the JSON that the row would be. Where that has quotes, `each`
    /// sees the text without them.
    pub(super) fn row_of_csv<'r>(
        &mut self,
        table: &Arc<Table>,
        values: &Values<'r>,
        mut each: impl FnMut(usize, Cell<'r>, &'r str),
    ) -> Result<Option<&str>, EncodeError> {
        if !table.fits(values) {
            return Err(EncodeError::Record);
        }
        let is_known = |known: &Fitting| Arc::ptr_eq(&known.table, table);
        let fitting = match self.fitting.take().filter(is_known) {
            Some(fitting) => fitting,
            None => Fitting::new(table, &self.paths),
        };
        self.extra.clear();
        for Stray { field, node } in &fitting.strays {
            if values.at(*field).is_empty() {
                continue;
            }
            let (outer, name, why) = match node {
                Some(node) => (self.outer[*node].as_str(), None, Why::Mistyped),
                None => ("", Some(table.escaped_name(*field)), Why::Unknown),
            };
            self.extra.add(outer, name, &table.json(values, *field));
            self.misfits.add(why, outer, name);
        }
        for (at, column) in self.columns.iter().enumerate() {
            let field = column.slot.and_then(|slot| fitting.fields[slot]);
            let value = field.map_or("", |field| values.at(field));
            let cell = match field {
                Some(field) if !value.is_empty() => {
                    let json = || table.json(values, field);
                    let cell = match column.kind {
                        ColumnType::Json => Some(Cell::Text(Cow::Owned(json()))),
                        kind => typed(kind, Cow::Borrowed(value)),
                    };
                    cell.unwrap_or_else(|| {
                        self.extra.add(&column.name, None, &json());
                        self.misfits.add(Why::Mistyped, &column.name, None);
                        Cell::Null
                    })
                }
                _ => Cell::Null,
            };
            each(at, cell, value);
        }
        self.fitting = Some(fitting);
        Ok(self.extra.close())
    }
}
