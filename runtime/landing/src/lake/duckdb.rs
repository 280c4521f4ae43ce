//! A stream as a view of DuckDB: all its logs, all its schemas, by name.

use super::{StreamView, VisibleObject};
use std::fmt::Write as _;
use tidegate_domain::record::{Format, Operation};
use tidegate_domain::schema::{ColumnType, Columns, EXTRA_COLUMN, ROW_COLUMNS};
use tidegate_domain::sync::Landing;

/// A DuckDB view over what a stream's log shows, and those of its backfills. Files of
/// different schemas are joined by the names of their columns. Under `append_dedup` it
/// yields the newest row of each key and leaves deleted keys out.
pub fn duckdb_view(view: &StreamView) -> String {
    let name = format!("{}_{}", view.key.sync, view.key.stream);
    let beside: Vec<&StreamView> = view
        .backfills
        .iter()
        .filter(|backfill| !backfill.objects.is_empty())
        .collect();
    if view.objects.is_empty() && beside.is_empty() {
        return format!("-- stream {} has no committed rows yet\n", view.key.stream);
    }
    let own = (!view.objects.is_empty()).then(|| selects(&[view]));
    let others = (!beside.is_empty()).then(|| selects(&beside));
    let rows = match (own, others) {
        (Some(own), Some(others)) => format!(
            "own AS (\n{own}),\nbackfilled AS (\n{others}),\nrows AS (\n  SELECT * FROM own\n  UNION ALL BY NAME SELECT * FROM backfilled{}\n)\n",
            superseded(view)
        ),
        (Some(all), None) | (None, Some(all)) => format!("rows AS (\n{all})\n"),
        (None, None) => String::new(),
    };
    let mut sql = format!(
        "CREATE OR REPLACE VIEW {} AS\nWITH {rows}",
        identifier(&name)
    );
    let landing = view.how.map(|how| how.landing);
    let overlaps = landing == Some(Landing::Overwrite) && !beside.is_empty();
    if landing == Some(Landing::AppendDedup) || overlaps {
        let deleted = Operation::Delete.as_str();
        put(
            &mut sql,
            format_args!(
                "SELECT * EXCLUDE (_tg_rank) FROM (\n  SELECT *, row_number() OVER (PARTITION BY _tg_key ORDER BY TRY_CAST(_tg_version AS DECIMAL(38, 9)) DESC NULLS LAST, TRY_CAST(_tg_version AS TIMESTAMPTZ) DESC NULLS LAST, _tg_version DESC NULLS LAST, _tg_extracted_at DESC, _tg_slot DESC) AS _tg_rank FROM rows\n) WHERE _tg_rank = 1 AND _tg_op <> '{deleted}';\n"
            ),
        );
    } else {
        sql.push_str("SELECT * FROM rows;\n");
    }
    sql
}

/// What a complete pass did not see is gone: a backfill that was read before it brings
/// nothing back.
fn superseded(view: &StreamView) -> &'static str {
    let is_whole = match view.how.map(|how| how.landing) {
        None | Some(Landing::Append) => false,
        Some(Landing::Overwrite) => true,
        Some(Landing::AppendDedup) => view.complete,
    };
    match is_whole {
        true => "\n  WHERE _tg_extracted_at >= (SELECT min(_tg_extracted_at) FROM own)",
        false => "",
    }
}

/// One SELECT for each object, all of them joined by name.
fn selects(views: &[&StreamView]) -> String {
    let mut sql = String::new();
    let objects = views
        .iter()
        .flat_map(|view| view.objects.iter().map(move |seen| (*view, seen)));
    for (at, (view, seen)) in objects.enumerate() {
        let glue = if at == 0 {
            "  "
        } else {
            "  UNION ALL BY NAME "
        };
        let (columns, reader) = read(view, seen);
        let slot = seen.slot;
        put(
            &mut sql,
            format_args!("{glue}SELECT {columns}, {slot} AS _tg_slot FROM {reader}\n"),
        );
    }
    sql
}

/// What to select of an object, and the function that reads it.
fn read(view: &StreamView, seen: &VisibleObject) -> (String, String) {
    let location = quoted(seen.location.trim_start_matches("file://"));
    let all = "*".to_owned();
    match seen.object.format {
        Format::Parquet => (all, format!("read_parquet({location})")),
        Format::JsonlZstd => (all, json(&location, "zstd")),
        Format::JsonlGzip => (all, json(&location, "gzip")),
        Format::CsvGzip => {
            let columns = seen.object.schema.as_ref();
            let columns = columns.and_then(|id| view.schemas.get(id));
            let selected = columns.map_or(all, typed);
            // Every value as the text that it is: a guessed type would cost digits.
            let reader = format!(
                "read_csv({location}, header=true, delim=',', quote='\"', escape='\"', all_varchar=true, nullstr='', allow_quoted_nulls=false, compression='gzip')"
            );
            (selected, reader)
        }
    }
}

fn json(location: &str, compression: &str) -> String {
    format!("read_json({location}, format='newline_delimited', compression='{compression}')")
}

/// The columns of a CSV file with the types that they have in Parquet.
fn typed(columns: &Columns) -> String {
    let [key, operation, version, extracted_at] = ROW_COLUMNS;
    let mut selected = vec![
        key.to_owned(),
        operation.to_owned(),
        version.to_owned(),
        format!("CAST({extracted_at} AS TIMESTAMPTZ) AS {extracted_at}"),
    ];
    for column in columns.as_slice() {
        let name = identifier(&column.name);
        selected.push(match column.kind {
            ColumnType::Text | ColumnType::Json => name,
            ColumnType::Boolean => format!("CAST({name} AS BOOLEAN) AS {name}"),
            ColumnType::Integer => format!("CAST({name} AS BIGINT) AS {name}"),
            ColumnType::Decimal { precision, scale } => {
                format!("CAST({name} AS DECIMAL({precision}, {scale})) AS {name}")
            }
            ColumnType::Date => format!("CAST({name} AS DATE) AS {name}"),
            // A moment may also be written as milliseconds since the epoch.
            ColumnType::Timestamp => format!(
                "coalesce(TRY_CAST({name} AS TIMESTAMPTZ), make_timestamptz(TRY_CAST({name} AS BIGINT) * 1000)) AS {name}"
            ),
        });
    }
    selected.push(EXTRA_COLUMN.to_owned());
    selected.join(", ")
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn put(sql: &mut String, text: std::fmt::Arguments<'_>) {
    sql.write_fmt(text).expect("a String takes all");
}
