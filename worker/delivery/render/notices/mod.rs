//! Notices: mails that say something to one person because of what she did, without a tip and without an edition.
//!
//! Each has a file here with its typed context, which is read from the frozen one of its delivery, the words that its
//! template uses, and samples. The pump asks a [`Notice`] which links it wants, and makes them from ids.

pub(super) mod confirmation;
mod moment;
pub(super) mod preferences_link;
#[cfg(test)]
mod tests;
pub(super) mod waitlist;
pub(super) mod welcome;

pub use moment::moment;

use super::{
    error::RenderError,
    letter::one_line,
    table::{NOTICES, Parts},
};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Where the one button of a notice leads; the pump makes the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Button<'a> {
    /// The page that confirms a sign-up.
    Confirm {
        /// The sign-up.
        signup: i64,
    },
    /// The page of her preferences.
    Preferences,
    /// The page of her place on a waitlist.
    Entry(Entry<'a>),
    /// The page that answers an offer.
    Offer {
        /// The offer.
        offer: i64,
    },
    /// The page of a program, where anybody can join its waitlist.
    Program {
        /// The program, as addresses name it.
        slug: &'a str,
    },
}

/// Somebody's entry on a waitlist, as its page is addressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The program, as addresses name it.
    pub slug: &'a str,
    /// The entry.
    pub entry: i64,
}

/// Which links the foot of a mail carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foot {
    /// None: nobody has shown yet that the address is hers.
    Unproven,
    /// Her preferences.
    Person,
    /// Her preferences and her place on the waitlist that the mail tells of, which is the way out of it.
    Waitlist,
    /// Her preferences and the way out of the mail's topic, which its headers carry too.
    Topic,
}

/// What a notice says.
pub(super) trait Contents: std::fmt::Debug + Send + Sync {
    fn button(&self) -> Button<'_>;
    fn foot(&self) -> Foot;
    /// The entry whose page the foot links to, where it does.
    fn entry(&self) -> Option<Entry<'_>> {
        None
    }
    /// Why she gets it, in a sentence of the foot.
    fn reason(&self, publisher: &str) -> String;
    /// Every name that the template's text may use beside those of the layout. What counts from the hand-over counts from `from`.
    fn words(&self, from: Timestamp) -> serde_json::Result<Value>;
}

/// A frozen context for looking at a mail, and what is special about it.
pub(super) type Frozen = (&'static str, Value);

/// What a template's context must be able to do.
pub(super) trait Context: Contents + DeserializeOwned + 'static {
    /// Frozen contexts, the ordinary one first.
    fn samples() -> Vec<Frozen>;
}

/// A template of a notice with its context.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) parts: Parts,
    pub(super) samples: fn() -> Vec<Frozen>,
    read: fn(&Value) -> serde_json::Result<Box<dyn Contents>>,
}

impl Kind {
    pub(super) const fn of<C: Context>(parts: Parts) -> Self {
        Self { parts, samples: C::samples, read: |frozen| Ok(Box::new(C::deserialize(frozen)?)) }
    }
}

/// A notice whose frozen context fits its template.
#[derive(Debug)]
pub struct Notice {
    pub(super) parts: &'static Parts,
    pub(super) contents: Box<dyn Contents>,
}

impl Notice {
    /// Reads the frozen context of a delivery for `template`.
    pub fn read(template: &str, frozen: &Value) -> Result<Self, RenderError> {
        let kind = NOTICES.iter().find(|kind| kind.parts.name == template);
        let kind = kind.ok_or_else(|| RenderError::Unknown { template: template.to_owned() })?;
        let misfit = |e: serde_json::Error| RenderError::Context { template: kind.parts.name, why: e.to_string() };
        Ok(Self { parts: &kind.parts, contents: (kind.read)(frozen).map_err(misfit)? })
    }

    /// Where its button leads.
    pub fn button(&self) -> Button<'_> {
        self.contents.button()
    }

    /// The entry whose page its foot links to, where it does.
    pub fn entry(&self) -> Option<Entry<'_>> {
        self.contents.entry()
    }

    /// Which links its foot carries.
    pub fn foot(&self) -> Foot {
        self.contents.foot()
    }
}

/// The links of one person's mail, as whole addresses.
#[derive(Debug, Clone, Copy)]
pub struct Links<'a> {
    /// Where the button leads.
    pub button: &'a str,
    /// Her preferences, where the foot wants them.
    pub preferences: Option<&'a str>,
    /// Her way out of the topic, where the foot wants it.
    pub unsubscribe: Option<&'a str>,
    /// Her place on the waitlist, where the foot wants it.
    pub entry: Option<&'a str>,
}

/// Names, as a mail shows them; those that show nothing are left out.
fn names<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let names: Vec<String> = serde::Deserialize::deserialize(from)?;
    Ok(names.iter().map(|name| one_line(name)).filter(|name| !name.is_empty()).collect())
}

/// Names of topics; at least one.
fn topics<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let names = names(from)?;
    match names.is_empty() {
        true => Err(serde::de::Error::custom("`topics` names none: expected at least one")),
        false => Ok(names),
    }
}
