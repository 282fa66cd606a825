//! What the demo shows while it works: progress bars where standard error is a terminal, plain lines everywhere.
//!
//! Nothing here goes to standard output, which is the summary's.

use indicatif::{ProgressBar, ProgressStyle};
use std::{fmt::Display, io::Write};

/// Standard error.
#[derive(Debug)]
pub(super) struct Screen;

impl Screen {
    /// The screen.
    pub(super) fn new() -> Self {
        Self
    }

    /// A line that stays. No bar may be shown meanwhile.
    pub(super) fn line(&self, text: impl Display) {
        // A reader of the lines who has gone is no reason to stop.
        let _ = writeln!(std::io::stderr(), "{text}");
    }

    /// A bar of `length` steps; shown on terminals only, cleared when it is dropped.
    pub(super) fn bar(&self, what: impl Into<String>, length: u64) -> Bar {
        let style = ProgressStyle::with_template("{prefix:<9} {bar:24} {pos:>4} of {len}  {wide_msg}").expect("the template is valid");
        Bar(ProgressBar::new(length).with_style(style).with_prefix(what.into()))
    }
}

/// A progress bar.
#[derive(Debug)]
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// How far it is, and with what.
    pub(super) fn at(&self, position: u64, of: u64, doing: impl Into<String>) {
        self.0.set_length(of);
        self.0.set_position(position);
        self.0.set_message(doing.into());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
