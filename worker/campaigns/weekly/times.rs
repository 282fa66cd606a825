//! When an edition's recipients are due: the zones, weekdays and hours that occur among some of them, each reckoned once.
//!
//! `weekly` and `replan` hand the outcome to `plan.sql` as columns; the reckoning itself is `own_time`'s.

use chrono::{DateTime, NaiveDate, Utc};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use sqlx::PgConnection;

use crate::base::time::{civil_to_db, to_db};
use crate::campaigns::own_time::OwnTime;
use crate::campaigns::schedule::Schedule;

/// When an edition's recipients are due.
pub(in crate::campaigns) struct Times {
    /// The edition's start: nobody is due before.
    pub(in crate::campaigns) starts_at: Timestamp,
    /// Where the campaign's clock hangs.
    pub(in crate::campaigns) zone: TimeZone,
    /// The occurrence and the rule it is by; none: an operator's edition, by which all are due at the start.
    pub(in crate::campaigns) by_rule: Option<(Date, Schedule)>,
    /// What would have been due before is due then.
    pub(in crate::campaigns) not_before: Option<Timestamp>,
}

/// The ways to say when that occur in a slice, and when each is due; one for each row. A zone, weekday or hour that was not
/// said is `''`, 0 or -1.
#[derive(Default)]
pub(super) struct Columns {
    pub(super) zones: Vec<String>,
    pub(super) weekdays: Vec<i16>,
    pub(super) hours: Vec<i16>,
    pub(super) due_at: Vec<DateTime<Utc>>,
    pub(super) due_on: Vec<NaiveDate>,
}

impl Times {
    /// When a subscriber is due, and the date on her wall then.
    pub(in crate::campaigns) fn of(&self, own: &OwnTime) -> (Timestamp, Date) {
        let due_at = match &self.by_rule {
            // The start is written in the row, and holds for whoever did not say otherwise.
            Some((_, schedule)) if !schedule.subscriber_zone && own.weekday.is_none() && own.hour.is_none() => self.starts_at,
            Some((day, schedule)) => own.due_at(schedule, *day),
            None => self.starts_at,
        };
        let due_at = self.not_before.map_or(due_at, |now| due_at.max(now));
        (due_at, own.zone.as_ref().unwrap_or(&self.zone).to_datetime(due_at).date())
    }

    /// The same for all who are among `ids`.
    pub(super) async fn columns(&self, conn: &mut PgConnection, ids: &[i64]) -> sqlx::Result<Columns> {
        let rows = sqlx::query!(
            r#"SELECT coalesce(s.zone, '') AS "zone!", coalesce(s.weekday, 0::smallint) AS "weekday!", coalesce(s.hour, -1::smallint) AS "hour!"
            FROM unnest($1::bigint[]) AS slice (id) JOIN subscribers s USING (id) GROUP BY 1, 2, 3"#,
            ids
        );
        let mut columns = Columns::default();
        for row in rows.fetch_all(conn).await? {
            let own = OwnTime::of_row(Some(&row.zone), Some(row.weekday), Some(row.hour));
            let (due_at, due_on) = self.of(&own);
            columns.zones.push(row.zone);
            columns.weekdays.push(row.weekday);
            columns.hours.push(row.hour);
            columns.due_at.push(to_db(due_at));
            columns.due_on.push(civil_to_db(due_on));
        }
        Ok(columns)
    }
}
