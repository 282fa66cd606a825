//! Tables, times and long JSON as every command prints them.

use comfy_table::{ContentArrangement, LineStyle, Table, presets::UTF8_HORIZONTAL_ONLY};
use jiff::Timestamp;
use serde::Serialize;
use std::io::{self, BufWriter, StdoutLock, Write};

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

/// A JSON array on standard output, one line for each element: a million of them need no memory.
pub(super) struct Array {
    out: BufWriter<StdoutLock<'static>>,
    before: &'static str,
}

impl Array {
    /// Nothing is printed before the first element or the end.
    pub(super) fn new() -> Self {
        Self { out: BufWriter::new(io::stdout().lock()), before: "[\n" }
    }

    /// Adds an element.
    pub(super) fn push(&mut self, element: &impl Serialize) -> io::Result<()> {
        write!(self.out, "{}{}", std::mem::replace(&mut self.before, ",\n"), serde_json::to_string(element)?)
    }

    /// Closes the array.
    pub(super) fn end(mut self) -> io::Result<()> {
        writeln!(self.out, "{}", if self.before == ",\n" { "\n]" } else { "[]" })?;
        self.out.flush()
    }
}

/// A reader that has seen enough, such as `head`, is no failure.
pub(super) fn unless_unread(result: anyhow::Result<()>) -> anyhow::Result<()> {
    match result {
        Err(error) if error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe) => Ok(()),
        other => other,
    }
}
