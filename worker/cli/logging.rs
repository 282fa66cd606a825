//! Logs go to standard error; RUST_LOG chooses what, `log.format` how.

use crate::base::config::Config;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Starts logging; a second call changes nothing.
pub(crate) fn start(config: &Config) {
    // The queue's worker is supervised, and an outage is said by whoever notices it first.
    start_with("warn,sqlx::pool=error,sqlx::query=error,apalis_core=off,tidings=info", config.log.format == "json");
}

/// Starts logging of warnings alone, for a command that says itself what it does. RUST_LOG chooses more.
pub(super) fn start_quietly() {
    start_with("warn", false);
}

fn start_with(usual: &str, json: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(usual));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    // Err: a subscriber stands already.
    let _ = if json { builder.json().try_init() } else { builder.try_init() };
}
