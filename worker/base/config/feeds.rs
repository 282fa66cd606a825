//! The feeds of the settings and the bounds of what is fetched: what is wrong with one is said when the settings are read, and not in the night of its cron line.

use super::duration;
use crate::base::{
    cron_line::{CronLine, CronLineError},
    fetch,
};
use serde::Deserialize;
use std::{collections::BTreeMap, time::Duration};

/// A feed of articles that is brought in on a cron line.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feed {
    /// Its https address.
    pub url: String,
    /// The series that gets the tips; empty: `tips`.
    #[serde(default)]
    pub series: String,
    /// When: minute, hour, day, month, weekday; 1 is Monday.
    pub cron: String,
    /// The zone of the cron line.
    #[serde(default = "utc")]
    pub zone: String,
    /// Whether its tips are approved at once.
    #[serde(default)]
    pub approve: bool,
}

/// The bounds of what is fetched.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fetch {
    /// The largest that is taken, in millions of bytes.
    pub megabytes: u16,
    /// Within this a host is found and connected to.
    #[serde(deserialize_with = "duration")]
    pub connect_timeout: Duration,
    /// Within this all of it is done.
    #[serde(deserialize_with = "duration")]
    pub timeout: Duration,
}

/// The first key that is wrong, and why.
pub(super) fn check(feeds: &BTreeMap<String, Feed>, bounds: &Fetch) -> Result<(), (String, String)> {
    if bounds.megabytes == 0 || bounds.timeout == Duration::ZERO || bounds.connect_timeout == Duration::ZERO {
        return Err(("fetch.megabytes, fetch.connect_timeout, fetch.timeout".to_owned(), "they must be more than 0".to_owned()));
    }
    if bounds.timeout > LONGEST {
        return Err(("fetch.timeout".to_owned(), format!("it must be {} s or less", LONGEST.as_secs())));
    }
    for (name, feed) in feeds {
        let wrong = |key: &str, why: String| Err((format!("feeds.{name}.{key}"), why));
        let url = match fetch::address(&feed.url) {
            Ok(url) => url,
            Err(error) => return wrong("url", error.to_string()),
        };
        if let Err(error) = CronLine::parse(&feed.cron, &feed.zone) {
            let key = if matches!(error, CronLineError::Zone(_)) { "zone" } else { "cron" };
            return wrong(key, error.to_string());
        }
        let same = |other: &Feed| fetch::address(&other.url).is_ok_and(|other| other == url) && other.series.trim() == feed.series.trim();
        if let Some((first, _)) = feeds.iter().find(|(_, other)| same(other)).filter(|(first, _)| *first != name) {
            return wrong("url", format!("feeds.{first} brings the same feed into the same series: leave one of them out"));
        }
    }
    Ok(())
}

/// Fetching is part of a job, and whoever has begun one holds it only so long.
const LONGEST: Duration = Duration::from_secs(300);

fn utc() -> String {
    "UTC".to_owned()
}
