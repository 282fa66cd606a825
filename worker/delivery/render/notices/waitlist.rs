//! The mails of a waitlist: she is on it, a seat is offered to her, and what became of the offer. They tell one person of her own
//! place, so they are mails of no topic; the way out in their foot is the page of that place.
//!
//! `waitlist::mail` freezes their contexts.

mod offer;
mod outcome;

pub(in super::super) use offer::{Offer, Reminder};
pub(in super::super) use outcome::{Accepted, Closed, Expired};

use super::{Button, Contents, Context, Entry, Foot, Frozen, moment, one_line};
use jiff::{Timestamp, tz::TimeZone};
use serde::Deserialize;
use serde_json::{Value, json};

/// Once she has confirmed: her place, and what happens next.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Joined {
    #[serde(flatten)]
    about: About,
    /// From 1.
    place: u64,
}

/// What all of them freeze.
#[derive(Debug, Deserialize)]
struct About {
    #[serde(deserialize_with = "name")]
    program: String,
    slug: String,
    entry: i64,
    #[serde(default, deserialize_with = "moment::zone")]
    zone: Option<TimeZone>,
}

impl About {
    fn entry(&self) -> Entry<'_> {
        Entry { slug: &self.slug, entry: self.entry }
    }

    fn moment(&self, at: Timestamp) -> String {
        moment::moment(at, self.zone.as_ref())
    }
}

/// A mail of a waitlist.
trait Waits: std::fmt::Debug + Send + Sync {
    fn about(&self) -> &About;
    /// Where its button leads: to her place, unless it asks for more.
    fn leads_to(&self) -> Button<'_> {
        Button::Entry(self.about().entry())
    }
    /// What its template uses besides the program.
    fn says(&self, from: Timestamp) -> Value;
}

impl<W: Waits> Contents for W {
    fn button(&self) -> Button<'_> {
        self.leads_to()
    }

    fn foot(&self) -> Foot {
        Foot::Waitlist
    }

    fn entry(&self) -> Option<Entry<'_>> {
        Some(self.about().entry())
    }

    fn reason(&self, publisher: &str) -> String {
        format!("You get this letter because you joined the waitlist of {} at {publisher}.", self.about().program)
    }

    fn words(&self, from: Timestamp) -> serde_json::Result<Value> {
        let mut words = self.says(from);
        words["program"] = json!(self.about().program);
        Ok(words)
    }
}

impl Waits for Joined {
    fn about(&self) -> &About {
        &self.about
    }

    fn says(&self, _: Timestamp) -> Value {
        json!({ "place": self.place.to_string(), "first": self.place == 1 })
    }
}

impl Context for Joined {
    fn samples() -> Vec<Frozen> {
        of_every_program(
            &json!({ "place": 7 }),
            &[("first in the line", json!({ "place": 1 })), ("far behind", json!({ "place": 99_999 }))],
        )
    }
}

fn name<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let name = one_line(&String::deserialize(from)?);
    match name.is_empty() {
        true => Err(serde::de::Error::custom("`program` shows nothing: expected its name")),
        false => Ok(name),
    }
}

/// Samples of a context that has `more` beside what all have: each kind of program with it, and an ordinary one with the others.
fn of_every_program(more: &Value, others: &[(&'static str, Value)]) -> Vec<Frozen> {
    let long = "An introduction to rest, movement and food in the weeks after an illness, in ten evenings and two Saturdays, \
        for beginners and for those who come back after a long time away from it all, with childcare";
    let programs = [
        ("ordinary", "Autumn course", Some("Europe/London")),
        ("long names", long, Some("America/Argentina/ComodRivadavia")),
        ("hostile names", "<script>alert(1)</script> & \"more\"\r\nBcc: x@example.org", Some("America/New_York")),
        ("right to left", "دورة الخريف", Some("Africa/Cairo")),
        ("no zone", "秋のコース", None),
    ];
    let frozen = |program: &str, zone: Option<&str>, more: &Value| {
        let mut frozen = json!({ "program": program, "slug": "autumn-course", "entry": 41, "zone": zone, "offer": 43, "opening": 2 });
        frozen.as_object_mut().expect("an object, by the line above").extend(more.as_object().cloned().unwrap_or_default());
        frozen
    };
    let every = programs.map(|(sample, program, zone)| (sample, frozen(program, zone, more)));
    let (_, program, zone) = programs[0];
    every.into_iter().chain(others.iter().map(|(sample, more)| (*sample, frozen(program, zone, more)))).collect()
}
