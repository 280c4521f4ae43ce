//! The records: rendered once, as many as fill the memory that they may take, and served
//! over and over with other ids, so that a page costs a copy of its bytes.

use serde_json::json;

/// Ids have one width, so that a record can be given another one where it lies.
pub(crate) const FIRST_ID: u64 = 10_000_000_000;
const ID_DIGITS: usize = 11;
/// About 70 MB.
const POOL_RECORDS: u64 = 100_000;

/// Rendered records, separated by nothing.
pub(crate) struct Records {
    pool: Vec<u8>,
    places: Vec<Place>,
    /// How many the list has.
    pub(crate) count: u64,
}

struct Place {
    start: usize,
    end: usize,
    /// Where the id is, from `start`.
    ids: [usize; 2],
}

impl Records {
    pub(crate) fn render(count: u64) -> Records {
        let mut pool = Vec::new();
        let pooled = count.clamp(1, POOL_RECORDS);
        let places = (0..pooled)
            .map(|at| {
                let start = pool.len();
                pool.extend_from_slice(record(at).as_bytes());
                let text = &pool[start..];
                let id = (FIRST_ID + at).to_string();
                let find = |from: usize| {
                    let mut windows = text[from..].windows(ID_DIGITS);
                    from + windows.position(|seen| seen == id.as_bytes()).unwrap_or(0)
                };
                let first = find(0);
                Place {
                    start,
                    end: pool.len(),
                    ids: [first, find(first + ID_DIGITS)],
                }
            })
            .collect();
        Records {
            pool,
            places,
            count,
        }
    }

    /// Appends a record.
    pub(crate) fn write(&self, at: u64, out: &mut Vec<u8>) {
        // The remainder is less than the length of a Vec.
        let place = &self.places[(at % self.places.len() as u64) as usize];
        let start = out.len();
        out.extend_from_slice(&self.pool[place.start..place.end]);
        for id in place.ids {
            let mut rest = FIRST_ID + at;
            for digit in out[start + id..start + id + ID_DIGITS].iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        }
    }

    /// Bytes of a page of so many records, about.
    pub(crate) fn page_bytes(&self, records: u64) -> usize {
        let each = self.pool.len() / self.places.len() + 2;
        each * usize::try_from(records).unwrap_or(0) + 256
    }
}

/// The properties that records have: name and HubSpot's type of it.
pub(crate) const PROPERTIES: [(&str, &str); 22] = [
    ("address", "string"),
    ("city", "string"),
    ("company", "string"),
    ("country", "string"),
    ("createdate", "datetime"),
    ("customer_tier", "enumeration"),
    ("email", "string"),
    ("firstname", "string"),
    ("hs_email_optout", "bool"),
    ("hs_lead_status", "enumeration"),
    ("hs_object_id", "number"),
    ("hubspot_owner_id", "enumeration"),
    ("interests", "enumeration"),
    ("jobtitle", "string"),
    ("lastmodifieddate", "datetime"),
    ("lastname", "string"),
    ("lifecyclestage", "enumeration"),
    ("loyalty_points", "number"),
    ("message", "string"),
    ("phone", "string"),
    ("renewal_date", "date"),
    ("zip", "string"),
];

/// A well-spread function of its argument (the splitmix64 finaliser).
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn one_of<'a>(words: &[&'a str], at: u64) -> &'a str {
    words[(at % words.len() as u64) as usize]
}

/// A contact with 26 leaf values, some of them null, some with accents, quotes or line breaks.
fn record(at: u64) -> String {
    let hash = mix(at);
    let (first, last) = (
        one_of(
            &[
                "Zoë", "Max", "Łukasz", "Anna", "Ingrid", "José", "Mia", "Olek",
            ],
            hash,
        ),
        one_of(
            &["Müller", "Nowak", "Smith", "García", "Okafor", "Lindqvist"],
            hash >> 8,
        ),
    );
    let company = format!(
        "{} \"{}\" GmbH",
        one_of(&["Atlas", "Borealis", "Cobalt", "Delta"], hash >> 12),
        at % 3_001
    );
    let (day, hour, minute) = (1 + at % 28, hash % 24, (hash >> 5) % 60);
    let created = format!(
        "2025-{:02}-{day:02}T{hour:02}:{minute:02}:17.{:03}Z",
        1 + hash % 12,
        hash % 1_000
    );
    let modified = format!(
        "2026-01-{day:02}T{hour:02}:{minute:02}:42.{:03}Z",
        (hash >> 9) % 1_000
    );
    let id = (FIRST_ID + at).to_string();
    let some = |text: String, one_in: u64| (!(hash >> 3).is_multiple_of(one_in)).then_some(text);
    let message = format!(
        "Asked for offer {}.\nCall back after {hour}:00, please.",
        hash % 100_000
    );
    json!({
        "id": id,
        "properties": {
            "address": format!("{} {}", one_of(&["Hauptstraße", "High Street", "Rue de l'Église", "Calle Mayor"], hash >> 7), hash % 250),
            "city": one_of(&["Berlin", "Köln", "Paris", "Łódź", "Sevilla", "Leeds"], hash >> 11),
            "company": company,
            "country": one_of(&["Germany", "France", "Poland", "Spain"], hash >> 11),
            "createdate": created,
            "customer_tier": some(one_of(&["gold", "silver", "bronze"], hash >> 14).to_owned(), 3),
            "email": format!("{}.{}@example-{}.com", one_of(&["zoe", "max", "lukasz", "anna"], hash), hash % 10_000_000, at % 997),
            "firstname": first,
            "hs_email_optout": one_of(&["true", "false", "false"], hash >> 15),
            "hs_lead_status": serde_json::Value::Null,
            "hs_object_id": id,
            "hubspot_owner_id": (100_000 + hash % 50).to_string(),
            "interests": some(one_of(&["sailing;chess", "running", "music;theatre"], hash >> 18).to_owned(), 2),
            "jobtitle": some(format!("Head of {}", one_of(&["Sales", "Finance", "Operations", "Research"], hash >> 16)), 4),
            "lastmodifieddate": modified,
            "lastname": format!("{last}-{}", hash % 500),
            "lifecyclestage": one_of(&["lead", "customer", "subscriber"], hash >> 20),
            "loyalty_points": (hash % 5_000).to_string(),
            "message": some(message, 2),
            "phone": format!("+49 30 {:07}", hash % 10_000_000),
            "renewal_date": format!("2027-{:02}-{day:02}", 1 + hash % 12),
            "zip": format!("{:05}", hash % 100_000),
        },
        "createdAt": created,
        "updatedAt": modified,
        "archived": false,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use serde_json::Value;

    #[test]
    fn a_record_served_again_differs_in_its_id_alone() {
        let records = Records::render(3 * POOL_RECORDS);
        let parsed = |at: u64| {
            let mut out = Vec::new();
            records.write(at, &mut out);
            serde_json::from_slice::<Value>(&out).unwrap()
        };
        let (first, mut again) = (parsed(7), parsed(7 + 2 * POOL_RECORDS));
        let id = (FIRST_ID + 7 + 2 * POOL_RECORDS).to_string();
        assert_eq!(again["id"], id);
        assert_eq!(again["properties"]["hs_object_id"], id);
        again["id"] = first["id"].clone();
        again["properties"]["hs_object_id"] = first["properties"]["hs_object_id"].clone();
        assert_eq!(first, again);
        let names: Vec<&str> = first["properties"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(names, PROPERTIES.map(|(name, _)| name));
    }
}
