//! How a sign-up stands, for the page behind its link: what would be confirmed, in which words, and whether that is still possible.
//!
//! Read only. The page and `people::arrival` ask it.

use super::store::{self, ProgramName};
use jiff::{Timestamp, civil::Date};
use sqlx::PgPool;

/// Where a sign-up stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PendingState {
    /// It can be confirmed.
    Open,
    /// She confirmed it.
    Confirmed,
    /// She said that it was not hers.
    Refused,
    /// Nobody confirmed it in time.
    Expired,
}

/// A sign-up, as its page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Where it stands.
    pub state: PendingState,
    /// The names of its topics.
    pub topics: Vec<String>,
    /// The programs whose waitlist it asks for.
    pub programs: Vec<ProgramName>,
    /// The exact words that are agreed to; none once the sign-up is forgotten.
    pub wording: Option<String>,
    /// How she is called, as the form said: it is kept when she confirms, unless she told it before.
    pub name: Option<String>,
    /// Her stage date, likewise.
    pub stage_date: Option<Date>,
    /// A digest of all this, which whoever confirms it sends along.
    pub seen: String,
    /// Whose it is.
    pub subscriber_id: i64,
    /// A hard bounce, a complaint or an operator's suppression stands against the address: nothing is mailed to it.
    pub suppressed: bool,
}

/// How a sign-up stands; none when there never was one of this number.
pub async fn pending(pool: &PgPool, signup_id: i64, now: Timestamp) -> sqlx::Result<Option<Pending>> {
    let mut conn = pool.acquire().await?;
    let Some(signup) = store::signup(&mut conn, signup_id).await? else { return Ok(None) };
    let topics = store::topics(&mut conn, &signup.topics).await?;
    let (state, suppressed) = (signup.state(now), store::is_suppressed(&mut conn, signup.subscriber_id).await?);
    let topics = topics.into_iter().map(|topic| topic.name).collect();
    Ok(Some(Pending {
        state,
        topics,
        programs: store::programs(&mut conn, &signup.programs).await?,
        seen: signup.digest(),
        wording: signup.wording,
        name: signup.name,
        stage_date: signup.stage_date,
        subscriber_id: signup.subscriber_id,
        suppressed,
    }))
}
