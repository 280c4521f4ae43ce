//! Record ids as they stand on the wire: a key prefix, a pod, nine base-62 digits, and a
//! suffix that makes the whole safe where case is lost.

/// Where this org lives: between the key prefix and the number.
const POD: &[u8; 3] = b"4S0";
/// In the order of ASCII, so that ids sort as their numbers do.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const SUFFIX: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

/// The 18 characters of an id.
pub(crate) fn wire_id(prefix: [u8; 3], number: u64) -> [u8; 18] {
    let mut text = [b'0'; 18];
    text[..3].copy_from_slice(&prefix);
    text[3..6].copy_from_slice(POD);
    let mut rest = number;
    for slot in text[6..15].iter_mut().rev() {
        *slot = DIGITS[usize::try_from(rest % 62).unwrap_or(0)];
        rest /= 62;
    }
    for chunk in 0..3 {
        text[15 + chunk] = SUFFIX[upper_bits(&text[chunk * 5..chunk * 5 + 5])];
    }
    text
}

/// The same as text.
pub(crate) fn wire_text(prefix: [u8; 3], number: u64) -> String {
    String::from_utf8_lossy(&wire_id(prefix, number)).into_owned()
}

/// The prefix and number of an id of 15 characters, or of 18 in any case.
pub(crate) fn parse_wire_id(text: &str) -> Option<([u8; 3], u64)> {
    let bytes = text.as_bytes();
    let mut id: [u8; 15] = bytes.get(..15)?.try_into().ok()?;
    match bytes.len() {
        15 => {}
        18 => restore_case(&mut id, &bytes[15..])?,
        _ => return None,
    }
    let (prefix, rest) = id.split_at(3);
    let digits = rest.strip_prefix(POD)?;
    let mut number: u64 = 0;
    for digit in digits {
        let value = DIGITS.iter().position(|known| known == digit)?;
        number = number.checked_mul(62)?.checked_add(value as u64)?;
    }
    Some((prefix.try_into().ok()?, number))
}

/// Gives the letters back the case that the suffix remembers.
fn restore_case(id: &mut [u8; 15], suffix: &[u8]) -> Option<()> {
    for (chunk, letter) in id.chunks_mut(5).zip(suffix) {
        let letter = letter.to_ascii_uppercase();
        let bits = SUFFIX.iter().position(|known| *known == letter)?;
        for (place, byte) in chunk.iter_mut().enumerate() {
            let upper = bits & (1 << place) != 0;
            if upper && !byte.is_ascii_alphabetic() {
                return None;
            }
            *byte = if upper {
                byte.to_ascii_uppercase()
            } else {
                byte.to_ascii_lowercase()
            };
        }
    }
    Some(())
}

/// One bit for each upper-case letter of a chunk, the first lowest.
fn upper_bits(chunk: &[u8]) -> usize {
    chunk.iter().enumerate().fold(0, |bits, (place, byte)| {
        bits | (usize::from(byte.is_ascii_uppercase()) << place)
    })
}

#[cfg(test)]
mod tests {
    use super::{parse_wire_id, wire_text};

    #[test]
    fn the_suffix_is_the_one_that_the_real_api_gives() {
        assert_eq!(wire_text(*b"001", 0), "0014S0000000000QAA");
        let (prefix, number) = parse_wire_id("0014S000007NxgWQAS").expect("a good id");
        assert_eq!(prefix, *b"001");
        assert_eq!(wire_text(prefix, number), "0014S000007NxgWQAS");
        assert_eq!(
            parse_wire_id("0034S000005YJVlQAO").map(|(prefix, _)| prefix),
            Some(*b"003")
        );
    }

    #[test]
    fn ids_survive_lost_case_and_sort_as_numbers_do() {
        let numbers = [0, 9, 35, 61, 62, 4_711, 916_132_832, 62_u64.pow(9) - 1];
        for pair in numbers.windows(2) {
            assert!(wire_text(*b"00Q", pair[0]) < wire_text(*b"00Q", pair[1]));
        }
        for number in numbers {
            let text = wire_text(*b"00Q", number);
            for spelling in [
                text.clone(),
                text.to_lowercase(),
                text.to_uppercase(),
                text[..15].to_owned(),
            ] {
                assert_eq!(
                    parse_wire_id(&spelling),
                    Some((*b"00Q", number)),
                    "{spelling}"
                );
            }
        }
        assert_eq!(parse_wire_id("0014S000007Nxg"), None);
        assert_eq!(parse_wire_id("not an id at all!"), None);
    }
}
