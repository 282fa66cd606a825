//! The demo: everything on this machine, from articles to an inbox, with a clock that is turned through weeks.
//!
//! Owns the mail catcher. Called by `cli`.

pub mod catcher;
