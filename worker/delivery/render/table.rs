//! The templates by name: the texts of their parts, compiled into the binary.
//!
//! One more notice is a folder under `templates/email`, a file with its context under `notices`, and a line in [`NOTICES`].
//! `Templates::load` compiles what stands here.

use super::{
    error::TemplateError,
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

/// The texts of a template's parts.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) name: &'static str,
    pub(super) subject: &'static str,
    pub(super) text: &'static str,
    pub(super) mjml: &'static str,
}

macro_rules! parts {
    ($name:literal) => {
        Parts {
            name: $name,
            subject: include_str!(concat!("../../../templates/email/", $name, "/subject.txt.hbs")),
            text: include_str!(concat!("../../../templates/email/", $name, "/body.txt.hbs")),
            mjml: include_str!(concat!("../../../templates/email/", $name, "/body.mjml.hbs")),
        }
    };
}

/// The mail that carries a tip.
pub(super) const WEEKLY_TIP: Parts = parts!("weekly_tip");

/// The mail of a broadcast.
pub(super) const BROADCAST: Parts = parts!("broadcast");

/// The mails that say something to one person, each with the context that it is filled with.
pub(super) static NOTICES: [Kind; 10] = [
    Kind::of::<Confirmation>(parts!("confirmation")),
    Kind::of::<Confirmation>(parts!("reminder")),
    Kind::of::<Welcome>(parts!("welcome")),
    Kind::of::<PreferencesLink>(parts!("preferences_link")),
    Kind::of::<Joined>(parts!("joined")),
    Kind::of::<Offer>(parts!("offer")),
    Kind::of::<Reminder>(parts!("offer_reminder")),
    Kind::of::<Expired>(parts!("expired")),
    Kind::of::<Accepted>(parts!("accepted")),
    Kind::of::<Closed>(parts!("closed")),
];

/// What text parts include.
pub(super) const PLAIN_PARTIALS: [(&str, &str); 3] = [
    ("foot", include_str!("../../../templates/email/layout/foot.txt.hbs")),
    ("wish", include_str!("../../../templates/email/layout/wish.txt.hbs")),
    ("weekly_tip/reading.txt", include_str!("../../../templates/email/weekly_tip/reading.txt.hbs")),
];

/// What the HTML parts of notices include.
pub(super) const HTML_PARTIALS: [(&str, &str); 2] = [
    ("button", include_str!("../../../templates/email/layout/button.html.hbs")),
    ("wish", include_str!("../../../templates/email/layout/wish.html.hbs")),
];

/// What stands below a tip, in HTML.
pub(super) const READING: &str = include_str!("../../../templates/email/weekly_tip/reading.html.hbs");

/// What a template may not call; what is left is `if`, `unless` and `each`, and `wrap` in text parts.
const UNWANTED: [&str; 14] = ["with", "lookup", "raw", "log", "eq", "ne", "gt", "gte", "lt", "lte", "and", "or", "not", "len"];

impl Parts {
    /// Compiles the subject and the text part.
    pub(super) fn register_plain(&self, registry: &mut Handlebars<'static>) -> Result<(), TemplateError> {
        register(registry, &self.part("subject.txt"), self.subject)?;
        register(registry, &self.part("body.txt"), self.text)
    }

    /// The name of a part, as errors give it.
    pub(super) fn part(&self, part: &str) -> String {
        format!("{}/{part}", self.name)
    }
}

/// A registry for text parts and subjects, with what they include.
pub(super) fn plain_registry() -> Result<Handlebars<'static>, TemplateError> {
    let mut plain = registry();
    plain.register_escape_fn(handlebars::no_escape);
    plain.register_helper("wrap", Box::new(wrap::helper));
    for (name, text) in PLAIN_PARTIALS {
        register(&mut plain, name, text)?;
    }
    Ok(plain)
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

/// Compiles one part.
pub(super) fn register(registry: &mut Handlebars<'static>, part: &str, text: &str) -> Result<(), TemplateError> {
    let failed = |source| TemplateError::Handlebars { template: part.to_owned(), source: Box::new(source) };
    registry.register_template_string(part, text).map_err(failed)
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
