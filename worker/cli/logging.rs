//! Logs go to standard error; RUST_LOG chooses what, `log.format` how.
//!
//! Whatever it chooses, no address, name or link of a person is logged: ours mask them, and what other crates say beyond INFO is
//! not to be had at all, because it is made of what passes through them.

use crate::base::config::Config;
use std::io::IsTerminal;
use tracing::{Level, Metadata};
use tracing_subscriber::{EnvFilter, Layer, filter::filter_fn, layer::SubscriberExt, util::SubscriberInitExt};

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
    let chosen = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(usual));
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let layer = if json { layer.json().boxed() } else { layer.boxed() };
    // The filters stand beside the layer, not in it (`with_filter`): there, a mere question whether something would be logged,
    // as sqlx puts one after each query, makes the next event of that thread vanish, warnings included.
    let subscriber = tracing_subscriber::registry().with(layer).with(chosen).with(filter_fn(is_safe));
    // Err: a subscriber stands already.
    let _ = subscriber.try_init();
}

// Of other crates: hyper and h2 say headers and paths, which are links to a person's page; lettre and rustls what goes over
// the wire, recipients included; sqlx whole statements, and apalis whole jobs. No directive of RUST_LOG gets there.
fn is_safe(about: &Metadata<'_>) -> bool {
    let loudest = match about.target().split("::").next().unwrap_or_default() {
        "tidings" => Level::TRACE,
        // Notices are the server's words about data.
        "sqlx" => Level::WARN,
        _ => Level::INFO,
    };
    *about.level() <= loudest
}
