//! Providers of throw-away addresses, by domain. Pure; `request` asks, and the settings say what is done about them.
//!
//! The file names well-known ones and their other names. It will never be complete: it spares an operator the commonest, and is no
//! defence.

use std::{collections::HashSet, sync::LazyLock};

static DOMAINS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| lines().collect());

/// Whether mail to this domain (lower case, A-label) is thrown away; a sub-domain of such a one is such a one.
pub(super) fn is_disposable(domain: &str) -> bool {
    let mut rest = Some(domain);
    while let Some(name) = rest {
        if DOMAINS.contains(name) {
            return true;
        }
        rest = name.split_once('.').map(|(_, parent)| parent);
    }
    false
}

fn lines() -> impl Iterator<Item = &'static str> {
    include_str!("disposable.txt").lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::address::EmailAddress;

    #[test]
    fn a_domain_and_what_lies_below_it_are_found_and_others_are_not() {
        assert!(is_disposable("mailinator.com") && is_disposable("inbox.mailinator.com"));
        assert!(!is_disposable("notmailinator.com") && !is_disposable("example.org") && !is_disposable("com"));
    }

    #[test]
    fn every_line_is_a_domain_as_addresses_have_it_and_stands_once() {
        for line in lines() {
            assert_eq!(EmailAddress::parse(&format!("a@{line}")).unwrap().domain(), line);
        }
        assert_eq!(lines().count(), DOMAINS.len());
        assert!(DOMAINS.len() >= 90, "{}", DOMAINS.len());
    }
}
