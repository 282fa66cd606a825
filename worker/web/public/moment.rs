//! Moments and spans as the pages of the waitlist say them: on her clock, whose zone they name, and never later than the truth.

use crate::base::zone;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

/// `at` on the clock of `zone`, or in UTC: "Tuesday, 1 December 2026, 09:00 (Europe/London time)"; cut to the minute.
pub(super) fn moment(at: Timestamp, zone: Option<&str>) -> String {
    let zone = clock(zone);
    let named = match zone.iana_name() {
        Some(name) if name != "UTC" => format!("{} time", name.replace('_', " ")),
        _ => "UTC".to_owned(),
    };
    format!("{} ({named})", at.to_zoned(zone).strftime("%A, %-d %B %Y, %H:%M"))
}

/// The day of `at` by the calendar of `zone`: "1 December 2026".
pub(super) fn day(at: Timestamp, zone: Option<&str>) -> String {
    at.to_zoned(clock(zone)).strftime("%-d %B %Y").to_string()
}

/// A span in its two largest units, cut: "1 day and 3 hours", "5 minutes".
pub(super) fn span(span: SignedDuration) -> String {
    let minutes = span.as_secs().max(0) / 60;
    let (days, hours, minutes) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
    let parts: Vec<String> = match (days, hours, minutes) {
        (0, 0, 0) => return "less than a minute".to_owned(),
        (0, hours, minutes) => vec![counted(hours, "hour"), counted(minutes, "minute")],
        (days, hours, _) => vec![counted(days, "day"), counted(hours, "hour")],
    };
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" and ")
}

fn counted(number: i64, unit: &str) -> String {
    match number {
        0 => String::new(),
        1 => format!("1 {unit}"),
        more => format!("{more} {unit}s"),
    }
}

fn clock(zone: Option<&str>) -> TimeZone {
    zone.and_then(|name| zone::find(name).ok()).unwrap_or(TimeZone::UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_on_her_clock_to_the_minute_that_has_come() {
        let at: Timestamp = "2026-12-01T09:00:59Z".parse().unwrap();
        assert_eq!(moment(at, Some("Europe/London")), "Tuesday, 1 December 2026, 09:00 (Europe/London time)");
        assert_eq!(moment(at, Some("America/New_York")), "Tuesday, 1 December 2026, 04:00 (America/New York time)");
        assert_eq!(moment(at, None), "Tuesday, 1 December 2026, 09:00 (UTC)");
        assert_eq!(day("2026-12-01T23:30:00Z".parse().unwrap(), Some("Asia/Tokyo")), "2 December 2026");
    }

    #[test]
    fn a_span_is_told_in_two_units_and_never_too_long() {
        for (seconds, told) in [
            (-5, "less than a minute"),
            (59, "less than a minute"),
            (60, "1 minute"),
            (3_599, "59 minutes"),
            (3_600, "1 hour"),
            (3_660, "1 hour and 1 minute"),
            (27 * 3_600 + 59, "1 day and 3 hours"),
            (48 * 3_600, "2 days"),
            (48 * 3_600 - 1, "1 day and 23 hours"),
        ] {
            assert_eq!(span(SignedDuration::from_secs(seconds)), told);
        }
    }
}
