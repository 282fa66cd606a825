//! Times as operators type them and read them: a wall clock in a zone, and how long something lasts.

use crate::base::zone;
use anyhow::{Context as _, bail, ensure};
use jiff::{
    SignedDuration, Span, SpanRelativeTo, Timestamp,
    civil::DateTime,
    tz::{AmbiguousOffset, Offset, TimeZone},
};

/// A wall clock's time in a zone, such as `2026-12-01 09:00`, or an instant with its offset, such as `2026-12-01 09:00+01:00`.
///
/// A time that the clock of the zone skips, or shows twice, is refused: which instant is meant the operator says.
pub(super) fn instant(text: &str, zone_name: &str) -> anyhow::Result<Timestamp> {
    let (text, zone) = (text.trim(), zone::find(zone_name)?);
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let at = text.parse::<DateTime>().ok().filter(|_| text.contains(':'));
    let at = at.with_context(|| format!("`{}` is no time: expected e.g. `2026-12-01 09:00`", text.escape_debug()))?;
    let ambiguous = zone.to_ambiguous_timestamp(at);
    let either = |offset: Offset| offset.to_timestamp(at).map(|instant| shown_with_offset(instant, &zone));
    match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { offset } => Ok(offset.to_timestamp(at)?),
        // The offset before the change gives the time after it, and the other way round.
        AmbiguousOffset::Gap { before, after } => bail!(
            "there is no {} in {zone_name}: the clocks are put on; say `{}` or `{}`",
            at.strftime("%F %R"),
            either(after)?,
            either(before)?
        ),
        AmbiguousOffset::Fold { before, after } => bail!(
            "there are two {} in {zone_name}: the clocks are put back; say `{}` or `{}`",
            at.strftime("%F %R"),
            either(before)?,
            either(after)?
        ),
    }
}

fn shown_with_offset(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%F %R%:z").to_string()
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
        for same in ["2026-12-01 09:00+01:00", "2026-12-01T08:00Z", " 2026-12-01T09:00:00 "] {
            assert_eq!(instant(same, "Europe/Berlin").unwrap().to_string(), "2026-12-01T08:00:00Z", "{same}");
        }
        // A day is no time: its first minute is seldom what is meant.
        for text in ["tomorrow", "2026-12-01", "2026-12-32 09:00", ""] {
            assert!(instant(text, "UTC").unwrap_err().to_string().contains("2026-12-01 09:00"), "{text}");
        }
        assert!(instant("2026-12-01 09:00", "Europe/Berln").unwrap_err().to_string().contains("Europe/Berlin"));
    }

    #[test]
    fn a_time_that_does_not_exist_or_exists_twice_is_named_with_both_ways_out() {
        let refused = |text: &str| instant(text, "Europe/Berlin").unwrap_err().to_string();
        assert_eq!(
            refused("2026-03-29 02:30"),
            "there is no 2026-03-29 02:30 in Europe/Berlin: the clocks are put on; say `2026-03-29 01:30+01:00` or `2026-03-29 03:30+02:00`"
        );
        assert_eq!(
            refused("2026-10-25 02:30"),
            "there are two 2026-10-25 02:30 in Europe/Berlin: the clocks are put back; say `2026-10-25 02:30+02:00` or `2026-10-25 02:30+01:00`"
        );
        assert_eq!(instant("2026-10-25 02:30+01:00", "Europe/Berlin").unwrap().to_string(), "2026-10-25T01:30:00Z");
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
