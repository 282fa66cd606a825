//! Times as operators type them and read them: a wall clock in a zone, and how long something lasts.

use crate::base::zone;
use anyhow::{Context as _, ensure};
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp, civil::DateTime};

/// A wall clock's time in a zone, such as `2026-12-01 09:00`; one that the clock skips is read as the time after the change.
pub(super) fn instant(text: &str, zone_name: &str) -> anyhow::Result<Timestamp> {
    let at: DateTime =
        text.trim().parse().ok().with_context(|| format!("`{}` is no time: expected e.g. `2026-12-01 09:00`", text.escape_debug()))?;
    Ok(at.to_zoned(zone::find(zone_name)?)?.timestamp())
}

/// How long something lasts, such as `48h`, `90m` or `2d`; a day has 24 hours.
pub(super) fn lasting(text: &str) -> Result<SignedDuration, String> {
    let read = || -> anyhow::Result<SignedDuration> {
        let span: Span = text.trim().parse()?;
        let time = span.to_duration(SpanRelativeTo::days_are_24_hours())?;
        ensure!(!time.is_negative());
        Ok(time)
    };
    read().map_err(|_| format!("`{}` is no time to last: expected e.g. `48h`, `90m` or `2d`", text.escape_debug()))
}

/// An instant on the clocks of a zone, to the minute, with the zone's name.
pub(super) fn shown(at: Timestamp, zone_name: &str) -> String {
    match zone::find(zone_name) {
        Ok(zone) => format!("{} {zone_name}", at.to_zoned(zone).strftime("%F %R")),
        Err(_) => format!("{} UTC", super::table::minute(at)),
    }
}

/// A time that is left, in the two greatest of its units.
pub(super) fn left(seconds: i64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes} min"),
        (0, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_in_a_zone_is_an_instant() {
        assert_eq!(instant("2026-12-01 09:00", "Europe/Berlin").unwrap().to_string(), "2026-12-01T08:00:00Z");
        // Between two and three there is no such time on that night.
        assert_eq!(instant("2026-03-29 02:30", "Europe/Berlin").unwrap().to_string(), "2026-03-29T01:30:00Z");
        assert!(instant("tomorrow", "UTC").unwrap_err().to_string().contains("2026-12-01 09:00"));
        assert!(instant("2026-12-01 09:00", "Europe/Berln").unwrap_err().to_string().contains("Europe/Berlin"));
    }

    #[test]
    fn how_long_something_lasts_is_read_and_told() {
        assert_eq!(lasting("48h"), Ok(SignedDuration::from_hours(48)));
        assert_eq!(lasting("2d"), Ok(SignedDuration::from_hours(48)));
        assert_eq!(lasting("90m"), Ok(SignedDuration::from_mins(90)));
        for text in ["", "48", "-1h", "soon", "1 month"] {
            assert!(lasting(text).is_err(), "{text}");
        }
        assert_eq!([left(59), left(3_700), left(200_000)], ["0 min", "1 h 1 min", "2 d 7 h"]);
    }
}
