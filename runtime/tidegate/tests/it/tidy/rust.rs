//! Rules over Rust files: size, names, module docs, unsafe code, connections.

use super::Source;

/// Lines of a file, its tests apart.
pub(super) const LINES_MAX: usize = 600;

const BANNED_FILES: &[&str] = &[
    "util",
    "helper",
    "manager",
    "processor",
    "common",
    "misc",
    "data",
    "info",
    "mod",
];
const BANNED_WORDS: &[&str] = &["util", "helper", "manager", "processor", "common", "misc"];
/// Functions of the contract keep its names.
const CONTRACT_NAMES: &[&str] = &["get_many"];
const DECLARATIONS: &[&str] = &["fn", "struct", "enum", "trait", "type", "mod"];

fn is_rust(file: &Source) -> bool {
    file.path.ends_with(".rs")
}

fn is_test(file: &Source) -> bool {
    file.path.ends_with("/tests.rs") || file.path.contains("/tests/")
}

/// Lines of code with their numbers, comments left out.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(at, line)| (at + 1, line))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// Who may open connections: the broker, and the demo, which plays the person at
/// the browser.
const DIALLERS: &[&str] = &["runtime/broker/", "runtime/tidegate/src/demo"];

pub(super) fn outgoing_connections(file: &Source) -> Vec<String> {
    let dials = DIALLERS.iter().any(|place| file.path.starts_with(place));
    let outside = file.path.starts_with("runtime/") && !dials;
    if !is_rust(file) || is_test(file) || !outside {
        return Vec::new();
    }
    code(&file.text)
        .filter(|(_, line)| line.contains("hyper::client") || line.contains("hyper_util::client"))
        .map(|(at, _)| format!("{at}: only the broker opens connections"))
        .collect()
}

pub(super) fn size(file: &Source) -> Vec<String> {
    if !is_rust(file) || is_test(file) {
        return Vec::new();
    }
    let text = file
        .text
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default();
    match text.lines().count() {
        lines if lines > LINES_MAX => vec![format!("has {lines} lines of at most {LINES_MAX}")],
        _ => Vec::new(),
    }
}

pub(super) fn names(file: &Source) -> Vec<String> {
    if !is_rust(file) {
        return Vec::new();
    }
    let path = file.path.trim_end_matches(".rs");
    let mut wrong: Vec<String> = path
        .split('/')
        .filter(|part| BANNED_FILES.contains(&part.trim_end_matches('s')) || *part == "utils")
        .map(|part| format!("the name {part} does not say what is inside"))
        .collect();
    let mut trait_impl: Option<String> = None;
    for (at, line) in code(&file.text) {
        let indent = line.len() - line.trim_start().len();
        if line.trim_start().starts_with("impl") && line.contains(" for ") {
            trait_impl = Some(format!("{}}}", &line[..indent]));
        } else if trait_impl.as_deref() == Some(line) {
            trait_impl = None;
        }
        for (keyword, name) in declared(line) {
            // The names in an implementation are its trait's.
            let free = trait_impl.is_none() && !is_test(file) && !CONTRACT_NAMES.contains(&name);
            if keyword == "fn" && name.starts_with("get_") && free {
                wrong.push(format!("{at}: {name} needs no get_"));
            }
            if words(name).any(|word| BANNED_WORDS.contains(&word.trim_end_matches('s'))) {
                wrong.push(format!("{at}: {name} does not say what it does"));
            }
        }
    }
    wrong
}

/// What a line declares: the keyword and the name.
fn declared(line: &str) -> Vec<(&str, &str)> {
    let tokens: Vec<&str> = line
        .split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .filter(|token| !token.is_empty())
        .collect();
    tokens
        .windows(2)
        .filter(|pair| DECLARATIONS.contains(&pair[0]))
        .map(|pair| (pair[0], pair[1]))
        .collect()
}

/// The words of a name, in lower case.
fn words(name: &str) -> impl Iterator<Item = String> {
    let mut spaced = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() || letter == '_' {
            spaced.push(' ');
        }
        if letter != '_' {
            spaced.extend(letter.to_lowercase());
        }
    }
    spaced
        .split_whitespace()
        .map(str::to_owned)
        .collect::<Vec<_>>()
        .into_iter()
}

pub(super) fn module_doc(file: &Source) -> Vec<String> {
    let exempt = file.path.ends_with("/tests.rs");
    let documented = file.text.starts_with("//!") || file.text.starts_with("#![doc");
    if !is_rust(file) || exempt || documented {
        return Vec::new();
    }
    vec!["does not start with `//!` and its reason to exist".to_owned()]
}

pub(super) fn unsafe_code(file: &Source) -> Vec<String> {
    if !is_rust(file) {
        return Vec::new();
    }
    let proven =
        file.text.contains("expect(unsafe_code, reason = ") || file.text.contains("unsafe_code,\n"); // the long form, with the reason below
    let mut wrong = Vec::new();
    for (at, line) in code(&file.text) {
        let opens = [
            "unsafe {",
            "unsafe fn",
            "unsafe impl",
            "unsafe trait",
            "unsafe extern",
        ]
        .iter()
        .any(|form| line.contains(form));
        if opens && !line.contains('"') && !proven {
            wrong.push(format!(
                "{at}: unsafe without #[expect(unsafe_code, reason = …)]"
            ));
        }
        if line.contains("allow(unsafe_code") && !line.contains("\\n") {
            wrong.push(format!(
                "{at}: use expect, which ends when it is not needed"
            ));
        }
    }
    wrong
}
