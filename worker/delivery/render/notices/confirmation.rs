//! The confirmation of a sign-up, and its one reminder: what was asked for, the exact words agreed to, and until when the
//! link works. It goes to an address that nobody has proven, so it carries no other link and no name.

use super::{
    Button, Contents, Context, Foot, Frozen,
    moment::{self, moment},
    topics,
};
use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// As `signup` freezes it.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Confirmation {
    signup: i64,
    #[serde(deserialize_with = "topics")]
    topics: Vec<String>,
    wording: String,
    expires: Timestamp,
    #[serde(default, deserialize_with = "moment::zone")]
    zone: Option<TimeZone>,
}

#[derive(Serialize)]
struct Words<'a> {
    topics: &'a [String],
    wording: &'a str,
    until: String,
}

impl Contents for Confirmation {
    fn button(&self) -> Button {
        Button::Confirm { signup: self.signup }
    }

    fn foot(&self) -> Foot {
        Foot::Unproven
    }

    fn reason(&self, publisher: &str) -> String {
        format!("You get this letter because this address was given to {publisher} to subscribe.")
    }

    fn words(&self) -> serde_json::Result<Value> {
        let until = moment(self.expires, self.zone.as_ref());
        serde_json::to_value(Words { topics: &self.topics, wording: &self.wording, until })
    }
}

impl Context for Confirmation {
    fn samples() -> Vec<Frozen> {
        let wording = "I want to get letters about Sleep and rest from Harbour Street Health by email. I can stop at any time.";
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
        ]
    }
}
