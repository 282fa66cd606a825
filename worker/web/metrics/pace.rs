//! The gauges of the pace: limits, what is used of them, and what backs off; for relays and groups, as there may be any number of domains.

use crate::{
    base::config::{Config, DEFAULT_GROUP},
    delivery::pace::{
        plain,
        standing::{self, Standing},
    },
};
use jiff::Timestamp;
use metrics::gauge;
use sqlx::PgConnection;

/// What each of them is.
pub(super) fn describe() {
    use metrics::{describe_counter, describe_gauge};
    describe_gauge!("tidings_pace_window_limit", "Mails that a relay or a group of domains may be given in its window, as it is now");
    describe_gauge!("tidings_pace_window_seconds", "The length of that window");
    describe_gauge!("tidings_pace_window_taken", "Permits of that window that workers took");
    describe_gauge!("tidings_pace_day_limit", "Mails of this day, by the plan of a relay or a group");
    describe_gauge!("tidings_pace_day_taken", "Permits of this day that workers took");
    describe_gauge!("tidings_pace_connections_limit", "Hand-overs at the same time that a group may have");
    describe_gauge!("tidings_pace_connections_held", "Those of them that workers hold");
    describe_gauge!("tidings_pace_backing_off", "1 while a group is given less than the settings say, because of its answers");
    describe_counter!("tidings_pace_put_off_total", "Mails that this process put off, by what had no room; `other`: a domain in no group");
}

/// Reads them.
pub(super) async fn read(conn: &mut PgConnection, config: &Config, now: Timestamp) -> sqlx::Result<()> {
    for of in standing::list(conn, config, now).await? {
        if of.kind != "domain" && of.name != DEFAULT_GROUP {
            show(&of);
        }
    }
    Ok(())
}

fn show(of: &Standing) {
    let pace = plain(&format!("{}:{}", of.kind, of.name));
    // Groups that nothing is said about are none of an operator's worries; one that came to rest shows 0.
    if of.kind == "group" {
        gauge!("tidings_pace_backing_off", "pace" => pace.clone()).set(f64::from(u8::from(of.backing_off.is_some())));
    }
    if let Some(window) = &of.window {
        gauge!("tidings_pace_window_limit", "pace" => pace.clone()).set(window.limit as f64);
        gauge!("tidings_pace_window_seconds", "pace" => pace.clone()).set(window.seconds as f64);
        gauge!("tidings_pace_window_taken", "pace" => pace.clone()).set(window.taken as f64);
    }
    if let Some(day) = &of.warm_up {
        gauge!("tidings_pace_day_limit", "pace" => pace.clone()).set(day.limit as f64);
        gauge!("tidings_pace_day_taken", "pace" => pace.clone()).set(day.taken as f64);
    }
    if let Some(connections) = &of.connections {
        gauge!("tidings_pace_connections_limit", "pace" => pace.clone()).set(f64::from(connections.limit));
        gauge!("tidings_pace_connections_held", "pace" => pace.clone()).set(f64::from(connections.held));
    }
}
