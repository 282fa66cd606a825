//! The rules of civil time by example; `tests/schedule.rs` holds them over ten years and every zone.

use jiff::civil::date;

use super::*;
use crate::base::zone;

fn at(text: &str) -> Rule {
    Rule::at(text).unwrap()
}

fn instant(rule: &str, day: Date, name: &str) -> String {
    at(rule).instant(day, &zone::find(name).unwrap()).to_string()
}

#[test]
fn a_weekly_time_is_read_in_every_usual_spelling() {
    for text in ["Tue 09:00", "tue 9:00", "Tuesday 09:00", "TUES  09:00", " Tuesdays 09:00 "] {
        assert_eq!(at(text).next_after(date(2026, 3, 1)), Some(date(2026, 3, 3)), "{text}");
        assert_eq!(at(text).time(), Time::constant(9, 0, 0, 0), "{text}");
    }
}

#[test]
fn a_text_that_is_no_weekly_time_is_refused_with_an_example() {
    for text in
        ["", "Tue", "09:00", "Tue 24:00", "Tue 9", "Tu 09:00", "Tue 09:00:00", "Tue 9:5", "Tue +9:00", "Foo 09:00", "Tuesdayish 09:00"]
    {
        let error = Rule::at(text).unwrap_err().to_string();
        assert_eq!(error, format!("`{text}` is no weekly time: expected a weekday and a 24-hour time, such as `Tue 09:00`"));
    }
}

#[test]
fn a_rule_never_answers_with_the_day_that_it_was_given() {
    assert_eq!(at("Tue 09:00").next_after(date(2026, 3, 3)), Some(date(2026, 3, 10)));
    assert_eq!(Rule::cron("0 9 * * 2").unwrap().next_after(date(2026, 3, 3)), Some(date(2026, 3, 10)));
}

#[test]
fn in_a_cron_line_1_is_monday_and_the_days_of_a_month_work_too() {
    assert_eq!(Rule::cron("0 9 * * 1").unwrap().next_after(date(2026, 3, 1)), Some(date(2026, 3, 2)));
    assert_eq!(Rule::cron("0 9 * * 7").unwrap().next_after(date(2026, 3, 1)), Some(date(2026, 3, 8)));
    assert_eq!(Rule::cron("30 18 1 * *").unwrap().next_after(date(2026, 3, 1)), Some(date(2026, 4, 1)));
    assert_eq!(Rule::cron("0 9 29 2 *").unwrap().next_after(date(2026, 3, 1)), Some(date(2028, 2, 29)));
}

#[test]
fn a_cron_line_that_could_fire_twice_a_day_is_refused() {
    for line in ["* 9 * * 2", "0 9,17 * * 2", "0 */6 * * 2", "0-5 9 * * 2"] {
        assert!(matches!(Rule::cron(line), Err(RuleError::OftenerThanDaily(_))), "{line}");
    }
}

#[test]
fn a_cron_line_that_cannot_be_read_or_never_fires_is_refused() {
    assert!(matches!(Rule::cron("0 9 * *"), Err(RuleError::Fields(_, 4))));
    assert!(matches!(Rule::cron("0 0 9 * * 2"), Err(RuleError::Fields(_, 6))));
    assert!(matches!(Rule::cron("@weekly"), Err(RuleError::Fields(_, 1))));
    assert!(matches!(Rule::cron("0 9 * * 9"), Err(RuleError::Cron(..))));
    assert!(matches!(Rule::cron("0 9 1,,15 * *"), Err(RuleError::Cron(_, why)) if why.contains("`1,,15`")));
    assert!(matches!(Rule::cron("0 25 * * 2"), Err(RuleError::Cron(..))));
    assert!(matches!(Rule::cron("0 9 31 2 *"), Err(RuleError::Never(_))));
}

#[test]
fn a_time_in_the_gap_is_due_at_the_first_valid_instant() {
    // London's clocks go from 01:00 to 02:00 on 29 March 2026, at 01:00 UTC.
    assert_eq!(instant("Sun 01:30", date(2026, 3, 29), "Europe/London"), "2026-03-29T01:00:00Z");
    assert_eq!(instant("Sun 01:00", date(2026, 3, 29), "Europe/London"), "2026-03-29T01:00:00Z");
    // Lord Howe Island moves by half an hour.
    assert_eq!(instant("Sun 02:15", date(2026, 10, 4), "Australia/Lord_Howe"), "2026-10-03T15:30:00Z");
    // Samoa left 30 December 2011 out altogether.
    assert_eq!(instant("Fri 09:00", date(2011, 12, 30), "Pacific/Apia"), "2011-12-30T10:00:00Z");
}

#[test]
fn a_time_in_the_fold_is_due_once_at_the_earlier() {
    assert_eq!(instant("Sun 01:30", date(2026, 10, 25), "Europe/London"), "2026-10-25T00:30:00Z");
    assert_eq!(instant("Sun 01:30", date(2026, 11, 1), "America/New_York"), "2026-11-01T05:30:00Z");
}

#[test]
fn the_wall_clock_holds_across_a_clock_change() {
    assert_eq!(instant("Tue 09:00", date(2026, 3, 24), "Europe/London"), "2026-03-24T09:00:00Z");
    assert_eq!(instant("Tue 09:00", date(2026, 3, 31), "Europe/London"), "2026-03-31T08:00:00Z");
}

#[test]
fn a_new_schedule_starts_with_the_first_occurrence_that_nobody_has_missed() {
    let schedule = |subscriber_zone| Schedule { rule: at("Tue 09:00"), zone: zone::find("Europe/London").unwrap(), subscriber_zone };
    let first = |subscriber_zone, now: &str| schedule(subscriber_zone).first_after(now.parse().unwrap()).unwrap();
    assert_eq!(first(false, "2026-03-03T08:59:59Z"), date(2026, 3, 3));
    assert_eq!(first(false, "2026-03-03T09:00:00Z"), date(2026, 3, 10));
    // At UTC+14 the Tuesday's nine o'clock is Monday, 19:00 UTC.
    assert_eq!(first(true, "2026-03-02T18:59:59Z"), date(2026, 3, 3));
    assert_eq!(first(true, "2026-03-02T19:00:00Z"), date(2026, 3, 10));
}

#[test]
fn a_schedule_by_the_subscribers_zones_spans_26_hours() {
    let schedule = Schedule { rule: at("Tue 09:00"), zone: TimeZone::UTC, subscriber_zone: true };
    let day = date(2026, 3, 3);
    assert_eq!(schedule.starts_at(day).to_string(), "2026-03-02T19:00:00Z");
    assert_eq!(schedule.opens_at(day).to_string(), "2026-03-02T18:30:00Z");
    assert_eq!(schedule.ends_at(day).to_string(), "2026-03-03T21:00:00Z");
}
