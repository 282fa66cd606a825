//! An outlet: a relay of the settings, and what mail it is for.

use super::super::relay::Relay;
use crate::base::config;

/// A relay, its name in the settings, how many connections it gets and which mail it takes.
#[derive(Debug)]
pub struct Outlet {
    /// Its name in the settings.
    pub name: String,
    /// The relay.
    pub relay: Relay,
    /// Connections of this process.
    pub connections: u16,
    /// After so many messages a connection is closed and opened anew; none: as the settings of all say.
    pub messages_per_connection: Option<u32>,
    /// Its share among the outlets of its priority.
    pub weight: u16,
    /// Of the outlets that are up those of the lowest are used.
    pub priority: u16,
    /// Slugs of the topics that are pinned to it.
    pub topics: Vec<String>,
    /// Whether what has no edition is pinned to it.
    pub transactional: bool,
    /// Whether it takes nothing but what is pinned to it.
    pub only: bool,
    /// Whether what is pinned to it may go through the others while it is down.
    pub fall_back: bool,
}

impl Outlet {
    /// An outlet for any mail.
    pub fn new(name: &str, relay: Relay, connections: u16) -> Self {
        Self {
            name: name.to_owned(),
            relay,
            connections,
            messages_per_connection: None,
            weight: 1,
            priority: 0,
            topics: Vec::new(),
            transactional: false,
            only: false,
            fall_back: false,
        }
    }

    /// The outlet of the settings.
    pub fn of(name: &str, relay: Relay, settings: &config::Relay) -> Self {
        Self {
            messages_per_connection: settings.messages_per_connection,
            weight: settings.weight,
            priority: settings.priority,
            topics: settings.topics.clone(),
            transactional: settings.transactional,
            only: settings.only,
            fall_back: settings.fall_back,
            ..Self::new(name, relay, settings.connections)
        }
    }
}
