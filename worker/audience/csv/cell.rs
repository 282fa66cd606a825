//! One cell of a CSV file as it is written: quoted where it must be, and never taken for a formula.
//!
//! Spreadsheets run a cell that begins with one of [`SIGNS`]. Such a cell gets an apostrophe before it, and so does one that
//! has apostrophes before such a sign already, so that taking one away brings back exactly what was written.

use std::borrow::Cow;

/// What a formula begins with.
const SIGNS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// The cell that stands for a text.
pub fn cell(text: &str) -> Cow<'_, str> {
    let safe = if is_like_a_formula(text) { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) };
    match safe.starts_with('\u{feff}') || safe.contains(['"', ',', ';', '|', '\t', '\r', '\n']) || safe.trim().len() < safe.len() {
        true => Cow::Owned(format!("\"{}\"", safe.replace('"', "\"\""))),
        false => safe,
    }
}

/// The text that a field of a file stands for: without the apostrophe that kept it from being run.
pub fn restored(field: &str) -> &str {
    field.strip_prefix('\'').filter(|text| is_like_a_formula(text)).unwrap_or(field)
}

fn is_like_a_formula(text: &str) -> bool {
    text.trim_start_matches('\'').starts_with(SIGNS)
}
