//! What a form that can cause a mail posts, and what is asked of it before anything is done: no field filled in that people do
//! not see, and a stamp that is old enough.
//!
//! Fields that we do not know are let be: a form on another site may have its own.

use crate::web::{
    Web,
    error::Problem,
    stamp::{self, Stamp},
};
use axum::extract::{Form, FromRequest, Request};

/// The field that people do not see; programs fill it in.
const UNSEEN: &str = "website";

const STAMP: &str = "stamp";

/// The fields of a form, as they were posted.
#[derive(Debug)]
pub(super) struct Fields {
    fields: Vec<(String, String)>,
    /// The browser says that a page of another site made it post this (Fetch Metadata, `Sec-Fetch-Site`).
    from_elsewhere: bool,
}

/// What is to be done with a form.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Filled {
    /// By a person, as far as can be told.
    ByPerson,
    /// By a program: it is thanked, and nothing is done.
    ByProgram,
    /// Elsewhere or too fast: a person is asked for one more press of a button. It carries this stamp.
    Unclear(String),
}

impl Fields {
    /// Reads a posted form.
    pub(super) async fn read(request: Request) -> Result<Self, Problem> {
        let from_elsewhere = request.headers().get("sec-fetch-site").is_some_and(|site| site == "cross-site");
        let fields = Form::<Vec<(String, String)>>::from_request(request, &()).await;
        fields.map(|Form(fields)| Self { fields, from_elsewhere }).map_err(|_| Problem::WrongForm)
    }

    /// The first field of this name; empty when there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    /// Whether a field of this name was posted, empty or not.
    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(known, _)| known == name)
    }

    /// Every field of this name that says something.
    pub(super) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(known, value)| known == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// By whom the form was filled in.
    pub(super) fn filled(&self, web: &Web) -> Filled {
        if !self.get(UNSEEN).is_empty() {
            return Filled::ByProgram;
        }
        let (now, given) = (web.clock.now(), self.get(STAMP));
        // A stamp may be had by anyone and put into a page that many people open: they press our button first.
        if self.from_elsewhere {
            return Filled::Unclear(stamp::of(&web.keyring, now));
        }
        match stamp::read(&web.keyring, given, web.rules.minimum_fill, now) {
            Stamp::Good => Filled::ByPerson,
            // Its time goes on: someone who presses twice in a hurry has waited long enough at the third press.
            Stamp::TooYoung => Filled::Unclear(given.to_owned()),
            Stamp::None => Filled::Unclear(stamp::of(&web.keyring, now)),
        }
    }
}
