//! What a leaving does to a sign-up that waits: nobody is asked to confirm, or reminded of, what she left after she asked for it.
//!
//! Called by `people::stop` in the transaction that writes the leaving, under her row, and by the waitlist for who leaves one before
//! she confirmed it. A sign-up that she begins after it is a new one, and is asked about like any other.

use super::{
    store::{self, Signup},
    words,
};
use crate::delivery::transactional;
use jiff::Timestamp;
use sqlx::PgConnection;

const LEFT: &str = "she left";

/// Takes what she leaves, one topic or everything, out of her open sign-up. One that asks for nothing else is closed, and its mails
/// that have not gone do not go.
pub async fn leave(conn: &mut PgConnection, subscriber_id: i64, topic_id: Option<i64>, now: Timestamp) -> sqlx::Result<()> {
    let Some(signup) = store::open_signup(conn, subscriber_id).await? else { return Ok(()) };
    match topic_id {
        None => end(conn, &signup, now).await,
        Some(left) if !signup.topics.contains(&left) => Ok(()),
        Some(left) => keep(conn, &signup, &without(&signup.topics, left), &signup.programs, now).await,
    }
}

/// Takes the waitlist of a program out of her open sign-up, in the same way.
pub async fn leave_waitlist(conn: &mut PgConnection, subscriber_id: i64, program_id: i64, now: Timestamp) -> sqlx::Result<()> {
    match store::open_signup(conn, subscriber_id).await? {
        Some(signup) if signup.programs.contains(&program_id) => {
            keep(conn, &signup, &signup.topics, &without(&signup.programs, program_id), now).await
        }
        _ => Ok(()),
    }
}

fn without(ids: &[i64], left: i64) -> Vec<i64> {
    ids.iter().copied().filter(|id| *id != left).collect()
}

async fn keep(conn: &mut PgConnection, signup: &Signup, topics: &[i64], programs: &[i64], now: Timestamp) -> sqlx::Result<()> {
    if topics.is_empty() && programs.is_empty() {
        return end(conn, signup, now).await;
    }
    let before = store::names(conn, &signup.topics, &signup.programs).await?;
    let after = store::names(conn, topics, programs).await?;
    match signup.wording.as_deref().and_then(|wording| words::narrowed(wording, &before, &after)) {
        Some(wording) => store::narrow(conn, signup.id, topics, programs, &wording).await,
        // What is left of the words is not hers, so it ends as a whole.
        None => end(conn, signup, now).await,
    }
}

async fn end(conn: &mut PgConnection, signup: &Signup, now: Timestamp) -> sqlx::Result<()> {
    if store::close(conn, signup.id, "refused", now).await? {
        transactional::cancel(conn, &signup.owner(), LEFT, now).await?;
    }
    Ok(())
}
