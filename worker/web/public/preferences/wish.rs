//! What a form of the preferences page posts, read into what is to be done; a value that cannot be is named with its field.
//!
//! Only the fields that were posted are looked at: a section that was not shown says nothing.

use super::super::{form::Fields, person::sentence};
use crate::{
    audience::subscriber::ParticularError,
    people::preferences::{Change, PAUSES},
    signup::FieldError,
    web::Web,
};
use std::collections::BTreeSet;

/// What a person wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// These topics, of those that were shown.
    Topics {
        /// The page offered these.
        shown: BTreeSet<i64>,
        /// She ticked these.
        wants: BTreeSet<i64>,
    },
    /// Something about herself.
    Change(Vec<Change>),
    /// Her data.
    Export,
    /// No letters at all.
    Stop,
    /// All of them again.
    Undo,
    /// To be asked whether she is sure.
    AskErase,
    /// To be forgotten.
    Erase,
}

/// Why a form is not taken.
#[derive(Debug)]
pub(super) enum Refused {
    /// It is none of ours.
    Form,
    /// A value cannot be.
    Field(FieldError),
}

/// What she typed, to be shown again beside what is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Typed {
    pub(super) name: Option<String>,
    pub(super) stage_date: Option<String>,
}

impl Wish {
    /// Reads a posted form.
    pub(super) fn read(fields: &Fields, web: &Web) -> Result<Self, Refused> {
        match fields.get("act") {
            "topics" => Ok(Self::Topics { shown: ids(fields, "shown")?, wants: ids(fields, "topics")? }),
            "pause" => Ok(Self::Change(vec![pause(fields.get("weeks"))?])),
            "resume" => Ok(Self::Change(vec![Change::Resume])),
            "when" => changes(fields, &["weekday", "hour", "zone"], web),
            "about" => changes(fields, &["name", "stage_date", "language"], web),
            "export" => Ok(Self::Export),
            "stop" => Ok(Self::Stop),
            "undo" => Ok(Self::Undo),
            "ask_erase" => Ok(Self::AskErase),
            "erase" => Ok(Self::Erase),
            _ => Err(Refused::Form),
        }
    }
}

impl Typed {
    /// Reads what was typed.
    pub(super) fn read(fields: &Fields) -> Self {
        let typed = |name| fields.has(name).then(|| fields.get(name).to_owned());
        Self { name: typed("name"), stage_date: typed("stage_date") }
    }
}

fn changes(fields: &Fields, names: &[&'static str], web: &Web) -> Result<Wish, Refused> {
    let posted = names.iter().filter(|name| fields.has(name));
    let changes = posted.map(|name| change(name, fields.get(name), web)).collect::<Result<Vec<_>, _>>()?;
    if changes.is_empty() { Err(Refused::Form) } else { Ok(Wish::Change(changes)) }
}

fn change(name: &'static str, value: &str, web: &Web) -> Result<Change, Refused> {
    let wrong = |problem: &str| Refused::Field(FieldError { field: name, problem: problem.to_owned() });
    let read = |change: Result<Change, ParticularError>| change.map_err(|error| wrong(&sentence(&error.to_string())));
    match name {
        "name" => read(Change::name(value)),
        "zone" => read(Change::zone(value)),
        "stage_date" => read(Change::stage_date(value)),
        "weekday" => number(value, 1..=7).map(Change::Weekday).ok_or_else(|| wrong("Choose one of the days.")),
        "hour" => number(value, 0..=23).map(Change::Hour).ok_or_else(|| wrong("Choose one of the hours.")),
        _ if value.is_empty() || value == web.site.lang => Ok(Change::Language(None)),
        _ if web.languages.iter().any(|known| known == value) => Ok(Change::Language(Some(value.to_owned()))),
        _ => Err(wrong("Choose one of the languages.")),
    }
}

// None within: nothing of her own.
fn number(value: &str, range: std::ops::RangeInclusive<i16>) -> Option<Option<i16>> {
    match value {
        "" => Some(None),
        value => value.parse().ok().filter(|number| range.contains(number)).map(Some),
    }
}

fn pause(weeks: &str) -> Result<Change, Refused> {
    let weeks = weeks.parse().ok().filter(|weeks| PAUSES.contains(weeks));
    let problem = || FieldError { field: "weeks", problem: "Choose for how long.".to_owned() };
    weeks.map(Change::Pause).ok_or_else(|| Refused::Field(problem()))
}

fn ids(fields: &Fields, name: &str) -> Result<BTreeSet<i64>, Refused> {
    fields.all(name).map(|id| id.parse().map_err(|_| Refused::Form)).collect()
}
