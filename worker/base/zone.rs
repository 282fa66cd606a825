//! The time zones of the tz database that is compiled in, so that every worker dates an edition alike.
//!
//! Owns the look-up of a name (upper and lower case are one) and the suggestions for a wrong one. The audience reads
//! a subscriber's zone by it, campaigns their own; planning walks all zones to say when each is due.

use std::sync::LazyLock;

use super::near::distance;
use jiff::tz::{TimeZone, TimeZoneDatabase};

/// No name of a zone is longer, in characters.
const LONGEST: usize = 64;

/// A name that is no zone of the tz database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is no time zone of the tz database: expected a name such as `Europe/London`{}", near(suggestions))]
pub struct ZoneError {
    name: String,
    suggestions: Vec<String>,
}

/// The zone of an IANA name; its canonical spelling is `iana_name` of the answer.
pub fn find(name: &str) -> Result<TimeZone, ZoneError> {
    let name = name.trim();
    let zone = TimeZoneDatabase::bundled().get(name).ok().filter(|zone| !zone.is_unknown());
    // What is far too long to be a name is neither shown whole nor compared with any.
    let shown: String = name.chars().take(LONGEST).collect();
    zone.ok_or_else(|| ZoneError { suggestions: if shown == name { suggestions(name) } else { Vec::new() }, name: shown })
}

/// Every zone by name, in the order of the names.
pub fn all() -> &'static [(String, TimeZone)] {
    static ALL: LazyLock<Vec<(String, TimeZone)>> = LazyLock::new(|| {
        let database = TimeZoneDatabase::bundled();
        let mut names: Vec<String> = database.available().map(|name| name.as_str().to_owned()).collect();
        names.sort();
        names.into_iter().filter_map(|name| find(&name).ok().map(|zone| (name, zone))).collect()
    });
    &ALL
}

fn suggestions(name: &str) -> Vec<String> {
    let wanted = plain(name);
    let limit = wanted.chars().count() / 4;
    let mut near: Vec<(usize, &str)> =
        all().iter().map(|(known, _)| (likeness(&wanted, known), known.as_str())).filter(|(distance, _)| *distance <= limit).collect();
    near.sort();
    let best = near.first().map_or(0, |(distance, _)| *distance);
    near.into_iter().take_while(|(distance, _)| *distance <= best + 1).take(3).map(|(_, known)| known.to_owned()).collect()
}

/// The edit distance to the whole name or to its city alone, whichever is nearer.
fn likeness(wanted: &str, known: &str) -> usize {
    let known = plain(known);
    let city = known.rsplit('/').next().unwrap_or(&known);
    let wanted_city = wanted.rsplit('/').next().unwrap_or(wanted);
    // A right city under a wrong continent is as good as a slip of one letter.
    distance(wanted, &known).min(distance(wanted_city, city) + 1)
}

fn plain(name: &str) -> String {
    name.to_lowercase().replace([' ', '-'], "_")
}

fn near(suggestions: &[String]) -> String {
    if suggestions.is_empty() {
        return String::new();
    }
    format!("; did you mean {}?", suggestions.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_found_whatever_its_case() {
        assert_eq!(find("europe/LONDON").unwrap().iana_name(), Some("Europe/London"));
        assert_eq!(find("utc").unwrap().iana_name(), Some("UTC"));
    }

    #[test]
    fn a_wrong_name_is_answered_with_near_ones() {
        let text = |name: &str| find(name).unwrap_err().to_string();
        assert!(text("Europe/Londn").contains("`Europe/London`"));
        assert!(text("New York").contains("`America/New_York`"));
        assert!(text("Berlin").contains("`Europe/Berlin`"));
        assert_eq!(
            text("the moon, far side"),
            "`the moon, far side` is no time zone of the tz database: expected a name such as `Europe/London`"
        );
        assert!(find("").is_err());
        assert!(find(&"x".repeat(5000)).is_err());
    }

    #[test]
    fn all_zones_are_known() {
        assert!(all().len() > 500);
    }
}
