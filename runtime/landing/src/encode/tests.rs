#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

#[test]
fn a_full_disk_is_told_from_a_broken_one() {
    let full = EncodeError::from(io::Error::from(io::ErrorKind::StorageFull));
    assert!(matches!(full, EncodeError::Full(_)));
    assert_eq!(full.fault(), Fault::Host);
    let device = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let columns = Columns::from_json_schema(r#"{"properties":{"a":{}}}"#, &[]).unwrap();
    for format in [
        Format::JsonlZstd,
        Format::JsonlGzip,
        Format::CsvGzip,
        Format::Parquet,
    ] {
        let content = Content::Rows(tidegate_domain::record::Operation::Upsert);
        let made = encoder(format, Some(&columns), device.try_clone().unwrap(), content);
        let ended = made.and_then(Encoder::finish);
        assert!(
            matches!(ended, Err(EncodeError::Full(_))),
            "{format:?}: {ended:?}"
        );
    }
}
