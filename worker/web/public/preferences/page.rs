//! The preferences page as people see it, and the line that says what a form did.

use super::{
    super::{
        place,
        zones::{self, Region},
    },
    Did,
    wish::Typed,
};
use crate::{
    base::zone,
    people::preferences::{Change, PAUSES, Preferences, weekday_name, words},
    signup::FieldError,
    web::{Web, pages::Frame},
};
use askama::Template;
use jiff::{Timestamp, tz::TimeZone};

/// The page.
#[derive(Template)]
#[template(path = "web/preferences.html")]
pub(super) struct Page<'a> {
    frame: Frame<'a>,
    person: &'a Preferences,
    said: Option<String>,
    problem: Option<FieldError>,
    name: String,
    stage_date: String,
    question: &'a str,
    languages: Vec<&'a str>,
    regions: &'static [Region],
    days: Vec<(i16, &'static str)>,
    wording: String,
    paused_until: Option<String>,
    undo_minutes: Option<i64>,
    /// Where she stands with each program, and the page that says more.
    waitlists: Vec<(String, String)>,
    pauses: [i64; 4],
}

/// The page that asks whether she is sure.
#[derive(Template)]
#[template(path = "web/preferences_erase.html")]
pub(super) struct AskErase<'a> {
    pub(super) frame: Frame<'a>,
    pub(super) waits: bool,
}

impl<'a> Page<'a> {
    /// Her page, after a form said something or was refused with what was typed in.
    pub(super) fn of(web: &'a Web, person: &'a Preferences, said: Option<String>, refused: Option<(FieldError, Typed)>) -> Self {
        let (frame, now, particulars) = (Frame::of(web), web.clock.now(), &person.particulars);
        let (problem, typed) = refused.map_or((None, Typed::default()), |(problem, typed)| (Some(problem), typed));
        let others = web.languages.iter().map(String::as_str).filter(|language| *language != frame.lang);
        let languages = others.collect::<Vec<_>>();
        Self {
            name: typed.name.unwrap_or_else(|| particulars.name.clone().unwrap_or_default()),
            stage_date: typed.stage_date.unwrap_or_else(|| particulars.stage_date.map(|date| date.to_string()).unwrap_or_default()),
            question: &web.rules.stage_question,
            languages: if languages.is_empty() { languages } else { std::iter::once(frame.lang).chain(languages).collect() },
            regions: zones::regions(),
            days: (1..=7).filter_map(|day| Some((day, weekday_name(day)?))).collect(),
            wording: words(frame.publisher, &person.topics.iter().collect::<Vec<_>>()),
            paused_until: particulars.paused_until.filter(|until| *until > now).map(|until| moment(until, person)),
            undo_minutes: person.undo_until.map(|until| (until.as_second() - now.as_second() + 59) / 60).filter(|minutes| *minutes > 0),
            waitlists: waitlists(web, person),
            pauses: PAUSES,
            frame,
            person,
            said,
            problem,
        }
    }

    fn problem(&self, field: &str) -> Option<&str> {
        self.problem.as_ref().filter(|problem| problem.field == field).map(|problem| problem.problem.as_str())
    }

    fn has_day(&self, day: &i16) -> bool {
        self.person.particulars.weekday == Some(*day)
    }

    fn has_hour(&self, hour: &i16) -> bool {
        self.person.particulars.hour == Some(*hour)
    }

    fn has_zone(&self, zone: &str) -> bool {
        self.person.particulars.zone.as_deref() == Some(zone)
    }

    /// Her zone, where the menu does not have it.
    fn other_zone(&self) -> Option<&str> {
        self.person.particulars.zone.as_deref().filter(|zone| !zones::offers(zone))
    }

    fn speaks(&self, language: &str) -> bool {
        self.person.particulars.language.as_deref().unwrap_or(self.frame.lang) == language
    }

    fn asks_stage(&self) -> bool {
        !self.question.is_empty() || !self.stage_date.is_empty()
    }
}

pub(super) fn waitlists(web: &Web, person: &Preferences) -> Vec<(String, String)> {
    let publisher = Frame::of(web).publisher;
    let each = person.waitlists.iter();
    each.map(|hers| (place::told(hers, publisher), place::link(&web.keyring, &hers.slug, hers.entry_id))).collect()
}

/// What a form did, in a sentence.
pub(super) fn said(did: &Did, person: &Preferences, publisher: &str) -> String {
    let particulars = &person.particulars;
    match did {
        Did::Nothing => "Nothing was changed: it stood like that already.".to_owned(),
        Did::Topics => subscribed(person),
        Did::Stopped => format!("{publisher} sends you no letters any more."),
        Did::Undone(true) => format!("It is taken back. {}", subscribed(person)),
        Did::Undone(false) => "It cannot be taken back any more.".to_owned(),
        Did::Changed(Change::Pause(_)) => {
            let until = particulars.paused_until.map(|until| moment(until, person)).unwrap_or_default();
            format!("No letters until {until}. Then they come again by themselves, and you go on where you were.")
        }
        Did::Changed(Change::Resume) => "The pause is over: letters come again.".to_owned(),
        Did::Changed(Change::Weekday(_) | Change::Hour(_) | Change::Zone(_)) => format!("Letters come {}.", when(person)),
        Did::Changed(_) => "Saved.".to_owned(),
    }
}

fn subscribed(person: &Preferences) -> String {
    let names: Vec<String> = person.topics.iter().filter(|topic| topic.subscribed).map(|topic| format!("“{}”", topic.name)).collect();
    match names.as_slice() {
        [] => "You are subscribed to nothing now.".to_owned(),
        [one] => format!("You are subscribed to {one}."),
        [first @ .., last] => format!("You are subscribed to {} and {last}.", first.join(", ")),
    }
}

fn when(person: &Preferences) -> String {
    let particulars = &person.particulars;
    let day = particulars.weekday.and_then(weekday_name).map_or("on their own day".to_owned(), |day| format!("on {day}s"));
    let hour = particulars.hour.map_or("at their own time".to_owned(), |hour| format!("at {hour:02}:00"));
    let zone = particulars.zone.as_deref().map(|zone| format!(", by the clocks of {}", zone.replace('_', " "))).unwrap_or_default();
    format!("{day} {hour}{zone}")
}

// On her own clock, as far as we know where it hangs.
fn moment(at: Timestamp, person: &Preferences) -> String {
    let zone = person.particulars.zone.as_deref().and_then(|name| zone::find(name).ok());
    let named = if zone.is_some() { "" } else { " UTC" };
    format!("{}{named}", at.to_zoned(zone.unwrap_or(TimeZone::UTC)).strftime("%A, %-d %B %Y, %H:%M"))
}
