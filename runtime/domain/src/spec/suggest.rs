//! "Did you mean": the word that someone probably wanted.

/// The candidate that is nearest to `text`, if one is near enough to be a slip.
pub fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written = text.to_lowercase();
    let slips = |candidate: &str| strsim::osa_distance(&written, &candidate.to_lowercase());
    let slips_max = (written.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (slips(candidate), candidate))
        .filter(|(slips, _)| *slips <= slips_max)
        .min()
        .map(|(_, candidate)| candidate)
}

/// `; did you mean x?` where there is one to mean, or nothing.
pub fn did_you_mean<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    match nearest(text, candidates) {
        Some(candidate) => format!("; did you mean {candidate}?"),
        None => String::new(),
    }
}
