//! The pace of the settings: how fast each relay and each provider of recipients may be given mail. What is wrong with one is said when
//! the settings are read.

use super::Relay;
use crate::base::address::EmailAddress;
use jiff::civil::Date;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// The group whose numbers hold for each domain that is in no other.
pub const DEFAULT: &str = "default";

/// A group of domains that one provider takes mail for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Domains; `*.example.com` stands for all below it.
    #[serde(default, deserialize_with = "super::texts")]
    pub domains: Vec<String>,
    /// Hand-overs at the same time, of all workers together.
    pub connections: Option<u16>,
    /// Mails in a time, of all workers together.
    pub rate: Option<Rate>,
    /// Mails on each day of the plan.
    #[serde(default, deserialize_with = "numbers")]
    pub warm_up: Vec<u32>,
    /// The first day of the plan, in UTC.
    #[serde(default, deserialize_with = "date")]
    pub warm_up_from: Option<Date>,
}

/// So many mails in a second, a minute, an hour or a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub mails: u32,
    /// In how many seconds.
    pub seconds: u32,
}

const UNITS: [(&str, u32); 4] = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];

impl Rate {
    fn parse(text: &str) -> Option<Self> {
        let (mails, unit) = text.split_once('/')?;
        let (_, seconds) = UNITS.into_iter().find(|(name, _)| *name == unit.trim())?;
        let mails = mails.trim().parse().ok().filter(|mails| (1..=10_000_000).contains(mails))?;
        Some(Self { mails, seconds })
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unit = UNITS.into_iter().find(|(_, seconds)| *seconds == self.seconds).map_or("?", |(name, _)| name);
        write!(f, "{}/{unit}", self.mails)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || serde::de::Error::custom(format!("`{text}` is not a rate such as 20/s, 600/m, 1000/h or 10000/d"));
        Self::parse(&text).ok_or_else(wrong)
    }
}

/// The first key that is wrong, and why.
pub(super) fn check(relays: &BTreeMap<String, Relay>, groups: &BTreeMap<String, Group>) -> Result<(), (String, String)> {
    for (name, relay) in relays {
        plan(&relay.warm_up, relay.warm_up_from).map_err(|(key, why)| (format!("relays.{name}.{key}"), why))?;
    }
    let mut known: BTreeMap<String, &str> = BTreeMap::new();
    for (name, group) in groups {
        let wrong = |(key, why): (&str, String)| (format!("pace.{name}.{key}"), why);
        check_one(name, group).map_err(wrong)?;
        for domain in &group.domains {
            let read = domain_key(domain).ok_or_else(|| {
                wrong(("domains", format!("`{domain}` is no domain such as example.com, nor all below one, such as *.example.com")))
            })?;
            if let Some(other) = known.insert(read, name) {
                let why = match other == name {
                    true => format!("`{domain}` is named twice: leave one out"),
                    false => format!("`{domain}` is in pace.{other} too: a domain has one pace, so take it out of one of them"),
                };
                return Err(wrong(("domains", why)));
            }
        }
    }
    Ok(())
}

fn check_one(name: &str, group: &Group) -> Result<(), (&'static str, String)> {
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
        return Err(("domains", "the group's name may have letters, digits, - and _ only: domains stand in `domains`".to_owned()));
    }
    if name == DEFAULT && !group.domains.is_empty() {
        return Err(("domains", "this group is for each domain that is in no other: name no domains here".to_owned()));
    }
    if name != DEFAULT && group.domains.is_empty() {
        return Err(("domains", "it names no domains, so it would hold for none: name some, such as [\"example.com\"]".to_owned()));
    }
    if group.connections == Some(0) {
        return Err(("connections", "it must be 1 or more".to_owned()));
    }
    plan(&group.warm_up, group.warm_up_from)
}

fn plan(warm_up: &[u32], from: Option<Date>) -> Result<(), (&'static str, String)> {
    match from {
        None if !warm_up.is_empty() => Err(("warm_up_from", "the plan needs its first day, such as \"2026-12-01\"".to_owned())),
        Some(_) if warm_up.is_empty() => {
            Err(("warm_up", "there is a first day and no plan: name the mails of each day, such as [500, 1000, 2000]".to_owned()))
        }
        _ if warm_up.contains(&0) => Err(("warm_up", "each day must be 1 or more".to_owned())),
        _ => Ok(()),
    }
}

/// A domain of the settings as addresses have it: lower case, A-labels; `*.` before it stays.
pub fn domain_key(domain: &str) -> Option<String> {
    let (star, name) = domain.strip_prefix("*.").map_or(("", domain), |name| ("*.", name));
    let read = EmailAddress::parse(&format!("x@{name}")).ok()?;
    (read.local_part() == "x").then(|| format!("{star}{}", read.domain()))
}

// A list, or what stands for one in a variable.
pub(super) fn numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u32>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Entry {
        Number(u32),
        Text(String),
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Numbers {
        List(Vec<Entry>),
        One(Entry),
    }
    let read = |text: &str| {
        let text = text.trim();
        text.parse().map_err(|_| serde::de::Error::custom(format!("`{text}` is not a number of mails, such as 500")))
    };
    let entries = match Numbers::deserialize(deserializer) {
        Ok(Numbers::List(entries)) => entries,
        Ok(Numbers::One(Entry::Text(line))) => return line.split(',').filter(|entry| !entry.trim().is_empty()).map(read).collect(),
        Ok(Numbers::One(number)) => vec![number],
        Err(_) => return Err(serde::de::Error::custom("it is a list of numbers of mails, one for each day, such as [500, 1000, 2000]")),
    };
    let number = |entry| match entry {
        Entry::Number(number) => Ok(number),
        Entry::Text(text) => read(&text),
    };
    entries.into_iter().map(number).collect()
}

pub(super) fn date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = || serde::de::Error::custom(format!("`{text}` is not a day such as \"2026-12-01\""));
    match text.trim() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| wrong()),
    }
}
