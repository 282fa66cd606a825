//! Pre-flight: every recipient's mail of an edition is made and looked at before it may leave.
//!
//! A delivery may be claimed only when its number is no higher than the edition's `cleared_up_to`, which follows the check portion by
//! portion: so an edition with a lead is checked in it, and of one without a lead each slice leaves once it is planned and checked.
//! What blocks stops the edition at once, and holds it when all was looked at; `word` is the operator's about it, `rehearse` tells what
//! would be found, `standing` what was. A portion is one transaction: a crash forgets it whole, and two workers never look at the same.

mod inspect;
mod kind;
mod rehearse;
mod standing;
mod store;
mod word;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::{Acquire, PgConnection};
use tokio::time::Instant;

use crate::delivery::pump::letter::Letters;
use inspect::{Tally, inspect};

pub use kind::{Kind, Severity};
pub(super) use rehearse::opened_for_a_look;
pub use rehearse::rehearse;
pub use standing::{Example, Finding, Preflight, standing};
pub use word::accept;
pub(super) use word::check_again;

/// How the reason of an edition begins that is held because of what was found.
pub const FOUND: &str = "pre-flight found";

/// What an operator is told of an edition of which a mail was tried.
pub const KEEPS: &str = "but it keeps the templates that it began with, for some of its mails were tried";

/// So long mails are made in one transaction: it rests meanwhile, and Postgres ends what rests for 10 s.
const PATIENCE: Duration = Duration::from_secs(2);
/// Mails that are made before the time is looked at.
const AT_ONCE: usize = 50;

/// The editions of which some mails are to be looked at, the earliest first.
pub async fn unchecked(conn: &mut PgConnection) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar!(
        "SELECT id FROM editions WHERE state IN ('planning', 'scheduled', 'running') AND checked_at IS NULL ORDER BY starts_at, id"
    )
    .fetch_all(conn)
    .await
}

/// Looks at the next mails of an edition in a transaction of its own; `conn` must be in none. True when nothing is left for now.
pub async fn check_portion(conn: &mut PgConnection, letters: &Arc<Letters>, edition_id: i64, now: Timestamp) -> anyhow::Result<bool> {
    check_for(conn, letters, edition_id, PATIENCE, now).await
}

/// The same, for about as long as `patience` says; something is always looked at.
pub async fn check_for(
    conn: &mut PgConnection,
    letters: &Arc<Letters>,
    edition_id: i64,
    patience: Duration,
    now: Timestamp,
) -> anyhow::Result<bool> {
    let mut tx = conn.begin().await?;
    let portion = match store::mine(&mut tx, edition_id).await? {
        true => store::portion(&mut tx, edition_id, now).await?,
        false => None,
    };
    let Some(mut portion) = portion else {
        // Not only dropped: the lock would stay as long as the connection rests.
        tx.rollback().await?;
        return Ok(true);
    };
    let mut tally = look_through(letters, &mut portion, patience).await?;
    if portion.is_last {
        let whole = store::whole(&mut tx, edition_id).await?;
        look_at_whole(&mut tally, letters, &whole);
    }
    store::add(&mut tx, edition_id, &tally).await?;
    let Some(is_last) = store::advance(&mut tx, edition_id, &portion, tally.checked, now).await? else {
        tx.rollback().await?;
        return Ok(true);
    };
    if is_last {
        let reason = held_because(&mut tx, edition_id).await?;
        if store::hold(&mut tx, edition_id, &reason).await? {
            tracing::warn!(edition = edition_id, reason, "an edition is held");
        }
    }
    tx.commit().await?;
    Ok(is_last)
}

// When the time is over before the mails are, the portion ends with the last that was looked at.
async fn look_through(letters: &Arc<Letters>, portion: &mut store::Portion, patience: Duration) -> anyhow::Result<Tally> {
    let (began, mut mails) = (Instant::now(), std::mem::take(&mut portion.mails));
    let mut tally = Tally::default();
    while !mails.is_empty() {
        let rest = mails.split_off(AT_ONCE.min(mails.len()));
        let last = mails.last().map_or(portion.last, |mail| mail.key.id);
        tally.add(inspect(letters, mails).await?);
        mails = rest;
        if !mails.is_empty() && began.elapsed() >= patience {
            (portion.last, portion.is_last) = (last, false);
            break;
        }
    }
    Ok(tally)
}

/// What is found out about an edition as a whole.
fn look_at_whole(tally: &mut Tally, letters: &Letters, whole: &store::Whole) {
    let at_fault = [
        (Kind::NoRecipients, whole.planned == 0),
        (Kind::NoApprovedTips, !whole.sends && whole.approved_tips == Some(0)),
        (Kind::NothingToSend, !whole.sends && whole.planned > 0 && whole.approved_tips != Some(0)),
        (Kind::PublicUrl, !letters.is_reachable()),
        (Kind::Unsigned, !letters.signs()),
    ];
    at_fault.into_iter().filter(|(_, is_so)| *is_so).for_each(|(kind, _)| tally.of_edition(kind));
}

/// Why an edition is held in which something was found that blocks.
pub(super) async fn held_because(conn: &mut PgConnection, edition_id: i64) -> sqlx::Result<String> {
    Ok(reason(&store::findings(&mut *conn, edition_id).await?, store::tried(conn, edition_id).await?))
}

// Short: it stands in the edition's row and in every report.
fn reason(tally: &Tally, tried: bool) -> String {
    let blocking = tally.found.iter().filter(|(kind, _)| kind.severity() == Severity::Blocking);
    let kinds: Vec<String> = blocking
        .map(|(kind, found)| match found.recipients {
            0 => kind.to_string(),
            recipients => format!("{kind} ({recipients})"),
        })
        .collect();
    let then = match tried {
        true => format!(
            "`release` checks again with corrected tips and people, {KEEPS}: `accept` sends the rest all the same, `cancel` ends it"
        ),
        false => "`release` checks again, `accept` sends it all the same".to_owned(),
    };
    format!("{FOUND} {}: `tidings campaign preflight` says what to do, {then}", kinds.join(", "))
}
