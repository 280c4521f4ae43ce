//! Rules over all text: nothing unfinished, nothing from outside, no dead links.

use super::{Source, root};

const UNFINISHED: &[&str] = &["TODO", "FIXME", "#[ignore"];

/// Places that exist on somebody's machine only.
const OUTSIDE: &[&str] = &["../shared", "/work/", "/root/", "/home/"];

/// Lines that say where a file is.
const POINTERS: &[&str] = &[
    "path",
    "include_",
    "CARGO_MANIFEST_DIR",
    "](",
    "workspace =",
];

pub(super) fn unfinished(file: &Source) -> Vec<String> {
    let lines = file.text.lines().enumerate();
    lines
        .filter(|(_, line)| UNFINISHED.iter().any(|mark| line.contains(mark)))
        .map(|(at, line)| format!("{}: {}", at + 1, line.trim()))
        .collect()
}

pub(super) fn outside(file: &Source) -> Vec<String> {
    if file.path == ".ci/run" {
        return Vec::new();
    }
    let mut wrong = Vec::new();
    for (at, line) in file.text.lines().enumerate() {
        let at = at + 1;
        if let Some(place) = OUTSIDE.iter().find(|place| line.contains(*place)) {
            wrong.push(format!("{at}: mentions {place}"));
        }
        let crate_relative = line.contains("CARGO_MANIFEST_DIR");
        if POINTERS.iter().any(|pointer| line.contains(pointer))
            && climbs(line) > depth(&file.path, crate_relative)
        {
            wrong.push(format!("{at}: leads out of the repository"));
        }
    }
    wrong
}

/// The longest run of `../` in a line.
fn climbs(line: &str) -> usize {
    let mut longest = 0;
    let mut rest = line;
    while let Some(start) = rest.find("../") {
        let mut run = 0;
        rest = &rest[start..];
        while let Some(after) = rest.strip_prefix("../") {
            rest = after;
            run += 1;
        }
        longest = longest.max(run);
    }
    longest
}

/// How many folders a file, or its crate, lies below the root.
fn depth(path: &str, crate_relative: bool) -> usize {
    let inside = ["/src/", "/tests/"]
        .iter()
        .find_map(|folder| path.find(folder));
    match inside.filter(|_| crate_relative) {
        Some(end) => path[..end].split('/').count(),
        None => path.split('/').count() - 1,
    }
}

pub(super) fn dead_links(file: &Source) -> Vec<String> {
    if !file.path.ends_with(".md") {
        return Vec::new();
    }
    let folder = root().join(&file.path);
    let folder = folder.parent().expect("a file lies in a folder");
    file.text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', ' ']).next())
        .filter(|link| !link.contains("://") && !link.starts_with('#'))
        .map(|link| link.split('#').next().unwrap_or(link))
        .filter(|link| !folder.join(link).exists())
        .map(|link| format!("the link {link} leads nowhere"))
        .collect()
}
