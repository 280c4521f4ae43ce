//! Bodies of CSV: they read like the JSON that the same records would have been.

use super::*;

#[test]
fn csv_rows_become_objects_of_texts() {
    let how = Extraction {
        format: BodyFormat::Csv,
        deleted: Some("/gone".to_owned()),
        ..extraction("unused")
    };
    let body = "\u{feff}id,\"na\"\"me\",at,gone\r\n1,\"a,\"\"b\"\"\nc\",5,false\n2,,6,true\n3,x\n";
    let (page, summary) = cut_text(body, &how).unwrap();
    assert_eq!(
        lines(&page),
        [
            r#"1|5|upsert|{"id":"1","na\"me":"a,\"b\"\nc","at":"5","gone":"false"}"#,
            r#"2|6|delete|{"id":"2","na\"me":null,"at":"6","gone":"true"}"#,
            r#"!the record is not an object|["3","x"]"#,
        ]
    );
    assert_eq!(summary.max_cursor.as_deref(), Some("6"));
    for bad in ["id,id\n1,2\n", "id\n\u{0}\n1"] {
        let result = cut_text(bad, &how);
        assert!(
            result.is_err() || result.unwrap().0.rows.len() == 2,
            "{bad:?}"
        );
    }
    assert_eq!(cut_text("", &how).unwrap().1, Summary::default());
    let long = format!("{}\n{}", "n".repeat(1 << 20), "1\n".repeat(2_000));
    assert!(matches!(
        cut_text(&long, &how),
        Err(CutError::TooLarge { .. })
    ));
}

#[test]
fn csv_of_fields_that_are_no_texts_reads_like_json() {
    let how = Extraction {
        format: BodyFormat::Csv,
        bare: vec!["n".to_owned(), "b".to_owned()],
        ..extraction("unused")
    };
    let body = "id,n,b,t\n1,12.50,true,12.50\n2,-1.5E7,false,true\n3,,,\n4,007,yes,a\u{0}b\n5,\"1 \",NaN,\"N/A\"\n";
    let (page, _) = cut_text(body, &how).unwrap();
    assert_eq!(
        lines(&page),
        [
            r#"1|-|upsert|{"id":"1","n":12.50,"b":true,"t":"12.50"}"#,
            r#"2|-|upsert|{"id":"2","n":-1.5E7,"b":false,"t":"true"}"#,
            r#"3|-|upsert|{"id":"3","n":null,"b":null,"t":null}"#,
            r#"4|-|upsert|{"id":"4","n":"007","b":"yes","t":"a\u0000b"}"#,
            r#"5|-|upsert|{"id":"5","n":"1 ","b":"NaN","t":"N/A"}"#,
        ]
    );
}

#[test]
fn a_body_of_csv_stays_as_it_came_until_its_rows_are_written() {
    let how = Extraction {
        format: BodyFormat::Csv,
        bare: vec!["at".to_owned()],
        ..extraction("unused")
    };
    let mut text = "\"id\",\"at\",\"text\"\n".to_owned();
    for id in 0..5_000 {
        let long = "x,\"\"\n".repeat(id % 90);
        text.push_str(&format!("\"k{id}\",\"{}\",\"{long}\"\n", 9_999 - id));
    }
    let body = Bytes::from(text.clone());
    let (page, summary) = cut(&body, &how, 7, &CutLimits::default(), None).unwrap();
    assert_eq!(page.body.as_ptr(), body.as_ptr(), "there is a second copy");
    assert_eq!((summary.records, page.rows.len()), (5_000, 5_000));
    assert_eq!(summary.first_key.as_deref(), Some("k0"));
    assert_eq!(summary.last_key.as_deref(), Some("k4999"));
    assert_eq!(summary.min_cursor.as_deref(), Some("5000"));
    assert_eq!(summary.max_cursor.as_deref(), Some("9999"));
    let whole = lines(&page);
    assert_eq!(
        whole[89],
        format!(
            "k89|9910|upsert|{{\"id\":\"k89\",\"at\":9910,\"text\":\"{}\"}}",
            "x,\\\"\\n".repeat(89)
        )
    );
    assert!(page.table.is_some() && page.side.len() < 60_000);
}

proptest! {
    /// However the rows lie, they are what one reader makes of the whole body.
    #[test]
    fn rows_of_csv_are_the_same_one_by_one_as_all_at_once(
        rows in proptest::collection::vec(
            proptest::collection::vec("[a\"\u{feff}é, \r\n0-9.-]{0,6}", 1..5), 0..20),
        crlf: bool,
        quoted: bool,
    ) {
        let style = if quoted { csv::QuoteStyle::Always } else { csv::QuoteStyle::Necessary };
        let end = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
        let mut writer = csv::WriterBuilder::new()
            .flexible(true)
            .quote_style(style)
            .terminator(end)
            .from_writer(Vec::new());
        writer.write_record(["id", "n", "t"]).unwrap();
        for row in &rows {
            writer.write_record(row).unwrap();
        }
        let body = Bytes::from(writer.into_inner().unwrap());
        let how = Extraction {
            format: BodyFormat::Csv,
            key: Vec::new(),
            cursor: None,
            bare: vec!["n".to_owned()],
            ..extraction("unused")
        };
        let (page, _) = cut(&body, &how, 7, &CutLimits::default(), None).unwrap();
        let mut scratch = crate::page::Scratch::default();
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(&body[..]);
        let mut kept = page.rows.iter();
        for row in reader.records() {
            let row = row.unwrap();
            if row.len() != 3 {
                continue;
            }
            let record = page.record(&kept.next().unwrap().record, &mut scratch);
            let record: Value = serde_json::from_slice(record).unwrap();
            for (name, cell) in ["id", "t"].into_iter().zip([&row[0], &row[2]]) {
                let expected = if cell.is_empty() { Value::Null } else { json!(cell) };
                prop_assert_eq!(&record[name], &expected);
            }
        }
        prop_assert!(kept.next().is_none());
    }
}
