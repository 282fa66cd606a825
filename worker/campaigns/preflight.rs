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

use jiff::Timestamp;
use sqlx::{Acquire, PgConnection};

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
    let mut tx = conn.begin().await?;
    let portion = match store::mine(&mut tx, edition_id).await? {
        true => store::portion(&mut tx, edition_id).await?,
        false => None,
    };
    let Some(mut portion) = portion else {
        // Not only dropped: the lock would stay as long as the connection rests.
        tx.rollback().await?;
        return Ok(true);
    };
    let mut tally = inspect(letters, std::mem::take(&mut portion.mails)).await?;
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
        let reason = reason(&store::findings(&mut tx, edition_id).await?);
        if store::hold(&mut tx, edition_id, &reason).await? {
            tracing::warn!(edition = edition_id, reason, "an edition is held");
        }
    }
    tx.commit().await?;
    Ok(is_last)
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

// Short: it stands in the edition's row and in every report.
fn reason(tally: &Tally) -> String {
    let blocking = tally.found.iter().filter(|(kind, _)| kind.severity() == Severity::Blocking);
    let kinds: Vec<String> = blocking
        .map(|(kind, found)| match found.recipients {
            0 => kind.to_string(),
            recipients => format!("{kind} ({recipients})"),
        })
        .collect();
    format!(
        "{FOUND} {}: `tidings campaign preflight` says what to do, `release` checks again, `accept` sends it all the same",
        kinds.join(", ")
    )
}
