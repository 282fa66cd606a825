//! The mails of a sign-up: the confirmation, its one reminder, and the link to her preferences for who has all of it already.
//!
//! Each is inserted into the ledger under the limits of its address, in the transaction of the act that it answers. No address and no
//! token stands in what is frozen here: the pump makes the links out of ids. Called by `subscribe`, `tend` and the waitlist.

use super::{
    Desk, limits,
    store::{self, Names, Signup},
};
use crate::delivery::transactional::{Basis, Transactional, enqueue};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sqlx::PgConnection;

/// A link that was asked for is of no use later.
const LINK_IS_WANTED: SignedDuration = SignedDuration::from_hours(24);

/// Asks whether a sign-up was hers, if her address may be mailed now; false when it may not. `signup` says until when it can be
/// confirmed; a second mail of one sign-up is another delivery.
pub async fn confirmation(
    conn: &mut PgConnection,
    desk: &Desk<'_>,
    key: &str,
    signup: &Signup,
    names: &Names,
    now: Timestamp,
) -> sqlx::Result<bool> {
    if !limits::may_mail(conn, desk.keyring, desk.rules, key, now).await? {
        return Ok(false);
    }
    let before = sent(conn, signup).await?.confirmations;
    let kind = if before == 0 { "confirmation".to_owned() } else { format!("confirmation {}", before + 1) };
    insert(conn, &kind, "confirmation", signup, names, now).await?;
    Ok(true)
}

/// Reminds of a sign-up, if its address may be mailed now.
pub async fn reminder(
    conn: &mut PgConnection,
    desk: &Desk<'_>,
    key: &str,
    signup: &Signup,
    names: &Names,
    now: Timestamp,
) -> sqlx::Result<bool> {
    if !limits::may_mail(conn, desk.keyring, desk.rules, key, now).await? {
        return Ok(false);
    }
    insert(conn, "reminder", "reminder", signup, names, now).await?;
    Ok(true)
}

/// Mails a subscriber the link to her preferences, if her address may be mailed now. Nothing goes to whoever left everything or is
/// suppressed, so that nothing is counted for her either: she can still ask for a confirmation.
pub async fn preferences_link(
    conn: &mut PgConnection,
    desk: &Desk<'_>,
    key: &str,
    subscriber_id: i64,
    now: Timestamp,
) -> sqlx::Result<bool> {
    if store::is_stopped(conn, subscriber_id).await? || !limits::may_mail(conn, desk.keyring, desk.rules, key, now).await? {
        return Ok(false);
    }
    let owner = format!("link:{subscriber_id}:{}", to_the_second(now));
    let mail = Transactional {
        owner: &owner,
        kind: "preferences_link",
        subscriber_id,
        basis: Basis::Preferences,
        topic_id: None,
        tip: None,
        template: "preferences_link",
        context: json!({}),
        due_at: now,
        valid_until: now + LINK_IS_WANTED,
    };
    enqueue(conn, &mail, now).await?;
    Ok(true)
}

/// What was mailed about a sign-up.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// Confirmations that were inserted.
    pub confirmations: i64,
    /// One of them was handed over.
    pub handed_over: bool,
}

/// What was mailed about a sign-up.
pub async fn sent(conn: &mut PgConnection, signup: &Signup) -> sqlx::Result<Sent> {
    sqlx::query_as!(
        Sent,
        r#"SELECT count(*) AS "confirmations!", coalesce(bool_or(handed_over_at IS NOT NULL), false) AS "handed_over!"
        FROM transactional WHERE owner = $1 AND kind <> 'reminder'"#,
        signup.owner()
    )
    .fetch_one(conn)
    .await
}

async fn insert(conn: &mut PgConnection, kind: &str, template: &str, signup: &Signup, names: &Names, now: Timestamp) -> sqlx::Result<()> {
    let context = json!({
        "signup": signup.id, "topics": names.topics, "programs": names.programs, "wording": signup.wording,
        "expires": to_the_second(signup.expires_at), "zone": signup.zone,
    });
    let mail = Transactional {
        owner: &signup.owner(),
        kind,
        subscriber_id: signup.subscriber_id,
        basis: Basis::Confirmation,
        topic_id: None,
        tip: None,
        template,
        context,
        due_at: now,
        valid_until: signup.expires_at,
    };
    enqueue(conn, &mail, now).await.map(drop)
}

fn to_the_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}
