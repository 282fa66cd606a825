//! A subscriber's own zone, weekday and hour, and when she is due by them: pure, as `schedule` is.
//!
//! With a day or an hour of her own she is due once in the week that begins at the letter's own time on her clock. That beginning
//! is reckoned in civil time, so that a change of the clocks never gives her two letters in a week, or none. `weekly` and
//! `outlook` ask; `people::preferences` and the command line write what she chose.

use jiff::civil::{Date, DateTime, Time, Weekday, date};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Span, Timestamp};

use super::schedule::{Schedule, first_valid_instant};
use crate::base::zone;

/// When she wants her letters, as far as she said.
#[derive(Debug, Clone, Default)]
pub struct OwnTime {
    /// Where her clock hangs; none: the campaign's zone.
    pub zone: Option<TimeZone>,
    /// On which day; none: the letter's own.
    pub weekday: Option<Weekday>,
    /// At which hour of her clock; none: the letter's own time.
    pub hour: Option<i8>,
}

impl OwnTime {
    /// Reads the columns of her row; what none of us wrote counts as not said.
    pub fn of_row(zone: Option<&str>, weekday: Option<i16>, hour: Option<i16>) -> Self {
        Self {
            zone: zone.filter(|name| !name.is_empty()).and_then(|name| zone::find(name).ok()),
            weekday: weekday.and_then(|day| Weekday::from_monday_one_offset(i8::try_from(day).ok()?).ok()),
            hour: hour.and_then(|hour| i8::try_from(hour).ok()).filter(|hour| (0..24).contains(hour)),
        }
    }

    /// When she is due by the occurrence of `day`: never before the edition starts, and in the week from the letter's own time on.
    pub fn due_at(&self, schedule: &Schedule, day: Date) -> Timestamp {
        let zone = self.zone.as_ref().unwrap_or(&schedule.zone);
        if self.weekday.is_none() && self.hour.is_none() {
            return schedule.due_at(day, zone);
        }
        let begins = begins(schedule, day, zone);
        let time = self.hour.map_or(schedule.rule.time(), |hour| Time::constant(hour, 0, 0, 0));
        let wanted = self.weekday.unwrap_or(day.weekday());
        let first = begins.date().saturating_add(Span::new().days(begins.date().weekday().until(wanted)));
        let first = first.to_datetime(time);
        let due = if first < begins { first.saturating_add(Span::new().weeks(1)) } else { first };
        first_valid_instant(due, zone).max(schedule.starts_at(day))
    }
}

// When her week begins on her clock. By a campaign in one zone her clock may be any number of hours ahead or behind, fewer in
// one half of the year; the greater number holds all the year, so that she is never due before the edition starts. In the
// weeks when only one of two zones has changed its clocks she may be an hour late, at most.
fn begins(schedule: &Schedule, day: Date, zone: &TimeZone) -> DateTime {
    let begins = day.to_datetime(schedule.rule.time());
    if schedule.subscriber_zone || zone == &schedule.zone {
        return begins;
    }
    let ahead = |month| {
        let at = noon(day.year(), month);
        i64::from(zone.to_offset(at).seconds() - schedule.zone.to_offset(at).seconds())
    };
    begins.saturating_add(SignedDuration::from_secs(ahead(1).max(ahead(7))))
}

fn noon(year: i16, month: i8) -> Timestamp {
    Offset::UTC.to_timestamp(date(year, month, 15).at(12, 0, 0, 0)).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaigns::schedule::Rule;
    use proptest::prelude::*;

    fn schedule(at: &str, zone: &str, subscriber_zone: bool) -> Schedule {
        Schedule { rule: Rule::at(at).unwrap(), zone: zone::find(zone).unwrap(), subscriber_zone }
    }

    fn due(schedule: &Schedule, zone: Option<&str>, weekday: Option<i16>, hour: Option<i16>) -> String {
        let at = OwnTime::of_row(zone, weekday, hour).due_at(schedule, date(2026, 1, 13));
        at.strftime("%a %d %H:%M").to_string()
    }

    #[test]
    fn her_own_day_and_hour_come_within_the_week_after_the_letters_own_time() {
        let london = schedule("Tue 09:00", "Europe/London", false);
        assert_eq!(due(&london, None, None, None), "Tue 13 09:00");
        assert_eq!(due(&london, None, Some(2), Some(9)), "Tue 13 09:00");
        assert_eq!(due(&london, None, None, Some(18)), "Tue 13 18:00");
        assert_eq!(due(&london, None, None, Some(8)), "Tue 20 08:00");
        assert_eq!(due(&london, None, Some(7), None), "Sun 18 09:00");
        assert_eq!(due(&london, None, Some(1), Some(7)), "Mon 19 07:00");
    }

    #[test]
    fn her_own_hour_is_that_of_her_own_clock() {
        let london = schedule("Tue 09:00", "Europe/London", false);
        assert_eq!(due(&london, Some("Asia/Kolkata"), None, None), "Tue 13 09:00", "nothing of her own but the zone");
        assert_eq!(due(&london, Some("Asia/Kolkata"), None, Some(15)), "Tue 13 09:30");
        assert_eq!(due(&london, Some("Asia/Kolkata"), None, Some(9)), "Tue 20 03:30");
        assert_eq!(due(&london, Some("Europe/Berlin"), None, Some(10)), "Tue 13 09:00");
        assert_eq!(due(&london, Some("America/New_York"), None, Some(9)), "Tue 13 14:00");
        let everywhere = schedule("Tue 09:00", "Europe/London", true);
        assert_eq!(due(&everywhere, Some("Pacific/Auckland"), None, None), "Mon 12 20:00");
        assert_eq!(due(&everywhere, Some("Pacific/Auckland"), Some(2), Some(10)), "Mon 12 21:00");
        assert_eq!(due(&everywhere, Some("Mars/Olympus"), Some(3), None), "Wed 14 09:00", "an unknown zone is the campaign's");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3_000))]

        #[test]
        fn week_after_week_she_is_due_once_at_her_hour_and_never_before_the_edition_starts(
            rule in 0i8..7, hour in 0i8..24, minute in prop::sample::select(vec![0i8, 15, 30]), campaign in 0usize..10_000, hers in 0usize..10_000,
            weekday in prop::option::of(1i16..8), own_hour in prop::option::of(0i16..24), subscriber_zone: bool, week in 0i64..520,
        ) {
            let days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
            let zones = zone::all();
            let (campaign, (name, zone)) = (&zones[campaign % zones.len()].0, &zones[hers % zones.len()]);
            let schedule = schedule(&format!("{} {hour:02}:{minute:02}", days[rule as usize]), campaign, subscriber_zone);
            let own = OwnTime::of_row(Some(name), weekday, own_hour);
            let day = schedule.rule.next_after(date(2024, 1, 1).saturating_add(SignedDuration::from_hours(24 * 7 * week))).unwrap();
            let due = own.due_at(&schedule, day);
            let following = own.due_at(&schedule, schedule.rule.next_after(day).unwrap());
            prop_assert!(due >= schedule.starts_at(day));
            prop_assert!(due < schedule.starts_at(day) + SignedDuration::from_hours(24 * 8 + 4), "{}", due);
            let apart = following.duration_since(due).as_hours();
            prop_assert!((24 * 7 - 3..=24 * 7 + 3).contains(&apart), "{} hours between {} and {}", apart, due, following);
            if weekday.is_some() || own_hour.is_some() {
                let wall = zone.to_datetime(due);
                let wanted = Time::constant(own_hour.map_or(hour, |hour| hour as i8), if own_hour.is_some() { 0 } else { minute }, 0, 0);
                let on = if wall.time() < wanted { wall.date().yesterday().unwrap() } else { wall.date() };
                let late = on.to_datetime(wanted).duration_until(wall);
                prop_assert!((SignedDuration::ZERO..=SignedDuration::from_mins(121)).contains(&late), "{} is due at {}, {} on the wall", wanted, due, wall);
                prop_assert_eq!(i16::from(on.weekday().to_monday_one_offset()), weekday.unwrap_or(i16::from(day.weekday().to_monday_one_offset())));
            }
        }
    }
}
