//! The relays of the settings: where each is, how much it takes, and which mail is pinned to it. What is wrong with one is said when the
//! settings are read.

use super::{
    pace::{self, Rate},
    texts,
};
use jiff::civil::Date;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A relay.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relay {
    /// smtp://, smtps://, directory: or memory:, with user and password.
    pub url: SecretString,
    /// Connections of each worker process.
    #[serde(default = "ten")]
    pub connections: u16,
    /// After so many messages a connection is closed and opened anew; none: `delivery.messages_per_connection`.
    pub messages_per_connection: Option<u32>,
    /// Mails in a time, of all workers together.
    pub rate: Option<Rate>,
    /// Mails on each day of a plan.
    #[serde(default, deserialize_with = "pace::numbers")]
    pub warm_up: Vec<u32>,
    /// The first day of the plan, in UTC.
    #[serde(default, deserialize_with = "pace::date")]
    pub warm_up_from: Option<Date>,
    /// Its share among the relays of its priority.
    #[serde(default = "one")]
    pub weight: u16,
    /// Of the relays that are up those of the lowest are used.
    #[serde(default)]
    pub priority: u16,
    /// The slugs of topics whose mail goes through it and no other.
    #[serde(default, deserialize_with = "texts")]
    pub topics: Vec<String>,
    /// Whether confirmations, offers and their like go through it and no other.
    #[serde(default)]
    pub transactional: bool,
    /// Whether it takes nothing but what is pinned to it.
    #[serde(default)]
    pub only: bool,
    /// Whether what is pinned to it goes through the others while it is down, and does not wait.
    #[serde(default)]
    pub fall_back: bool,
}

impl Relay {
    /// Whether anything is pinned to it.
    pub fn has_pins(&self) -> bool {
        self.transactional || !self.topics.is_empty()
    }
}

/// The first key that is wrong, and why.
pub(super) fn check(relays: &BTreeMap<String, Relay>, pretend: bool) -> Result<(), (String, String)> {
    for (name, relay) in relays {
        if let Err((key, why)) = check_one(relay, pretend) {
            return Err((format!("relays.{name}.{key}"), why));
        }
    }
    if !relays.is_empty() && relays.values().all(|relay| relay.only) {
        let why = "each relay takes only what is pinned to it, so all other mail has none: take `only` out of one".to_owned();
        return Err(("relays".to_owned(), why));
    }
    Ok(())
}

fn check_one(relay: &Relay, pretend: bool) -> Result<(), (&'static str, String)> {
    let url = relay.url.expose_secret();
    if !pretend && (url.starts_with("directory:") || url.starts_with("memory:")) {
        let kind = url.split(':').next().unwrap_or_default();
        return Err(("url", format!("a {kind}: relay mails nobody; set delivery.pretend = true if that is what you want")));
    }
    if relay.connections == 0 {
        return Err(("connections", "it must be 1 or more".to_owned()));
    }
    if relay.messages_per_connection == Some(0) {
        return Err(("messages_per_connection", "it must be 1 or more".to_owned()));
    }
    if !(1..=1000).contains(&relay.weight) {
        let why = "it must be from 1 to 1000; a relay that is to be used only when others are down gets a higher `priority`".to_owned();
        return Err(("weight", why));
    }
    for (key, set) in [("only", relay.only), ("fall_back", relay.fall_back)] {
        if set && !relay.has_pins() {
            return Err((key, "nothing is pinned to this relay: give it `topics`, or `transactional = true`".to_owned()));
        }
    }
    if let Some(topic) = relay.topics.iter().find(|topic| topic.trim().is_empty() || topic.contains(char::is_whitespace)) {
        return Err(("topics", format!("`{topic}` is no topic's slug: `tidings topic list` shows them")));
    }
    Ok(())
}

fn ten() -> u16 {
    10
}

fn one() -> u16 {
    1
}
