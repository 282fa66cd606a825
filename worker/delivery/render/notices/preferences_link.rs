//! The mail with her link, for whoever asked for it, and for whoever signs up with an address that is subscribed already.
//! It says nothing that a stranger who typed in her address could have put there.

use super::{Button, Contents, Context, Foot, Frozen};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

/// Nothing is frozen: the link is made from her id.
#[derive(Debug, Deserialize)]
pub(in super::super) struct PreferencesLink {}

impl Contents for PreferencesLink {
    fn button(&self) -> Button<'_> {
        Button::Preferences
    }

    fn foot(&self) -> Foot {
        Foot::Person
    }

    fn reason(&self, publisher: &str) -> String {
        format!("You get this letter because this address was typed in on a page of {publisher}.")
    }

    fn words(&self, _: Timestamp) -> serde_json::Result<Value> {
        Ok(json!({}))
    }
}

impl Context for PreferencesLink {
    fn samples() -> Vec<Frozen> {
        vec![("ordinary", json!({}))]
    }
}
