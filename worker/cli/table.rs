//! Tables, times and long JSON as every command prints them.

use comfy_table::{ContentArrangement, LineStyle, Table, presets::UTF8_HORIZONTAL_ONLY};
use jiff::Timestamp;
use serde::Serialize;
use std::fmt::Display;
use std::io::{self, BufWriter, StdoutLock, Write};

/// An empty table that will fit the terminal.
pub(super) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    let style = UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none());
    table.load_style(style).set_content_arrangement(ContentArrangement::Dynamic).set_header(header);
    table
}

/// So many of something: `1 tip`, `2 tips`.
pub(super) fn count(number: impl Display, what: &str) -> String {
    plural(number, what, &format!("{what}s"))
}

/// So many of something whose plural is a word of its own: `1 person`, `2 people`.
pub(super) fn plural(number: impl Display, one: &str, many: &str) -> String {
    let number = number.to_string();
    format!("{number} {}", if number == "1" { one } else { many })
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

/// A JSON object on standard output whose first field is a long array, printed as it comes; the other fields follow at the end.
pub(super) struct JsonLines {
    out: BufWriter<StdoutLock<'static>>,
    before: &'static str,
}

impl JsonLines {
    /// Begins the object, whose array bears this name.
    pub(super) fn new(name: &str) -> io::Result<Self> {
        let mut out = BufWriter::new(io::stdout().lock());
        write!(out, "{{\"{name}\":[")?;
        Ok(Self { out, before: "\n" })
    }

    /// Adds an element.
    pub(super) fn push(&mut self, element: &impl Serialize) -> io::Result<()> {
        write!(self.out, "{}{}", std::mem::replace(&mut self.before, ",\n"), serde_json::to_string(element)?)
    }

    /// Closes the array and prints the other fields.
    pub(super) fn end(mut self, fields: &serde_json::Map<String, serde_json::Value>) -> io::Result<()> {
        let fields = serde_json::to_string(fields)?;
        match fields.strip_prefix('{').unwrap_or(&fields) {
            "}" => writeln!(self.out, "]}}")?,
            rest => writeln!(self.out, "],\n{rest}")?,
        }
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
