//! The confirmation of a sign-up, and its one reminder: what was asked for (topics, waitlists or both), the exact words agreed
//! to, and until when the link works. It goes to an address that nobody has proven, so it carries no other link and no name.

use super::{
    Button, Contents, Context, Foot, Frozen,
    moment::{self, moment},
    names,
};
use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// As `signup` freezes it.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Confirmation {
    signup: i64,
    #[serde(flatten)]
    wish: Wish,
    wording: String,
    expires: Timestamp,
    #[serde(default, deserialize_with = "moment::zone")]
    zone: Option<TimeZone>,
}

/// What was asked for.
#[derive(Debug, Deserialize, Serialize)]
#[serde(try_from = "Asked")]
struct Wish {
    topics: Vec<String>,
    /// Those whose waitlists she joins.
    programs: Vec<String>,
    both: bool,
}

#[derive(Deserialize)]
struct Asked {
    #[serde(deserialize_with = "names")]
    topics: Vec<String>,
    #[serde(default, deserialize_with = "names")]
    programs: Vec<String>,
}

impl TryFrom<Asked> for Wish {
    type Error = &'static str;

    fn try_from(Asked { topics, programs }: Asked) -> Result<Self, Self::Error> {
        match (topics.is_empty(), programs.is_empty()) {
            (true, true) => Err("neither `topics` nor `programs` names any: expected at least one"),
            (a, b) => Ok(Self { topics, programs, both: !a && !b }),
        }
    }
}

#[derive(Serialize)]
struct Words<'a> {
    #[serde(flatten)]
    wish: &'a Wish,
    wording: &'a str,
    until: String,
}

impl Contents for Confirmation {
    fn button(&self) -> Button<'_> {
        Button::Confirm { signup: self.signup }
    }

    fn foot(&self) -> Foot {
        Foot::Unproven
    }

    fn reason(&self, publisher: &str) -> String {
        let what = match (self.wish.both, self.wish.programs.is_empty()) {
            (true, _) => "subscribe and to join a waitlist",
            (false, true) => "subscribe",
            (false, false) => "join a waitlist",
        };
        format!("You get this letter because this address was given to {publisher} to {what}.")
    }

    fn words(&self, _: Timestamp) -> serde_json::Result<Value> {
        let until = moment(self.expires, self.zone.as_ref());
        serde_json::to_value(Words { wish: &self.wish, wording: &self.wording, until })
    }
}

impl Context for Confirmation {
    fn samples() -> Vec<Frozen> {
        let wording = "I want to get letters about Sleep and rest from Harbour Street Health by email. I can stop at any time.";
        let waiting = "I ask to be put on the waitlist of Autumn course. Harbour Street Health writes to me about a seat there.";
        let hostile = "<script>alert(1)</script> & \"more\"";
        let topics: Vec<String> = (1..=12).map(|n| format!("Topic number {n} with a name that goes on for quite some time")).collect();
        vec![
            (
                "ordinary",
                json!({ "signup": 41, "topics": ["Sleep and rest"], "wording": wording, "expires": "2026-12-01T09:00:00Z", "zone": "Europe/London" }),
            ),
            (
                "long",
                json!({ "signup": 41, "topics": topics, "wording": wording.repeat(12), "expires": "2026-12-01T09:00:00Z", "zone": null }),
            ),
            (
                "hostile names",
                json!({ "signup": i64::MAX, "topics": [hostile, "A\r\nBcc: x"], "wording": hostile, "expires": "2026-12-01T09:00:00Z", "zone": "America/New_York" }),
            ),
            (
                "right to left",
                json!({ "signup": 41, "topics": ["النوم الهادئ"], "wording": "أريد رسائل عن النوم الهادئ", "expires": "2026-12-01T09:00:00Z", "zone": "Africa/Cairo" }),
            ),
            (
                "waitlist",
                json!({ "signup": 41, "topics": [], "programs": ["Autumn course"], "wording": waiting, "expires": "2026-12-01T09:00:00Z", "zone": "Europe/London" }),
            ),
            (
                "subscription and waitlist",
                json!({ "signup": 41, "topics": ["Sleep and rest"], "programs": ["Autumn course", hostile], "wording": format!("{wording} {waiting}"), "expires": "2026-12-01T09:00:00Z", "zone": "Europe/London" }),
            ),
        ]
    }
}
