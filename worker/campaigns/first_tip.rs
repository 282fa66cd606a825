//! The first tip of somebody who has just confirmed: at once where the campaign says so, else with the next regular edition.
//!
//! A tip at once belongs to no edition: it is a transactional delivery, one for each person and series ever, and the regular edition
//! within 72 hours passes her over by the rule that holds for all. Called by `people::arrival` under her row.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use sqlx::PgConnection;

use super::weekly::hold_series;
use crate::base::time::{civil_to_db, to_db};
use crate::base::zone;
use crate::delivery::ledger::claim::BETWEEN_TIPS;
use crate::delivery::transactional::{Basis, Tip, Transactional, enqueue};

/// Gives her the first tip of each of these topics whose campaign gives it at once; the ids of the topics that have one.
pub async fn give(conn: &mut PgConnection, subscriber_id: i64, topics: &[i64], now: Timestamp) -> sqlx::Result<Vec<i64>> {
    let campaigns = sqlx::query!(
        r#"SELECT c.topic_id AS "topic_id!", c.series_id AS "series_id!", c.zone, c.deadline_seconds FROM campaigns c
        WHERE c.kind = 'weekly' AND c.state IN ('scheduled', 'running') AND c.first_tip = 'at_once' AND c.topic_id = ANY($1) ORDER BY c.id"#,
        topics
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut given = Vec::new();
    for campaign in campaigns {
        let place = Place { subscriber_id, topic_id: campaign.topic_id, series_id: campaign.series_id };
        let valid_until = now + SignedDuration::from_secs(campaign.deadline_seconds.into());
        if !had_one(conn, place, now).await? && give_one(conn, place, &campaign.zone, valid_until, now).await? {
            given.push(campaign.topic_id);
        }
    }
    Ok(given)
}

#[derive(Debug, Clone, Copy)]
struct Place {
    subscriber_id: i64,
    topic_id: i64,
    series_id: i64,
}

// Once in a life: somebody who left and comes back goes on with the regular edition. The rule of 72 hours would skip it, too.
async fn had_one(conn: &mut PgConnection, place: Place, now: Timestamp) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM transactional WHERE owner = $1 AND kind = 'weekly_tip')
            OR EXISTS (SELECT FROM deliveries WHERE subscriber_id = $2 AND series_id = $3
                AND (state IN ('queued', 'claimed', 'deferred') OR (state IN ('handing_over', 'sent', 'unconfirmed') AND handing_over_at > $4)))
            OR EXISTS (SELECT FROM subscribers WHERE id = $2 AND paused_until > $5) AS "had!""#,
        owner(place),
        place.subscriber_id,
        place.series_id,
        to_db(now - BETWEEN_TIPS),
        to_db(now)
    )
    .fetch_one(conn)
    .await
}

async fn give_one(conn: &mut PgConnection, place: Place, zone: &str, valid_until: Timestamp, now: Timestamp) -> sqlx::Result<bool> {
    hold_series(conn, place.series_id).await?;
    let Some(tip) = take_tip(conn, place, zone, now).await? else { return Ok(false) };
    let mail = Transactional {
        owner: &owner(place),
        kind: "weekly_tip",
        subscriber_id: place.subscriber_id,
        basis: Basis::Topic,
        topic_id: Some(place.topic_id),
        tip: Some(tip),
        template: "weekly_tip",
        context: serde_json::json!({}),
        due_at: now,
        valid_until,
    };
    Ok(enqueue(conn, &mail, now).await?.is_some())
}

// The first that she never had and that fits her stage, given to her by the same statement. An edition that is being planned and
// chose the same one at this moment loses, and plans her slice anew.
async fn take_tip(conn: &mut PgConnection, place: Place, zone: &str, now: Timestamp) -> sqlx::Result<Option<Tip>> {
    let own = zone_of(conn, place.subscriber_id).await?;
    let zone = own.as_deref().and_then(|name| zone::find(name).ok()).or_else(|| zone::find(zone).ok()).unwrap_or(TimeZone::UTC);
    let today = zone.to_datetime(now).date();
    let row = sqlx::query!(
        r#"WITH next AS (
            SELECT t.segment_id, t.revision_id FROM tips t JOIN subscribers s ON s.id = $1
            WHERE t.series_id = $2 AND t.state = 'approved' AND t.revision_id IS NOT NULL
                AND (t.stage_from IS NULL OR ($3::date - s.stage_date >= t.stage_from * 7 AND $3::date - s.stage_date < t.stage_to * 7))
                AND NOT EXISTS (SELECT FROM segments_given g WHERE g.subscriber_id = $1 AND g.segment_id = t.segment_id)
                AND NOT EXISTS (SELECT FROM segments_inherited i WHERE i.subscriber_id = $1 AND i.segment_id = t.segment_id)
            ORDER BY t.position LIMIT 1),
        given AS (
            INSERT INTO segments_given (subscriber_id, segment_id) SELECT $1, segment_id FROM next ON CONFLICT DO NOTHING RETURNING segment_id)
        SELECT next.segment_id, next.revision_id AS "revision_id!" FROM next JOIN given USING (segment_id)"#,
        place.subscriber_id,
        place.series_id,
        civil_to_db(today)
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Tip { series_id: place.series_id, segment_id: row.segment_id, revision_id: row.revision_id }))
}

async fn zone_of(conn: &mut PgConnection, subscriber_id: i64) -> sqlx::Result<Option<String>> {
    Ok(sqlx::query_scalar!("SELECT zone FROM subscribers WHERE id = $1", subscriber_id).fetch_optional(conn).await?.flatten())
}

fn owner(place: Place) -> String {
    format!("first:{}:{}", place.subscriber_id, place.series_id)
}
