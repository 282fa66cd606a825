//! A cron line of five fields in a time zone, as operators write it, where 1 is Monday: when it fires next.
//!
//! A time that a change of the clocks leaves out fires after it, one that the clock shows twice fires once. Settings are checked
//! with it and feeds are brought in by it; campaigns have rules of their own, because an edition is known by its date.

use super::zone::{self, ZoneError};
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::{Timestamp, tz::TimeZone};

/// Why a cron line was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronLineError {
    /// Not five fields.
    #[error("cron line `{0}` has {1} fields: expected five, minute hour day month weekday, such as `30 6 * * 1-5`")]
    Fields(String, usize),
    /// A field that is none.
    #[error("cron line `{0}` cannot be read: {1}")]
    Unreadable(String, String),
    /// A day like 31 February.
    #[error("cron line `{0}` never fires: no such day exists in any year")]
    Never(String),
    /// No zone of this name.
    #[error(transparent)]
    Zone(#[from] ZoneError),
}

/// A cron line and its zone.
#[derive(Debug, Clone)]
pub struct CronLine {
    cron: Cron,
    zone: TimeZone,
}

impl CronLine {
    /// Reads five fields, and the IANA name of the zone that they hold in.
    pub fn parse(line: &str, zone: &str) -> Result<Self, CronLineError> {
        let fields = line.split_whitespace().count();
        if fields != 5 {
            return Err(CronLineError::Fields(line.to_owned(), fields));
        }
        if let Some(why) = lone_comma(line) {
            return Err(CronLineError::Unreadable(line.to_owned(), why));
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(line).map_err(|error| CronLineError::Unreadable(line.to_owned(), error.to_string()))?;
        let line_in_zone = Self { cron, zone: zone::find(zone)? };
        match line_in_zone.next_after(SOME_DAY) {
            Some(_) => Ok(line_in_zone),
            None => Err(CronLineError::Never(line.to_owned())),
        }
    }

    /// The first instant after `now` at which it fires. None only beyond the calendar's end.
    pub fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        let next = self.cron.find_next_occurrence(&now.to_zoned(self.zone.clone()), false).ok()?;
        // croner's search begins at the second that `now` lies in.
        Some(next.timestamp()).filter(|next| *next > now)
    }
}

/// What is wrong with the first field that has nothing on one side of a comma. croner takes it for a list without values, and then searches
/// ten seconds and thousands of years for a time.
pub(crate) fn lone_comma(line: &str) -> Option<String> {
    let field = line.split_whitespace().find(|field| field.split(',').any(str::is_empty))?;
    Some(format!("`{field}` has nothing on one side of a comma: write a list such as `1,15`"))
}

/// 2000-01-01: a line that fires at all fires after it.
const SOME_DAY: Timestamp = Timestamp::constant(946_684_800, 0);

#[cfg(test)]
mod tests {
    use super::*;

    fn next(line: &str, zone: &str, now: &str) -> String {
        CronLine::parse(line, zone).unwrap().next_after(now.parse().unwrap()).unwrap().to_string()
    }

    #[test]
    fn a_line_fires_on_the_clock_of_its_zone() {
        assert_eq!(next("30 6 * * 1-5", "Europe/Berlin", "2026-01-09T05:30:00Z"), "2026-01-12T05:30:00Z");
        assert_eq!(next("*/15 * * * *", "UTC", "2026-01-09T05:30:00.5Z"), "2026-01-09T05:45:00Z");
        assert_eq!(next("*/15 * * * *", "UTC", "2026-01-09T05:29:59.9Z"), "2026-01-09T05:30:00Z");
    }

    #[test]
    fn a_change_of_the_clocks_neither_drops_a_firing_nor_doubles_it() {
        // The night on which 02:30 does not exist, then the one that shows it twice.
        assert_eq!(next("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z"), "2026-03-29T01:00:00Z");
        assert_eq!(next("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z"), "2026-10-25T00:30:00Z");
        assert_eq!(next("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z"), "2026-10-26T01:30:00Z");
    }

    #[test]
    fn a_line_that_is_wrong_is_named_with_what_is_expected() {
        let wrong = |line: &str, zone: &str| CronLine::parse(line, zone).unwrap_err().to_string();
        assert!(wrong("0 6 * *", "UTC").contains("has 4 fields: expected five"));
        assert!(wrong("0 0 6 * * *", "UTC").contains("has 6 fields"));
        assert!(wrong("0 25 * * *", "UTC").contains("cannot be read"));
        assert!(wrong("0 0 31 2 *", "UTC").contains("never fires"));
        assert!(wrong(", * ,06 5 1-5", "UTC").contains("`,` has nothing on one side of a comma"));
        assert!(wrong("0 6 * * *", "Europe/Berln").contains("`Europe/Berlin`"));
    }
}
