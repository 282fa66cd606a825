//! Moments as a mail says them: the day in words, the hour on her clock and the zone, so that nobody has to guess.
//! Reads the `zone` of frozen contexts.

use crate::base::zone;
use jiff::{
    Timestamp,
    tz::{AmbiguousOffset, TimeZone},
};

/// `at` on the clock of `zone`, or in UTC, cut to the minute, e.g. "Tuesday 1 December 2026, 09:00 (Europe/London time)". In the
/// hour that comes twice it names the offset too.
pub fn moment(at: Timestamp, zone: Option<&TimeZone>) -> String {
    let zone = zone.cloned().unwrap_or(TimeZone::UTC);
    let named = match zone.iana_name() {
        Some(name) if name != "UTC" => format!("{} time", name.replace('_', " ")),
        _ => "UTC".to_owned(),
    };
    let local = at.to_zoned(zone.clone());
    let twice = matches!(zone.to_ambiguous_timestamp(local.datetime()).offset(), AmbiguousOffset::Fold { .. });
    let offset = if twice { local.strftime(", UTC%:z").to_string() } else { String::new() };
    format!("{} ({named}{offset})", local.strftime("%A %-d %B %Y, %H:%M"))
}

/// Reads the name of a zone, or null.
pub(super) fn zone<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<TimeZone>, D::Error> {
    let name: Option<String> = serde::Deserialize::deserialize(from)?;
    name.map(|name| zone::find(&name).map_err(serde::de::Error::custom)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_said_on_her_clock_and_names_it() {
        let at: Timestamp = "2026-07-01T04:05:00Z".parse().unwrap();
        let said = |name: &str| moment(at, Some(&zone::find(name).unwrap()));
        assert_eq!(said("Europe/London"), "Wednesday 1 July 2026, 05:05 (Europe/London time)");
        assert_eq!(said("America/New_York"), "Wednesday 1 July 2026, 00:05 (America/New York time)");
        assert_eq!(moment(at, None), "Wednesday 1 July 2026, 04:05 (UTC)");
    }

    #[test]
    fn a_moment_is_cut_to_the_minute_and_names_its_offset_in_the_hour_that_comes_twice() {
        let said = |at: &str| moment(at.parse().unwrap(), Some(&zone::find("Europe/London").unwrap()));
        assert_eq!(said("2026-12-01T08:59:59.999999999Z"), "Tuesday 1 December 2026, 08:59 (Europe/London time)");
        assert_eq!(said("2026-10-25T00:30:00Z"), "Sunday 25 October 2026, 01:30 (Europe/London time, UTC+01:00)");
        assert_eq!(said("2026-10-25T01:30:00Z"), "Sunday 25 October 2026, 01:30 (Europe/London time, UTC+00:00)");
        assert_eq!(said("2026-03-29T01:30:00Z"), "Sunday 29 March 2026, 02:30 (Europe/London time)");
    }
}
