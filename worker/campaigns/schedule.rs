//! When a campaign's editions are due: a recurrence rule in a time zone, as pure functions of what they are given.
//!
//! Owns the rules of civil time: an occurrence is a local date, at most one edition a day; a time inside the gap of a
//! clock change is due at the first valid instant, one inside the fold once, at the earlier. `edition` and the
//! command line ask it for the next occurrence; `weekly` asks when each time zone is due.

use crate::base::cron_line::lone_comma;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

/// How long before its earliest delivery the planning of an edition opens.
pub const PLANNING_LEAD: SignedDuration = SignedDuration::from_mins(30);

/// Why a rule was refused; the text says what would be accepted.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// No weekday with a time.
    #[error("`{0}` is no weekly time: expected a weekday and a 24-hour time, such as `Tue 09:00`")]
    At(String),
    /// Not five fields.
    #[error("cron line `{0}` has {1} fields: expected five, minute hour day month weekday, such as `0 9 * * 2` for Tuesdays at 09:00")]
    Fields(String, usize),
    /// More than one time of day.
    #[error(
        "cron line `{0}` may fire more than once a day: its minute and hour must each be one number, such as `0 9 * * 2`; an edition is known by its date"
    )]
    OftenerThanDaily(String),
    /// A field that is none.
    #[error("cron line `{0}` cannot be read: {1}")]
    Cron(String, String),
    /// A day like 31 February.
    #[error("cron line `{0}` never fires: no such day exists in any year")]
    Never(String),
}

/// A recurrence: the days on which an edition falls, and the time of day.
#[derive(Debug, Clone)]
pub struct Rule {
    time: Time,
    days: Days,
}

#[derive(Debug, Clone)]
enum Days {
    Weekly(Weekday),
    Cron(Box<Cron>),
}

impl Rule {
    /// Reads a weekday and a time, such as `Tue 09:00`; the weekday may be spelt out.
    pub fn at(text: &str) -> Result<Rule, RuleError> {
        let refuse = || RuleError::At(text.to_owned());
        let (day, time) = text.trim().split_once(char::is_whitespace).ok_or_else(refuse)?;
        let weekday = weekday(day).ok_or_else(refuse)?;
        let time = time_of_day(time.trim()).ok_or_else(refuse)?;
        Ok(Rule { time, days: Days::Weekly(weekday) })
    }

    /// Reads a cron line of five fields in which 1 is Monday; it may fire at most once a day.
    pub fn cron(line: &str) -> Result<Rule, RuleError> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [minute, hour, ..] = fields[..] else { return Err(RuleError::Fields(line.to_owned(), fields.len())) };
        if fields.len() != 5 {
            return Err(RuleError::Fields(line.to_owned(), fields.len()));
        }
        if let Some(why) = lone_comma(line) {
            return Err(RuleError::Cron(line.to_owned(), why));
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(line).map_err(|error| RuleError::Cron(line.to_owned(), error.to_string()))?;
        let (Some(hour), Some(minute)) = (number(hour), number(minute)) else {
            return Err(RuleError::OftenerThanDaily(line.to_owned()));
        };
        let time = Time::new(hour, minute, 0, 0).map_err(|error| RuleError::Cron(line.to_owned(), error.to_string()))?;
        let rule = Rule { time, days: Days::Cron(Box::new(cron)) };
        match rule.next_after(jiff::civil::date(2000, 1, 1)) {
            Some(_) => Ok(rule),
            None => Err(RuleError::Never(line.to_owned())),
        }
    }

    /// The first occurrence after `day`, which it never is itself. None only beyond the calendar's end.
    pub fn next_after(&self, day: Date) -> Option<Date> {
        match &self.days {
            Days::Weekly(weekday) => day.nth_weekday(1, *weekday).ok(),
            Days::Cron(cron) => {
                let end_of_day = day.at(23, 59, 59, 0);
                cron.find_next_occurrence(&end_of_day, false).ok().map(DateTime::date)
            }
        }
    }

    /// When the rule's time of day falls on `day` in `zone`.
    pub fn instant(&self, day: Date, zone: &TimeZone) -> Timestamp {
        first_valid_instant(day.to_datetime(self.time), zone)
    }

    /// The time of day.
    pub fn time(&self) -> Time {
        self.time
    }
}

/// A rule with the zone that its editions are dated in.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// The days and the time.
    pub rule: Rule,
    /// Where the rule's date and time hold.
    pub zone: TimeZone,
    /// Each subscriber is due at the rule's time in her own zone.
    pub subscriber_zone: bool,
}

impl Schedule {
    /// The earliest instant at which anyone is due by the occurrence of `day`.
    pub fn starts_at(&self, day: Date) -> Timestamp {
        if self.subscriber_zone { self.instant_at(day, Offset::constant(14)) } else { self.rule.instant(day, &self.zone) }
    }

    /// The latest instant at which anyone is due by the occurrence of `day`, as far as zones decide it.
    pub fn ends_at(&self, day: Date) -> Timestamp {
        if self.subscriber_zone { self.instant_at(day, Offset::constant(-12)) } else { self.rule.instant(day, &self.zone) }
    }

    /// When the planning of the occurrence of `day` opens.
    pub fn opens_at(&self, day: Date) -> Timestamp {
        self.starts_at(day) - PLANNING_LEAD
    }

    /// The first occurrence that starts after `now`.
    pub fn first_after(&self, now: Timestamp) -> Option<Date> {
        // An occurrence may start a day before its date, and its date may be the day before the one in UTC.
        let mut day = now.to_zoned(TimeZone::UTC).date().checked_sub(jiff::Span::new().days(3)).ok()?;
        loop {
            day = self.rule.next_after(day)?;
            if self.starts_at(day) > now {
                return Some(day);
            }
        }
    }

    /// When a subscriber in `zone` is due by the occurrence of `day`.
    pub fn due_at(&self, day: Date, zone: &TimeZone) -> Timestamp {
        self.rule.instant(day, if self.subscriber_zone { zone } else { &self.zone })
    }

    fn instant_at(&self, day: Date, offset: Offset) -> Timestamp {
        self.rule.instant(day, &TimeZone::fixed(offset))
    }
}

/// The first instant at which a clock in `zone` shows `at` or, where a change of the clocks leaves it out, has passed it.
pub(super) fn first_valid_instant(at: DateTime, zone: &TimeZone) -> Timestamp {
    let in_range = "an occurrence lies within the calendar";
    let ambiguous = zone.to_ambiguous_timestamp(at);
    let gap = matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. });
    if !gap {
        return ambiguous.earlier().expect(in_range);
    }
    // What lies inside the gap is valid from the clock change on, not from as long after it as the gap is wide.
    let beyond = ambiguous.later().expect(in_range);
    let change = zone.preceding(beyond + SignedDuration::from_secs(1)).next();
    change.map_or(beyond, |change| change.timestamp())
}

fn weekday(text: &str) -> Option<Weekday> {
    const NAMES: [(&str, Weekday); 7] = [
        ("mondays", Weekday::Monday),
        ("tuesdays", Weekday::Tuesday),
        ("wednesdays", Weekday::Wednesday),
        ("thursdays", Weekday::Thursday),
        ("fridays", Weekday::Friday),
        ("saturdays", Weekday::Saturday),
        ("sundays", Weekday::Sunday),
    ];
    let text = text.to_ascii_lowercase();
    let known = NAMES.iter().find(|(name, _)| text.len() >= 3 && name.starts_with(&text));
    known.map(|(_, weekday)| *weekday)
}

fn time_of_day(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    if minute.len() != 2 {
        return None;
    }
    Time::new(number(hour)?, number(minute)?, 0, 0).ok()
}

fn number(text: &str) -> Option<i8> {
    let digits = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests;
