//! What pre-flight can find: each kind with its name, how grave it is and what an operator is to do about it.
//!
//! Pure. What is wrong with a rendered mail says `delivery::render::check`; here stand the faults around it: a mail that cannot be
//! made, an edition that goes to nobody.

use crate::base::address::AddressError;
use crate::delivery::render::{RenderError, check};

/// Whether an edition waits for an operator because of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It does.
    Blocking,
    /// It is shown, and the edition goes.
    Warning,
}

/// A kind of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Nobody would get it.
    NoRecipients,
    /// The series has no approved tip.
    NoApprovedTips,
    /// It was to start longer ago than its tolerance allows.
    StartInThePast,
    /// The public address of the settings is not https.
    PublicUrl,
    /// This binary cannot use the version of the templates that the edition began with.
    Templates,
    /// The template or the words fail for somebody.
    Unmakeable,
    /// Her address is none.
    Address,
    /// A fault of a mail that was made.
    Mail(check::Kind),
    /// Every recipient is passed over.
    NothingToSend,
    /// No DKIM key.
    Unsigned,
}

const ALL: [Kind; 23] = {
    use check::Kind as Mail;
    [
        Kind::NoRecipients,
        Kind::NoApprovedTips,
        Kind::StartInThePast,
        Kind::PublicUrl,
        Kind::Templates,
        Kind::Unmakeable,
        Kind::Address,
        Kind::NothingToSend,
        Kind::Unsigned,
        Kind::Mail(Mail::Subject),
        Kind::Mail(Mail::Text),
        Kind::Mail(Mail::TooLarge),
        Kind::Mail(Mail::WayOut),
        Kind::Mail(Mail::OwnLink),
        Kind::Mail(Mail::PostalAddress),
        Kind::Mail(Mail::StrayLink),
        Kind::Mail(Mail::Placeholder),
        Kind::Mail(Mail::Link),
        Kind::Mail(Mail::AltText),
        Kind::Mail(Mail::Loads),
        Kind::Mail(Mail::Headings),
        Kind::Mail(Mail::Language),
        Kind::Mail(Mail::LinkNotInText),
    ]
};

impl Kind {
    /// As the database and scripts have it.
    pub fn as_str(self) -> &'static str {
        use check::Kind as Mail;
        match self {
            Kind::NoRecipients => "no_recipients",
            Kind::NoApprovedTips => "no_approved_tips",
            Kind::StartInThePast => "start_in_the_past",
            Kind::PublicUrl => "public_url",
            Kind::Templates => "templates",
            Kind::Unmakeable => "mail_fails",
            Kind::Address => "bad_address",
            Kind::NothingToSend => "nothing_to_send",
            Kind::Unsigned => "unsigned",
            Kind::Mail(Mail::Subject) => "empty_subject",
            Kind::Mail(Mail::Text) => "empty_text",
            Kind::Mail(Mail::TooLarge) => "html_too_large",
            Kind::Mail(Mail::WayOut) => "no_unsubscribe_link",
            Kind::Mail(Mail::OwnLink) => "no_own_link",
            Kind::Mail(Mail::PostalAddress) => "no_postal_address",
            Kind::Mail(Mail::StrayLink) => "stray_link",
            Kind::Mail(Mail::Placeholder) => "placeholder",
            Kind::Mail(Mail::Link) => "wrong_link",
            Kind::Mail(Mail::AltText) => "no_alt_text",
            Kind::Mail(Mail::Loads) => "loads_something",
            Kind::Mail(Mail::Headings) => "headings",
            Kind::Mail(Mail::Language) => "no_language",
            Kind::Mail(Mail::LinkNotInText) => "link_not_in_text",
        }
    }

    /// Reads the database's word; what only a newer version knows is a mail that fails.
    pub fn parse(word: &str) -> Kind {
        ALL.into_iter().find(|kind| kind.as_str() == word).unwrap_or(Kind::Unmakeable)
    }

    /// How grave it is.
    pub fn severity(self) -> Severity {
        use check::Kind as Mail;
        match self {
            Kind::NothingToSend | Kind::Unsigned | Kind::Mail(Mail::Headings | Mail::Language | Mail::LinkNotInText) => Severity::Warning,
            _ => Severity::Blocking,
        }
    }

    /// What is wrong and what to do, in a sentence.
    pub fn says(self) -> &'static str {
        use check::Kind as Mail;
        match self {
            Kind::NoRecipients => "nobody would get it: see who is subscribed or waits, `tidings subscriber list`",
            Kind::NoApprovedTips => "the series has no approved tip: `tidings tip list`, then `tidings tip approve`",
            Kind::StartInThePast => {
                "its start is past by more than its tolerance: it will be held for being late, `release` or `skip` it then"
            }
            Kind::PublicUrl => "site.url is not https: set it to the public https address under which this server is reached",
            Kind::Templates => {
                "this binary cannot use the templates that the edition began with: run the binary that began it; or, if no mail of it was tried, `tidings campaign release` plans it with the templates of now"
            }
            Kind::Unmakeable => "the mail cannot be made: correct the template or the text that is named, or the subscriber's data",
            Kind::Address => "the address is none that can be mailed: correct it, or suppress the subscriber",
            Kind::NothingToSend => "every recipient is passed over, so no mail would be sent: `tidings campaign report` says why",
            Kind::Unsigned => "mails go unsigned: set dkim.domain, dkim.selector and dkim.key_file (`tidings dkim new` makes a key)",
            Kind::Mail(Mail::Subject) => "the subject is empty or has more than one line: write one, `tidings tip edit ID --subject`",
            Kind::Mail(Mail::Text) => "the text part is empty: people who read plain text get nothing",
            Kind::Mail(Mail::TooLarge) => "the HTML part has 102,400 bytes or more and would be cut: shorten the text",
            Kind::Mail(Mail::WayOut) => {
                "the unsubscribe link is not in both parts: the template's foot must be in the HTML and in the text"
            }
            Kind::Mail(Mail::OwnLink) => {
                "the preferences link is not in both parts: the template's foot must be in the HTML and in the text"
            }
            Kind::Mail(Mail::PostalAddress) => {
                "the postal address is not in both parts: set site.postal_address, and keep the template's foot"
            }
            Kind::Mail(Mail::StrayLink) => "a link stands where only the button's may: take it out of the template",
            Kind::Mail(Mail::Placeholder) => "a placeholder was filled by nobody: write the word itself",
            Kind::Mail(Mail::Link) => "a link is relative or not https: write the whole https address",
            Kind::Mail(Mail::AltText) => "an image has no alternative text: give it one, or an empty one when it says nothing",
            Kind::Mail(Mail::Loads) => "something would be loaded when the mail is opened: take it out of the template",
            Kind::Mail(Mail::Headings) => "there is not one heading of the first level: screen readers begin there",
            Kind::Mail(Mail::Language) => "the HTML part names no language: set site.language",
            Kind::Mail(Mail::LinkNotInText) => "a link of the HTML part is not in the text: the text must carry every link",
        }
    }

    /// What it is that keeps a mail from being made.
    pub(super) fn of_error(error: &anyhow::Error) -> Kind {
        if error.downcast_ref::<AddressError>().is_some() {
            return Kind::Address;
        }
        match error.downcast_ref::<RenderError>() {
            Some(RenderError::TooLarge { .. }) => Kind::Mail(check::Kind::TooLarge),
            Some(RenderError::Empty { part: "subject", .. }) => Kind::Mail(check::Kind::Subject),
            Some(RenderError::Empty { .. }) => Kind::Mail(check::Kind::Text),
            Some(RenderError::Link { .. }) => Kind::PublicUrl,
            _ => Kind::Unmakeable,
        }
    }
}

impl serde::Serialize for Kind {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.as_str().replace('_', " "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_as_it_is_written_and_says_what_to_do() {
        for kind in ALL {
            assert_eq!(Kind::parse(kind.as_str()), kind);
            assert!(kind.says().contains(": "), "{kind}");
        }
        assert_eq!(Kind::parse("of a newer version"), Kind::Unmakeable);
    }
}
