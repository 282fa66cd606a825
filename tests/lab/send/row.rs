//! A row of the table: what was measured, what came out, and the bar that it is held against.

use std::fmt::Write;

use serde::Serialize;

/// One measure.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// Its number in the table of ratios.
    pub(crate) row: u8,
    /// In words.
    pub(crate) measure: String,
    /// What came out, as it is to be read.
    pub(crate) measured: String,
    /// What is to be reached, as it is to be read.
    pub(crate) bar: &'static str,
    /// Whether it was.
    pub(crate) reached: bool,
    /// The figures behind it.
    pub(crate) rounds: Vec<f64>,
}

impl Row {
    /// A row whose median must be at least `bar`.
    pub(crate) fn at_least(row: u8, measure: &str, rounds: Vec<f64>, (bar, words): (f64, &'static str)) -> Row {
        let middle = median(&rounds);
        Row { row, measure: measure.to_owned(), measured: format!("{middle:.2}"), bar: words, reached: middle >= bar, rounds }
    }

    /// A row whose median must be at most `bar`; `unit` is said behind it.
    pub(crate) fn at_most(row: u8, measure: &str, rounds: Vec<f64>, unit: &str, (bar, words): (f64, &'static str)) -> Row {
        let middle = median(&rounds);
        Row { row, measure: measure.to_owned(), measured: format!("{middle:.2}{unit}"), bar: words, reached: middle <= bar, rounds }
    }

    /// The same row with a remark behind its figure.
    pub(crate) fn remarking(mut self, remark: &str) -> Row {
        self.measured = format!("{} ({remark})", self.measured);
        self
    }
}

/// The middle one; of an even number the mean of the middle two.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[half],
        _ => f64::midpoint(sorted[half - 1], sorted[half]),
    }
}

/// All rows as a table in Markdown.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut table = "| # | measure | measured | bar | reached |\n| --- | --- | --- | --- | --- |\n".to_owned();
    for Row { row, measure, measured, bar, reached, .. } in rows {
        let reached = if *reached { "yes" } else { "no" };
        let _ = writeln!(table, "| {row} | {measure} | {measured} | {bar} | {reached} |");
    }
    table
}
