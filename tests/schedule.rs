//! Civil time over ten years and every zone of the tz database: one edition each week, each at the right moment.

use jiff::civil::{Date, DateTime, Time, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use tidings::base::zone;
use tidings::campaigns::schedule::{Rule, Schedule};

const FIRST_DAY: Date = date(2024, 1, 1);
const YEARS: i16 = 10;
const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

#[test]
fn every_zone_gets_exactly_one_edition_each_week_for_ten_years_at_the_right_civil_time() {
    // The nights from Saturday to Sunday and from Thursday to Friday are when clocks are changed.
    for text in ["Tue 09:00", "Sun 00:00", "Sun 01:30", "Sun 02:15", "Fri 00:30", "Thu 23:59"] {
        let rule = Rule::at(text).unwrap();
        for (name, zone) in zone::all() {
            hold_ten_years(&rule, name, zone);
        }
    }
}

#[test]
fn nobody_is_due_before_the_edition_starts_or_after_it_ends() {
    for text in ["Tue 09:00", "Sun 02:30", "Mon 00:00"] {
        let schedule = Schedule { rule: Rule::at(text).unwrap(), zone: TimeZone::UTC, subscriber_zone: true };
        let mut day = FIRST_DAY;
        for _ in 0..520 {
            day = schedule.rule.next_after(day).unwrap();
            let (first, last) = (schedule.starts_at(day), schedule.ends_at(day));
            assert!(last.duration_since(first) <= SignedDuration::from_hours(26));
            for (name, zone) in zone::all() {
                let due = schedule.due_at(day, zone);
                assert!(first <= due && due <= last, "{text} of {day} in {name}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_weekday_and_time_falls_on_that_day_once_a_week(
        weekday in 0usize..7, hour in 0i8..24, minute in 0i8..60, zone in 0usize..10_000, week in 0i64..520,
    ) {
        let rule = Rule::at(&format!("{} {hour:02}:{minute:02}", WEEKDAYS[weekday])).unwrap();
        let cron = Rule::cron(&format!("{minute} {hour} * * {}", weekday + 1)).unwrap();
        let (name, zone) = &zone::all()[zone % zone::all().len()];
        let day = FIRST_DAY.checked_add(SignedDuration::from_hours(24 * 7 * week)).unwrap();
        let next = rule.next_after(day).unwrap();
        prop_assert_eq!(cron.next_after(day), Some(next));
        prop_assert_eq!(cron.instant(next, zone), rule.instant(next, zone));
        hold_civil_time(next.to_datetime(rule.time()), rule.instant(next, zone), name, zone);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,30}") {
        let _ = Rule::at(&text);
        let _ = Rule::cron(&text);
        let _ = zone::find(&text);
    }

    #[test]
    fn a_cron_line_of_any_shape_is_read_or_refused_and_goes_on_by_whole_days(
        minute in "[0-9*/,-]{1,4}", hour in "[0-9*/,-]{1,4}", day in "[0-9*/,LW-]{1,4}", month in "[0-9*/,-]{1,3}", weekday in "[0-9*/,#L-]{1,3}",
    ) {
        if let Ok(rule) = Rule::cron(&format!("{minute} {hour} {day} {month} {weekday}")) {
            let first = rule.next_after(FIRST_DAY).unwrap();
            prop_assert!(first > FIRST_DAY);
            prop_assert!(rule.next_after(first).is_none_or(|second| second > first));
        }
    }
}

fn hold_ten_years(rule: &Rule, name: &str, zone: &TimeZone) {
    let mut day = rule.next_after(FIRST_DAY).expect("a first");
    let mut editions = 0;
    while day.year() < FIRST_DAY.year() + YEARS {
        hold_civil_time(day.to_datetime(rule.time()), rule.instant(day, zone), name, zone);
        let next = rule.next_after(day).expect("a next");
        assert_eq!(day.until(next).expect("a span").get_days(), 7, "{name}: from {day} to {next}");
        day = next;
        editions += 1;
    }
    assert!((520..=523).contains(&editions), "{name} had {editions} editions in {YEARS} years");
}

/// The instant shows the wanted time on the wall and no earlier one does; or the wall never showed it, and the
/// instant is the clock change that left it out.
fn hold_civil_time(wanted: DateTime, due: Timestamp, name: &str, zone: &TimeZone) {
    let wall = zone.to_datetime(due);
    if wall == wanted {
        for quarters in 1..=8 {
            let earlier = zone.to_datetime(due - SignedDuration::from_mins(15 * quarters));
            assert_ne!(earlier, wanted, "{name}: {wanted} came before {due}");
        }
    } else {
        let before = zone.to_datetime(due - SignedDuration::from_nanos(1));
        assert!(before < wanted && wanted < wall, "{name}: {wanted} is due at {due}, when the wall shows {wall}");
        assert!(wall.duration_since(before) > SignedDuration::from_mins(1), "{name}: no clock change at {due}");
    }
}

#[test]
fn a_day_that_a_zone_left_out_still_has_its_edition() {
    let zone = zone::find("Pacific/Apia").unwrap();
    let rule = Rule::at("Fri 09:00").unwrap();
    let day = date(2011, 12, 30);
    let due = rule.instant(day, &zone);
    hold_civil_time(day.to_datetime(Time::constant(9, 0, 0, 0)), due, "Pacific/Apia", &zone);
    assert_eq!(due.to_string(), "2011-12-30T10:00:00Z");
}
