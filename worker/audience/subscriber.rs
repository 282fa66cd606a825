//! A person with an address, and the particulars that she or an operator gives about her.
//!
//! `NewSubscriber` exists only when everything in it is valid; the command line, the import and later the forms read it
//! from text here, so that all of them refuse the same things in the same words.

use crate::base::{
    address::{AddressError, EmailAddress},
    zone::{self, ZoneError},
};
use jiff::civil::Date;

/// The longest name that is kept, in characters.
pub const MAX_NAME: usize = 200;

/// Someone who may be added.
#[derive(Debug, Clone)]
pub struct NewSubscriber {
    /// Where mail goes.
    pub address: EmailAddress,
    /// How she is called.
    pub name: Option<String>,
    /// IANA name of her time zone in its canonical spelling; none: the campaign's.
    pub zone: Option<String>,
    /// The date that stage windows are counted from.
    pub stage_date: Option<Date>,
}

/// What is wrong with something that was said about a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParticularError {
    /// The address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The name holds what no name holds.
    #[error("the name holds a control character")]
    NameCharacter,
    /// The name is a text.
    #[error("the name is longer than {MAX_NAME} characters")]
    NameLength,
    /// No such zone.
    #[error(transparent)]
    Zone(#[from] ZoneError),
    /// No such date.
    #[error("`{0}` is no date: YYYY-MM-DD was expected")]
    StageDate(String),
    /// A date of another time.
    #[error("the stage date {0} is not between 1900 and 2199")]
    StageYear(Date),
}

impl NewSubscriber {
    /// Reads a person from texts; an empty one says that nothing was given.
    pub fn read(address: &str, name: &str, zone: &str, stage_date: &str) -> Result<Self, ParticularError> {
        Ok(Self {
            address: EmailAddress::parse(address)?,
            name: given(name).map(read_name).transpose()?,
            zone: given(zone).map(canonical_zone).transpose()?,
            stage_date: given(stage_date).map(read_stage_date).transpose()?,
        })
    }
}

/// The spelling of a zone in the tz database, whatever case it was given in.
pub fn canonical_zone(text: &str) -> Result<String, ZoneError> {
    // The database that is compiled in, as for campaigns: what a host has installed may lack a name.
    let zone = zone::find(text)?;
    Ok(zone.iana_name().unwrap_or(text).to_owned())
}

/// Reads a name.
pub fn read_name(text: &str) -> Result<String, ParticularError> {
    if text.chars().any(char::is_control) {
        return Err(ParticularError::NameCharacter);
    }
    if text.chars().count() > MAX_NAME { Err(ParticularError::NameLength) } else { Ok(text.to_owned()) }
}

/// Reads a date that stage windows are counted from.
pub fn read_stage_date(text: &str) -> Result<Date, ParticularError> {
    let wrong = || ParticularError::StageDate(shown(text));
    // jiff reads more forms than one, e.g. 20260102 and dates with a time behind them.
    let form = text.len() == 10 && text.bytes().enumerate().all(|(i, b)| if i == 4 || i == 7 { b == b'-' } else { b.is_ascii_digit() });
    let date: Date = if form { text.parse().map_err(|_| wrong())? } else { return Err(wrong()) };
    if (1900..2200).contains(&date.year()) { Ok(date) } else { Err(ParticularError::StageYear(date)) }
}

fn given(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|t| !t.is_empty())
}

// What a message repeats of a text that may be long or hostile.
fn shown(text: &str) -> String {
    let cut: String = text.chars().take(40).collect();
    let dots = if cut.len() < text.len() { "…" } else { "" };
    format!("{}{dots}", cut.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_read_from_texts_and_empty_ones_say_nothing() {
        let ana = NewSubscriber::read(" Ana@Example.org ", "Ana Lind", "EUROPE/london", "2026-01-31").unwrap();
        assert_eq!(
            (ana.address.key(), ana.name.as_deref(), ana.zone.as_deref()),
            ("ana@example.org", Some("Ana Lind"), Some("Europe/London"))
        );
        assert_eq!(ana.stage_date, Some(jiff::civil::date(2026, 1, 31)));
        let bare = NewSubscriber::read("b@example.org", " ", "", "").unwrap();
        assert!(bare.name.is_none() && bare.zone.is_none() && bare.stage_date.is_none());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let refused = |name: &str, zone: &str, date: &str| NewSubscriber::read("a@example.org", name, zone, date).unwrap_err().to_string();
        insta::assert_snapshot!([
            NewSubscriber::read("nobody", "", "", "").unwrap_err().to_string(),
            refused("A\u{7}na", "", ""),
            refused(&"n".repeat(201), "", ""),
            refused("", "Europe/Lodnon\n", ""),
            refused("", &"z".repeat(1_000_000), ""),
            refused("", "+02:00", ""),
            refused("", "", "31.01.2026"),
            refused("", "", "2026-02-30"),
            refused("", "", "1026-02-03"),
            refused("", "", "20260203"),
        ].join("\n"), @r"
        it is not an email address of the form name@example.org (Missing separator character '@'.)
        the name holds a control character
        the name is longer than 200 characters
        `Europe/Lodnon` is no time zone of the tz database: expected a name such as `Europe/London`; did you mean `Europe/London` or `Europe/Lisbon`?
        `zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz` is no time zone of the tz database: expected a name such as `Europe/London`
        `+02:00` is no time zone of the tz database: expected a name such as `Europe/London`
        `31.01.2026` is no date: YYYY-MM-DD was expected
        `2026-02-30` is no date: YYYY-MM-DD was expected
        the stage date 1026-02-03 is not between 1900 and 2199
        `20260203` is no date: YYYY-MM-DD was expected
        ");
    }
}
