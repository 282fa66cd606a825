//! What a leaving does to a sign-up that waits: nobody is asked to confirm, or reminded of, what she left after she asked for it.
//!
//! Called by `people::stop` in the transaction that writes the leaving, under her row. A sign-up that she begins after it is a new
//! one, and is asked about like any other.

use super::{request::listed, store};
use crate::delivery::transactional;
use jiff::Timestamp;
use sqlx::PgConnection;

const LEFT: &str = "she left";

/// Takes what she leaves, one topic or everything, out of her open sign-up. One that asks for nothing else is closed, and its mails
/// that have not gone do not go.
pub async fn leave(conn: &mut PgConnection, subscriber_id: i64, topic_id: Option<i64>, now: Timestamp) -> sqlx::Result<()> {
    let Some(signup) = store::open_signup(conn, subscriber_id).await? else { return Ok(()) };
    if topic_id.is_some_and(|id| !signup.topics.contains(&id)) {
        return Ok(());
    }
    let rest: Vec<i64> = signup.topics.iter().copied().filter(|id| topic_id.is_some_and(|left| left != *id)).collect();
    if !rest.is_empty() {
        let before = names(conn, &signup.topics).await?;
        let after = names(conn, &rest).await?;
        // Not there if a topic bears another name by now: then what is left of the words is not hers, and it ends as a whole.
        if let Some(words) = signup.wording.as_deref().filter(|words| words.contains(&before)) {
            return store::narrow(conn, signup.id, &rest, &words.replacen(&before, &after, 1)).await;
        }
    }
    if store::close(conn, signup.id, "refused", now).await? {
        transactional::cancel(conn, &signup.owner(), LEFT, now).await?;
    }
    Ok(())
}

async fn names(conn: &mut PgConnection, topics: &[i64]) -> sqlx::Result<String> {
    let topics = store::topics(conn, topics).await?;
    Ok(listed(&topics.iter().map(|topic| topic.name.as_str()).collect::<Vec<_>>()))
}
