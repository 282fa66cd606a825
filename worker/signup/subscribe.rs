//! A wish to subscribe is taken: counted, recorded, and answered by a mail to the address, never on the page.
//!
//! The answer says nothing about the address, whether it is new, known, unconfirmed, gone or suppressed: what differs is the mail,
//! and whether there is one. What a stranger types about a person waits in the sign-up and changes nothing about her. Called by the
//! page and by the API; `waitlist::joining` takes a wish for a waitlist with [`find_or_create`] and [`ask_for`].

use super::{
    Answer, Desk, Origin, Request, limits, mails,
    store::{self, Signup, Wish},
    words,
};
use crate::{
    audience::{consent::Act, store as audience, subscriber::NewSubscriber, suppression},
    base::{address::EmailAddress, database::is_to_be_retried},
};
use jiff::{SignedDuration, Timestamp};
use sqlx::PgConnection;
use std::time::Duration;

const TRIES: usize = 5;

/// Takes a wish to subscribe. Who is subscribed to all of it already is mailed the link to her preferences; anyone else is asked to
/// confirm, by one mail for each open sign-up and day.
pub async fn subscribe(desk: &Desk<'_>, request: &Request, origin: Origin, now: Timestamp) -> sqlx::Result<Answer> {
    if !limits::admit(&mut *desk.pool.acquire().await?, desk.keyring, desk.rules, origin, now).await? {
        return Ok(Answer::TooMany);
    }
    let mut tries = 1;
    loop {
        match take(desk, request, origin, now).await {
            Err(error) if is_to_be_retried(&error) && tries < TRIES => tries += 1,
            outcome => return outcome.map(|()| Answer::Taken),
        }
    }
}

/// Mails a subscriber the link to her preferences; whoever has only signed up is asked to confirm once more, and for an address that
/// is nobody's nothing is done. All of them get the same answer.
pub async fn mail_link(desk: &Desk<'_>, address: &EmailAddress, origin: Origin, now: Timestamp) -> sqlx::Result<Answer> {
    if !limits::admit(&mut *desk.pool.acquire().await?, desk.keyring, desk.rules, origin, now).await? {
        return Ok(Answer::TooMany);
    }
    let mut tx = desk.pool.begin().await?;
    let Some(subscriber_id) = store::lock_by_key(&mut tx, address.key()).await? else { return Ok(Answer::Taken) };
    if store::standing(&mut tx, subscriber_id, &[]).await?.proven {
        mails::preferences_link(&mut tx, desk, address.key(), subscriber_id, now).await?;
    } else if let Some(signup) = store::open_signup(&mut tx, subscriber_id).await?.filter(|signup| now < signup.expires_at) {
        ask(&mut tx, desk, address.key(), signup, now).await?;
    }
    tx.commit().await?;
    Ok(Answer::Taken)
}

/// When a sign-up of this instant expires, to the second.
pub(super) fn expiry(now: Timestamp, after: Duration) -> Timestamp {
    let after = SignedDuration::try_from(after).unwrap_or(SignedDuration::MAX);
    let at = now.checked_add(after).unwrap_or(Timestamp::MAX);
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

async fn take(desk: &Desk<'_>, request: &Request, origin: Origin, now: Timestamp) -> sqlx::Result<()> {
    let mut tx = desk.pool.begin().await?;
    let key = request.address.key();
    let subscriber_id = find_or_create(&mut tx, desk, &request.address, now).await?;
    let asked: Vec<i64> = request.topics.iter().map(|topic| topic.id).collect();
    let standing = store::standing(&mut tx, subscriber_id, &asked).await?;
    // Whoever left everything is subscribed to nothing, whatever she was confirmed with before.
    let wanted: Vec<i64> = asked.into_iter().filter(|id| standing.left || !standing.confirmed.contains(id)).collect();
    if wanted.is_empty() {
        mails::preferences_link(&mut tx, desk, key, subscriber_id, now).await?;
    } else {
        ask_for(&mut tx, desk, request, subscriber_id, Wanted { topics: wanted, programs: Vec::new() }, origin, now).await?;
    }
    tx.commit().await
}

/// What a person asks for and does not have yet, by their ids.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Topics.
    pub topics: Vec<i64>,
    /// Programs whose waitlist she wants to be on.
    pub programs: Vec<i64>,
}

/// Records what is wanted in the one open sign-up of a person, whose row the caller holds, and asks her to confirm if her address may
/// be mailed now.
pub async fn ask_for(
    conn: &mut PgConnection,
    desk: &Desk<'_>,
    request: &Request,
    subscriber_id: i64,
    wanted: Wanted,
    origin: Origin,
    now: Timestamp,
) -> sqlx::Result<()> {
    let signup = record(conn, desk, request, subscriber_id, wanted, origin, now).await?;
    ask(conn, desk, request.address.key(), signup, now).await
}

/// Finds the person of an address, or makes one who has agreed to nothing. Her row is held from here to the end of the transaction,
/// so that what is asked for her at one moment is asked one after the other.
pub async fn find_or_create(conn: &mut PgConnection, desk: &Desk<'_>, address: &EmailAddress, now: Timestamp) -> sqlx::Result<i64> {
    // More than once only if she is erased between two statements: then she begins anew, as a new row.
    for _ in 0..TRIES {
        if let Some(id) = store::lock_by_key(conn, address.key()).await? {
            return Ok(id);
        }
        audience::lock_audience_shared(conn).await?;
        let stranger = NewSubscriber { address: address.clone(), name: None, zone: None, stage_date: None };
        for (id, key) in audience::insert_subscribers(conn, &[&stranger], now).await? {
            let hashes = suppression::hashes(desk.keyring, &key);
            let owners = vec![id; hashes.len()];
            audience::link_suppressions(conn, &hashes, &owners).await?;
        }
    }
    Err(sqlx::Error::RowNotFound)
}

// One open sign-up for each person: a further wish adds to it, and one that is over makes room for a new one.
async fn record(
    conn: &mut PgConnection,
    desk: &Desk<'_>,
    request: &Request,
    subscriber_id: i64,
    wanted: Wanted,
    origin: Origin,
    now: Timestamp,
) -> sqlx::Result<Signup> {
    let before = match store::open_signup(conn, subscriber_id).await? {
        Some(over) if over.expires_at <= now => {
            store::close(conn, over.id, "expired", now).await?;
            None
        }
        other => other,
    };
    let known = |of: fn(&Signup) -> &Vec<i64>| before.as_ref().map(of).cloned().unwrap_or_default();
    let (topics, new_topics) = united(wanted.topics, &known(|signup| &signup.topics));
    let (programs, new_programs) = united(wanted.programs, &known(|signup| &signup.programs));
    let words = words::whole(desk.publisher, &store::names(conn, &topics, &programs).await?);
    let hash = limits::origin_hash(desk.keyring, origin);
    let wish = Wish {
        topics: &topics,
        programs: &programs,
        wording: &words,
        name: request.name.as_deref(),
        zone: request.zone.as_deref(),
        stage_date: request.stage_date,
        source: if matches!(origin, Origin::Key(_)) { "api" } else { "page" },
        origin_hash: Some(&hash),
    };
    let id = match before {
        Some(signup) => {
            store::extend(conn, signup.id, &wish).await?;
            signup.id
        }
        None => store::open(conn, subscriber_id, &wish, now, expiry(now, desk.rules.expires)).await?,
    };
    // Only what is new is an act: the same wish ten thousand times is one.
    let new = Wish { topics: &new_topics, programs: &new_programs, ..wish };
    store::insert_consents(conn, subscriber_id, Act::Asked, &new, now).await?;
    store::add_unconfirmed(conn, subscriber_id, &new_topics, now).await?;
    store::signup(conn, id).await?.ok_or(sqlx::Error::RowNotFound)
}

// What is wanted and what was before, in this order; and of it what is new.
fn united(mut wanted: Vec<i64>, before: &[i64]) -> (Vec<i64>, Vec<i64>) {
    let new = wanted.iter().copied().filter(|id| !before.contains(id)).collect();
    let rest: Vec<i64> = before.iter().copied().filter(|id| !wanted.contains(id)).collect();
    wanted.extend(rest);
    (wanted, new)
}

// A mail that says until when its link works; without one nothing changes about that.
async fn ask(conn: &mut PgConnection, desk: &Desk<'_>, key: &str, mut signup: Signup, now: Timestamp) -> sqlx::Result<()> {
    signup.expires_at = expiry(now, desk.rules.expires).max(signup.expires_at);
    let names = store::names(conn, &signup.topics, &signup.programs).await?;
    if mails::confirmation(conn, desk, key, &signup, &names, now).await? {
        store::prolong(conn, signup.id, signup.expires_at).await?;
    }
    Ok(())
}
