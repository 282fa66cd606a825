//! Tables and times as every command prints them.

use comfy_table::{ContentArrangement, LineStyle, Table, presets::UTF8_HORIZONTAL_ONLY};
use jiff::Timestamp;

/// An empty table that will fit the terminal.
pub(super) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    let style = UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none());
    table.load_style(style).set_content_arrangement(ContentArrangement::Dynamic).set_header(header);
    table
}

/// A day, in UTC.
pub(super) fn day(at: Timestamp) -> String {
    at.strftime("%F").to_string()
}

/// A minute, in UTC.
pub(super) fn minute(at: Timestamp) -> String {
    at.strftime("%F %R").to_string()
}
