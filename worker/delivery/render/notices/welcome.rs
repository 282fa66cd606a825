//! The welcome after a confirmation: what comes and when, how to change it and how to stop it. A mail of a topic, with the
//! way out in its headers.

use super::{
    Button, Contents, Context, Foot, Frozen,
    moment::{self, moment},
    topics,
};
use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// As `people` freezes it.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Welcome {
    #[serde(deserialize_with = "topics")]
    topics: Vec<String>,
    #[serde(default)]
    coming: Vec<Coming>,
}

/// When the first letter of a topic comes.
#[derive(Debug, Deserialize)]
struct Coming {
    topic: String,
    /// None: at once.
    at: Option<Timestamp>,
    #[serde(default, deserialize_with = "moment::zone")]
    zone: Option<TimeZone>,
}

#[derive(Serialize)]
struct Words {
    topics: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    name: String,
    comes: Option<String>,
    /// Both, for the text part.
    line: String,
}

impl Contents for Welcome {
    fn button(&self) -> Button<'_> {
        Button::Preferences
    }

    fn foot(&self) -> Foot {
        Foot::Topic
    }

    fn reason(&self, publisher: &str) -> String {
        format!("You get this letter because you confirmed your subscription to letters from {publisher}.")
    }

    fn words(&self, _: Timestamp) -> serde_json::Result<Value> {
        serde_json::to_value(Words { topics: self.topics.iter().map(|name| self.line(name)).collect() })
    }
}

impl Welcome {
    fn line(&self, name: &str) -> Line {
        let coming = self.coming.iter().find(|coming| super::one_line(&coming.topic) == name);
        let comes = coming.map(|coming| match coming.at {
            None => "the first letter comes right after this one".to_owned(),
            Some(at) => format!("the first letter comes on {}", moment(at, coming.zone.as_ref())),
        });
        let line = comes.as_ref().map_or_else(|| name.to_owned(), |comes| format!("{name}: {comes}"));
        Line { name: name.to_owned(), comes, line }
    }
}

impl Context for Welcome {
    fn samples() -> Vec<Frozen> {
        let hostile = "<script>alert(1)</script> & \"more\"";
        vec![
            (
                "ordinary",
                json!({
                    "topics": ["Sleep and rest", "Announcements"],
                    "coming": [{ "topic": "Sleep and rest", "at": "2026-12-01T09:00:00Z", "zone": "Europe/London" }]
                }),
            ),
            ("at once", json!({ "topics": ["Sleep and rest"], "coming": [{ "topic": "Sleep and rest", "at": null, "zone": null }] })),
            ("nothing known", json!({ "topics": ["Sleep and rest"] })),
            (
                "hostile names",
                json!({ "topics": [hostile], "coming": [{ "topic": hostile, "at": "2026-12-01T09:00:00Z", "zone": "America/New_York" }] }),
            ),
            ("right to left", json!({ "topics": ["النوم الهادئ"], "coming": [] })),
        ]
    }
}
