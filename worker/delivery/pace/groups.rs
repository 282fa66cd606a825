//! Which group a recipient's domain is in.
//!
//! Built once out of the settings. An exact domain goes before a `*.`, and the longest `*.` before shorter ones.

use crate::base::{
    address::EmailAddress,
    config::{DEFAULT_GROUP, Group, domain_key},
};
use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// The name of a pace: `relay:main`, `group:gmail`, `domain:example.org`.
pub type Name = Arc<str>;

/// The groups of the settings, by domain.
#[derive(Debug, Default)]
pub(super) struct Groups {
    exact: HashMap<String, Name>,
    below: HashMap<String, Name>,
    each: bool,
}

impl Groups {
    /// Those of the settings.
    pub(super) fn new(groups: &BTreeMap<String, Group>) -> Self {
        let mut all = Self { each: groups.contains_key(DEFAULT_GROUP), ..Self::default() };
        for (name, group) in groups.iter().filter(|(name, _)| *name != DEFAULT_GROUP) {
            let name: Name = format!("group:{name}").into();
            for domain in group.domains.iter().filter_map(|domain| domain_key(domain)) {
                match domain.strip_prefix("*.") {
                    Some(below) => all.below.insert(below.to_owned(), name.clone()),
                    None => all.exact.insert(domain, name.clone()),
                };
            }
        }
        all
    }

    /// The group that an address belongs to; `None`: nothing is said about its domain.
    pub(super) fn of(&self, address: &str) -> Option<Name> {
        let domain = domain_of(address);
        if let Some(name) = self.exact.get(&*domain) {
            return Some(name.clone());
        }
        let mut rest: &str = &domain;
        while let Some((_, below)) = rest.split_once('.').filter(|_| !self.below.is_empty()) {
            if let Some(name) = self.below.get(below) {
                return Some(name.clone());
            }
            rest = below;
        }
        self.each.then(|| format!("domain:{domain}").into())
    }
}

// What is stored was read as an address once, in the spelling that was given.
fn domain_of(address: &str) -> Cow<'_, str> {
    let domain = address.trim_end().rsplit_once('@').map_or(address, |(_, domain)| domain);
    match () {
        () if !domain.is_ascii() => {
            EmailAddress::parse(address).map_or_else(|_| domain.to_lowercase(), |read| read.domain().to_owned()).into()
        }
        () if domain.bytes().any(|b| b.is_ascii_uppercase()) => domain.to_ascii_lowercase().into(),
        () => domain.into(),
    }
}
