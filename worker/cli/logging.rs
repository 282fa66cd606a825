//! Logs go to standard error; RUST_LOG chooses what, `log.format` how.

use crate::base::config::Config;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Starts logging; a second call changes nothing.
pub fn start(config: &Config) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,sqlx::pool=error,tidings=info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // Err: a subscriber stands already, in tests.
    let _ = match config.log.format.as_str() {
        "json" => builder.json().try_init(),
        _ => builder.try_init(),
    };
}
