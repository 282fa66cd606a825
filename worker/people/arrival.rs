//! Arriving: a person confirms a sign-up, or says that it was not hers. Both are safe to repeat.
//!
//! Confirming is one transaction under her row: the sign-up is closed, her subscriptions are confirmed, what she had left is lifted,
//! she is in the line of the waitlists that she asked for, the consents are recorded with the words that she saw, and the welcome is
//! inserted, with her first tip where a campaign gives one at once. The page behind the link in the mail calls both.

mod store;

use super::stop::{self, Source, StopError, Whom};
use crate::{
    audience::{consent::Act, suppression::Kind},
    base::{database::is_to_be_retried, keys::Keyring},
    campaigns::{
        first_tip, outlook,
        replan::{lost, replan},
    },
    delivery::transactional::{self, Basis, Transactional},
    signup::{
        PendingState,
        store::{self as signups, Signup, Wish},
    },
    waitlist::joining,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sqlx::{PgConnection, PgPool};

const TRIES: usize = 5;

/// A welcome is none days later.
const WELCOME_IS_FRESH: SignedDuration = SignedDuration::from_hours(48);

const NOT_HERS: &str = "she said that a sign-up was not hers";

/// How a sign-up stands after somebody pressed a button of its page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Where it stands now.
    pub state: PendingState,
    /// This call brought it there; false for a repeat, and when it was too late.
    pub changed: bool,
    /// Whose it is.
    pub subscriber_id: i64,
    /// A hard bounce, a complaint or an operator's suppression stands against the address: whatever she confirmed, nothing is mailed.
    pub suppressed: bool,
}

/// Confirms a sign-up; none when there never was one of this number. One that is refused or over stays so.
///
/// `seen` is the digest of what she agreed to. If the sign-up is another by now, it stays open and nothing is confirmed.
pub async fn confirm(pool: &PgPool, keyring: &Keyring, signup_id: i64, seen: &str, now: Timestamp) -> sqlx::Result<Option<Arrival>> {
    let mut tries = 1;
    loop {
        match confirm_once(pool, keyring, signup_id, seen, now).await {
            Err(error) if (is_to_be_retried(&error) || lost(&error)) && tries < TRIES => tries += 1,
            outcome => return outcome,
        }
    }
}

/// Records that a sign-up was not hers; none when there never was one of this number. It is closed, and her address is suppressed,
/// so that nobody can sign it up again.
///
/// Somebody who is subscribed to anything, or waits for a seat, is not suppressed: a stranger's prank must not end what she asked for.
/// What only this sign-up had put her down for on a waitlist ends with it.
pub async fn refuse(pool: &PgPool, keyring: &Keyring, signup_id: i64, now: Timestamp) -> Result<Option<Arrival>, StopError> {
    let Some(before) = look(pool, signup_id, now).await? else { return Ok(None) };
    let mut changed = false;
    if before.state == PendingState::Open {
        let known = store::is_known(&mut *pool.acquire().await?, before.subscriber_id).await?;
        // A suppression closes the sign-up with it; one that stood before, or none, leaves that to the second.
        let whom = Whom::Subscriber(before.subscriber_id);
        let suppressed = !known && stop::suppress(pool, keyring, whom, Kind::Manual, NOT_HERS, Source::Page, now).await?.changed;
        changed = close_as_refused(pool, signup_id, before.subscriber_id, now).await? || suppressed;
    }
    Ok(look(pool, signup_id, now).await?.map(|after| Arrival { changed, ..after }))
}

async fn close_as_refused(pool: &PgPool, signup_id: i64, subscriber_id: i64, now: Timestamp) -> sqlx::Result<bool> {
    let mut tx = pool.begin().await?;
    signups::lock(&mut tx, subscriber_id).await?;
    let closed = signups::close(&mut tx, signup_id, "refused", now).await?;
    if closed {
        transactional::cancel(&mut tx, &format!("signup:{signup_id}"), "refused", now).await?;
    }
    let programs = signups::signup(&mut tx, signup_id).await?.map(|signup| signup.programs).unwrap_or_default();
    joining::refuse(&mut tx, subscriber_id, &programs, now).await?;
    tx.commit().await?;
    Ok(closed)
}

async fn look(pool: &PgPool, signup_id: i64, now: Timestamp) -> sqlx::Result<Option<Arrival>> {
    let mut conn = pool.acquire().await?;
    let Some(signup) = signups::signup(&mut conn, signup_id).await? else { return Ok(None) };
    let suppressed = signups::is_suppressed(&mut conn, signup.subscriber_id).await?;
    Ok(Some(Arrival { state: signup.state(now), changed: false, subscriber_id: signup.subscriber_id, suppressed }))
}

async fn confirm_once(pool: &PgPool, keyring: &Keyring, signup_id: i64, seen: &str, now: Timestamp) -> sqlx::Result<Option<Arrival>> {
    let Some(before) = look(pool, signup_id, now).await? else { return Ok(None) };
    // Apart from what follows: attaching a partition waits for transactions that write.
    store::ensure_partition(pool, now).await?;
    let mut tx = pool.begin().await?;
    let key = signups::lock(&mut tx, before.subscriber_id).await?;
    let Some(signup) = signups::signup(&mut tx, signup_id).await? else { return Ok(None) };
    let suppressed = signups::is_suppressed(&mut tx, signup.subscriber_id).await?;
    let mut arrival = Arrival { state: signup.state(now), changed: false, subscriber_id: signup.subscriber_id, suppressed };
    // Erased meanwhile: there is nobody left to confirm it.
    let Some(key) = key else { return Ok(Some(Arrival { state: PendingState::Expired, ..arrival })) };
    if arrival.state != PendingState::Open || signup.digest() != seen {
        return Ok(Some(arrival));
    }
    settle(&mut tx, keyring, &key, &signup, now).await?;
    if signup.zone.is_some() || signup.stage_date.is_some() {
        replan(&mut tx, signup.subscriber_id, now).await?;
    }
    welcome(&mut tx, &signup, suppressed, now).await?;
    tx.commit().await?;
    (arrival.state, arrival.changed) = (PendingState::Confirmed, true);
    Ok(Some(arrival))
}

// Her row is held. What is written here is all that confirming means; the mails come after it.
async fn settle(conn: &mut PgConnection, keyring: &Keyring, key: &str, signup: &Signup, now: Timestamp) -> sqlx::Result<()> {
    let proven = signups::standing(conn, signup.subscriber_id, &[]).await?.proven;
    store::fill_in(conn, signup, proven).await?;
    signups::close(conn, signup.id, "confirmed", now).await?;
    signups::forget_particulars(conn, signup.id).await?;
    transactional::cancel(conn, &signup.owner(), "confirmed", now).await?;
    if store::lift_what_she_left(conn, keyring, key, signup.subscriber_id, now).await? > 0 {
        store::leave_other_topics(conn, signup.subscriber_id, &signup.topics, now).await?;
    }
    store::confirm(conn, signup.subscriber_id, &signup.topics, now).await?;
    let in_line = joining::confirm(conn, signup.subscriber_id, &signup.programs, now).await?;
    let wish = Wish {
        topics: &signup.topics,
        programs: &in_line,
        wording: signup.wording.as_deref().unwrap_or_default(),
        name: None,
        zone: None,
        stage_date: None,
        source: Source::Page.as_str(), // wherever she asked, she confirms on the page behind the link
        origin_hash: signup.origin_hash.as_deref(),
    };
    signups::insert_consents(conn, signup.subscriber_id, Act::Confirmed, &wish, now).await
}

// Inserted whatever stands against her: then the claim skips it, and the ledger says why.
async fn welcome(conn: &mut PgConnection, signup: &Signup, suppressed: bool, now: Timestamp) -> sqlx::Result<()> {
    let topics = signups::topics(conn, &signup.topics).await?;
    let Some(first) = topics.first() else { return Ok(()) };
    let at_once = if suppressed { Vec::new() } else { first_tip::give(conn, signup.subscriber_id, &signup.topics, now).await? };
    let regular = outlook::next_for(conn, signup.subscriber_id, now).await?;
    let coming = topics.iter().filter_map(|topic| {
        if at_once.contains(&topic.id) {
            return Some(json!({ "topic": topic.name, "at": null, "zone": null }));
        }
        let next = regular.iter().filter(|next| next.topic_name == topic.name && next.next_at.is_some()).min_by_key(|next| next.next_at)?;
        Some(json!({ "topic": topic.name, "at": next.next_at, "zone": next.zone }))
    });
    let coming: Vec<serde_json::Value> = coming.collect();
    let names: Vec<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
    let mail = Transactional {
        owner: &signup.owner(),
        kind: "welcome",
        subscriber_id: signup.subscriber_id,
        basis: Basis::Topic,
        topic_id: Some(first.id),
        tip: None,
        template: "welcome",
        context: json!({ "topics": names, "coming": coming }),
        due_at: now,
        valid_until: now + WELCOME_IS_FRESH,
    };
    transactional::enqueue(conn, &mail, now).await.map(drop)
}
