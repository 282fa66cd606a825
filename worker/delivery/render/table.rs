//! The templates by name, and what they may call.
//!
//! One more notice is a folder under `templates/email`, its files in `files`, a file with its context under `notices`, and a line in
//! [`NOTICES`]. `compile` compiles what stands here.

use super::{
    notices::{
        Kind,
        confirmation::Confirmation,
        preferences_link::PreferencesLink,
        waitlist::{Accepted, Closed, Expired, Joined, Offer, Reminder},
        welcome::Welcome,
    },
    wrap,
};
use handlebars::Handlebars;

/// A template; the texts of its parts are in `files`.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) name: &'static str,
}

/// The mail that carries a tip.
pub(super) const WEEKLY_TIP: Parts = Parts { name: "weekly_tip" };

/// The mail of a broadcast.
pub(super) const BROADCAST: Parts = Parts { name: "broadcast" };

/// The mails that say something to one person, each with the context that it is filled with.
pub(super) static NOTICES: [Kind; 10] = [
    Kind::of::<Confirmation>(Parts { name: "confirmation" }),
    Kind::of::<Confirmation>(Parts { name: "reminder" }),
    Kind::of::<Welcome>(Parts { name: "welcome" }),
    Kind::of::<PreferencesLink>(Parts { name: "preferences_link" }),
    Kind::of::<Joined>(Parts { name: "joined" }),
    Kind::of::<Offer>(Parts { name: "offer" }),
    Kind::of::<Reminder>(Parts { name: "offer_reminder" }),
    Kind::of::<Expired>(Parts { name: "expired" }),
    Kind::of::<Accepted>(Parts { name: "accepted" }),
    Kind::of::<Closed>(Parts { name: "closed" }),
];

/// What a template may not call; what is left is `if`, `unless` and `each`, and `wrap` in text parts.
const UNWANTED: [&str; 14] = ["with", "lookup", "raw", "log", "eq", "ne", "gt", "gte", "lt", "lte", "and", "or", "not", "len"];

impl Parts {
    /// The name of a part, as errors give it.
    pub(super) fn part(&self, part: &str) -> String {
        format!("{}/{part}", self.name)
    }
}

/// Every template.
pub(super) fn all() -> impl Iterator<Item = &'static Parts> {
    [&WEEKLY_TIP, &BROADCAST].into_iter().chain(NOTICES.iter().map(|kind| &kind.parts))
}

/// A registry for text parts and subjects.
pub(super) fn plain_registry() -> Handlebars<'static> {
    let mut plain = registry();
    plain.register_escape_fn(handlebars::no_escape);
    plain.register_helper("wrap", Box::new(wrap::helper));
    plain
}

/// A strict registry in which templates may call nothing but the short list.
pub(super) fn registry() -> Handlebars<'static> {
    let mut registry = Handlebars::new();
    registry.set_strict_mode(true);
    for name in UNWANTED {
        registry.unregister_helper(name);
    }
    registry
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn templates_may_call_nothing_but_the_short_list() {
        let registry = registry();
        let context = json!({ "a": [1] });
        assert_eq!(registry.render_template("{{#each a}}{{this}}{{/each}}{{#if a}}x{{/if}}", &context).unwrap(), "1x");
        for call in ["{{lookup a 0}}", "{{log a}}", "{{#with a}}{{this}}{{/with}}", "{{len a}}", "{{eq 1 1}}", "{{env \"PATH\"}}"] {
            assert!(registry.render_template(call, &context).is_err(), "{call}");
        }
    }

    #[test]
    fn every_notice_has_a_name_of_its_own_and_samples() {
        for (at, kind) in NOTICES.iter().enumerate() {
            assert!(NOTICES[..at].iter().all(|other| other.parts.name != kind.parts.name), "{}", kind.parts.name);
            assert!(!(kind.samples)().is_empty(), "{}", kind.parts.name);
        }
    }
}
