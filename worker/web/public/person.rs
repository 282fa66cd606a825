//! The fields about a person with which every sign-up form begins: her address, her name, her time zone.
//!
//! `subscribe` and `waitlist` show them by the same templates (`person_fields.html`, `person_zone.html`, `person_problems.html`) and read
//! them here; what cannot be taken stands again as it was typed, with a sentence beside it.

use super::{
    form::Fields,
    zones::{self, Region},
};
use crate::signup::{FieldError, Form};

/// The fields as they were typed, and what is wrong with them.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) typed: Form,
    pub(super) problems: Vec<FieldError>,
    pub(super) is_new: bool,
    pub(super) regions: &'static [Region],
    pub(super) zone_hint: &'static str,
}

impl Person {
    /// Those of a page; `zone_hint` says what the zone is asked for.
    pub(super) fn of(typed: Form, problems: Vec<FieldError>, zone_hint: &'static str) -> Self {
        Self { is_new: typed.email.is_empty() && problems.is_empty(), typed, problems, regions: zones::regions(), zone_hint }
    }

    /// What is wrong with a field.
    pub(super) fn problem(&self, field: &str) -> Option<String> {
        self.problems.iter().find(|problem| problem.field == field).map(|problem| sentence(&problem.problem))
    }

    /// A zone that was sent and that the menu does not have.
    pub(super) fn other_zone(&self) -> Option<&str> {
        Some(self.typed.zone.as_str()).filter(|zone| !zone.is_empty() && !zones::offers(zone))
    }
}

/// The fields of a posted form.
pub(super) fn form(fields: &Fields) -> Form {
    let text = |name| fields.get(name).to_owned();
    Form { email: text("email"), name: text("name"), zone: text("zone"), ..Form::default() }
}

/// The fields for a page that carries them along.
pub(super) fn carried(form: &Form) -> Vec<(&'static str, String)> {
    let all = [("email", &form.email), ("name", &form.name), ("zone", &form.zone)];
    all.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name, value.clone())).collect()
}

/// What a field is called.
pub(super) fn label(field: &str) -> &'static str {
    match field {
        "email" => "Your email address",
        "name" => "Your name",
        _ => "Your time zone",
    }
}

/// A problem as a sentence of its own.
pub(super) fn sentence(problem: &str) -> String {
    let mut letters = problem.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", letters.as_str().trim_end_matches('.'))
}
