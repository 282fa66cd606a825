//! Sentences of a text.
//!
//! Owns the abbreviations after which a full stop ends nothing: Unicode's rules alone split "Dr. / Smith" and
//! "Fig. / 2". Called by `compose` for preheaders.

use unicode_segmentation::UnicodeSegmentation;

/// The sentences of a text, trimmed.
pub(crate) fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut bounds = text.split_sentence_bound_indices().peekable();
    std::iter::from_fn(move || {
        let (start, first) = bounds.next()?;
        let mut end = start + first.len();
        while bounds.peek().is_some_and(|(_, next)| goes_on(&text[start..end], next)) {
            let (at, part) = bounds.next()?;
            end = at + part.len();
        }
        Some(text[start..end].trim())
    })
    .filter(|sentence| !sentence.is_empty())
}

/// Whether what follows belongs to the same sentence.
fn goes_on(so_far: &str, next: &str) -> bool {
    // A line break is no end by itself: the text may have been wrapped.
    let wrapped = so_far.ends_with('\n') && !so_far.trim_end().ends_with(['.', '!', '?', ':', '…']);
    let so_far = so_far.trim_end();
    if wrapped || next.trim_start().starts_with(char::is_lowercase) {
        return true;
    }
    if !so_far.ends_with('.') {
        return false;
    }
    let word = so_far[..so_far.len() - 1].rsplit([' ', '(', '\n', '“', '"']).next().unwrap_or_default();
    let lower = word.to_lowercase();
    let initial = word.chars().count() == 1 && word.chars().all(char::is_uppercase);
    let dotted = word.contains('.') && word.split('.').all(|part| part.chars().count() == 1 && part.chars().all(char::is_alphabetic));
    let next_is_number = next.trim_start().starts_with(|c: char| c.is_ascii_digit());
    let before_number =
        matches!(lower.as_str(), "no" | "nr" | "vol" | "p" | "pp" | "fig" | "figs" | "eq" | "sec" | "ch" | "art" | "approx" | "ca" | "c");
    initial || (dotted && lower != "a.m" && lower != "p.m") || ABBREVIATIONS.contains(&lower.as_str()) || (before_number && next_is_number)
}

const ABBREVIATIONS: [&str; 30] = [
    "dr", "mr", "mrs", "ms", "prof", "st", "mt", "fig", "figs", "eq", "vs", "approx", "dept", "est", "al", "e.g", "i.e", "cf", "viz", "jr",
    "sr", "rev", "gen", "col", "sgt", "capt", "hon", "gov", "sen", "rep",
];

#[cfg(test)]
mod tests {
    use super::sentences;

    fn split(text: &str) -> Vec<&str> {
        sentences(text).collect()
    }

    #[test]
    fn abbreviations_initials_and_decimals_end_no_sentence() {
        assert_eq!(split("Ask Dr. Weber first. Then rest."), ["Ask Dr. Weber first.", "Then rest."]);
        assert_eq!(split("See Fig. 2 for this. It helps, e.g. Heat does."), ["See Fig. 2 for this.", "It helps, e.g. Heat does."]);
        assert_eq!(
            split("Weber et al. Found 0.4 of 100. So J. P. Weber said."),
            ["Weber et al. Found 0.4 of 100.", "So J. P. Weber said."]
        );
    }

    #[test]
    fn a_wrapped_line_goes_on() {
        assert_eq!(split("The first line\nGoes on here. And ends."), ["The first line\nGoes on here.", "And ends."]);
    }
}
