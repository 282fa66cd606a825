//! The offer of a seat, and the reminder before it ends. Both lead to the page where it is accepted or declined.

use super::{
    super::{Button, Context, Frozen},
    About, Waits, of_every_program,
};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

/// A seat is offered to her.
#[derive(Debug, Deserialize)]
pub(in super::super::super) struct Offer {
    #[serde(flatten)]
    about: About,
    offer: i64,
    mode: Mode,
    offer_for_seconds: i64,
    /// When the enrolment ends.
    ends: Option<Timestamp>,
}

/// She has not answered yet.
#[derive(Debug, Deserialize)]
pub(in super::super::super) struct Reminder {
    #[serde(flatten)]
    about: About,
    offer: i64,
    mode: Mode,
    expires: Timestamp,
}

/// How the opening fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    /// A seat is held for her.
    Offers,
    /// None is: first come.
    LastCall,
}

impl Offer {
    // Its clock begins with the hand-over. Counted from before that, and cut to the minute, this is never later than the truth.
    fn until(&self, from: Timestamp) -> Timestamp {
        let runs_out = from.saturating_add(SignedDuration::from_secs(self.offer_for_seconds)).unwrap_or(Timestamp::MAX);
        self.ends.map_or(runs_out, |ends| ends.min(runs_out))
    }
}

impl Waits for Offer {
    fn about(&self) -> &About {
        &self.about
    }

    fn leads_to(&self) -> Button<'_> {
        Button::Offer { offer: self.offer }
    }

    fn says(&self, from: Timestamp) -> Value {
        json!({ "held": self.mode == Mode::Offers, "until": self.about.moment(self.until(from)) })
    }
}

impl Waits for Reminder {
    fn about(&self) -> &About {
        &self.about
    }

    fn leads_to(&self) -> Button<'_> {
        Button::Offer { offer: self.offer }
    }

    fn says(&self, _: Timestamp) -> Value {
        json!({ "held": self.mode == Mode::Offers, "until": self.about.moment(self.expires) })
    }
}

impl Context for Offer {
    fn samples() -> Vec<Frozen> {
        let two_days = json!({ "mode": "offers", "offer_for_seconds": 172_800, "ends": null });
        let others = [
            ("last call", json!({ "mode": "last-call", "offer_for_seconds": 86_400, "ends": null })),
            ("enrolment ends", json!({ "mode": "offers", "offer_for_seconds": 172_800, "ends": "2026-11-30T18:00:00Z" })),
        ];
        of_every_program(&two_days, &others)
    }
}

impl Context for Reminder {
    fn samples() -> Vec<Frozen> {
        let expires = "2026-12-01T09:00:30Z";
        let others = [("last call", json!({ "mode": "last-call", "expires": expires }))];
        of_every_program(&json!({ "mode": "offers", "expires": expires }), &others)
    }
}
