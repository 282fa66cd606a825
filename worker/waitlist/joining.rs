//! Joining by one's own wish: taken, confirmed, refused, and given up.
//!
//! A wish for a waitlist is part of the person's one sign-up, under the same limits and with the same single mail. `signup` stands
//! below and knows nothing of the line, so the wish is taken here, with its pieces: her row is held, her entry is made, and the
//! sign-up is asked for, in one transaction, so that her place counts from the first request. The pages and the API call [`join`]
//! and [`withdraw`], `people::arrival` the others under her row.

use super::{
    WaitlistError,
    entry::{self, Confirmed, Left},
    program::Program,
    states::{EntryState, ProgramState},
    store::{self, By, Event, retried},
};
use crate::{
    base::time::to_db,
    signup::{self, Answer, Desk, Origin, Request, Wanted, limits, mails},
};
use jiff::Timestamp;
use sqlx::{PgConnection, PgPool};

/// Takes a wish to wait for a seat. Who is in the line already is mailed the link to her preferences; anyone else is put down and
/// asked to confirm. Nobody joins a closed program, whoever asks.
pub async fn join(desk: &Desk<'_>, program: &Program, request: &Request, origin: Origin, now: Timestamp) -> Result<Answer, WaitlistError> {
    if !limits::admit(&mut *desk.pool.acquire().await?, desk.keyring, desk.rules, origin, now).await? {
        return Ok(Answer::TooMany);
    }
    retried!(take(desk, program, request, origin, now)).map(|()| Answer::Taken)
}

/// Puts a person, whose row the caller holds, into the line of these programs, at the place of her first request; gives those that
/// she is in now. Where her entry was ended before she confirmed she stands at the end; a program that was closed meanwhile takes
/// nobody who was not there.
pub async fn confirm(conn: &mut PgConnection, subscriber_id: i64, programs: &[i64], now: Timestamp) -> sqlx::Result<Vec<i64>> {
    let mut in_line = Vec::new();
    for program_id in sorted(programs) {
        match entry::join(conn, program_id, subscriber_id, now).await {
            Ok(joined) => match entry::confirm(conn, joined.entry_id, now).await.map_err(database)? {
                // An operator has put her out in between.
                Confirmed::Already(state) if !state.is_live() => {}
                _ => in_line.push(program_id),
            },
            Err(WaitlistError::ProgramClosed(_)) => {}
            Err(error) => return Err(database(error)),
        }
    }
    Ok(in_line)
}

/// Ends what of these programs a person, whose row the caller holds, never confirmed: she says that it was not her.
pub async fn refuse(conn: &mut PgConnection, subscriber_id: i64, programs: &[i64], now: Timestamp) -> sqlx::Result<()> {
    let ended = sqlx::query_scalar!(
        "UPDATE entries SET state = 'withdrawn', closed_at = $3 WHERE subscriber_id = $1 AND program_id = ANY($2) AND state = 'unconfirmed' RETURNING id",
        subscriber_id,
        programs,
        to_db(now)
    )
    .fetch_all(&mut *conn)
    .await?;
    let events: Vec<_> =
        ended.iter().map(|id| Event { reason: Some("it was not her"), ..Event::new(*id, "withdrawn", By::Person) }).collect();
    store::record(conn, &events, now).await
}

/// Takes a person out at her own wish, whatever her entry's state; it is not asked about any more.
pub async fn withdraw(pool: &PgPool, entry_id: i64, now: Timestamp) -> Result<Left, WaitlistError> {
    retried!(withdraw_once(pool, entry_id, now))
}

async fn withdraw_once(pool: &PgPool, entry_id: i64, now: Timestamp) -> Result<Left, WaitlistError> {
    let mut tx = pool.begin().await?;
    let entry = entry::find(&mut tx, entry_id).await?;
    // Her row before the openings, as everywhere.
    signup::store::lock(&mut tx, entry.subscriber_id).await?;
    let left = entry::withdraw(&mut tx, entry_id, now).await?;
    // Whatever it was: one who left everything is asked to confirm a place that she has.
    signup::leave_waitlist(&mut tx, entry.subscriber_id, entry.program_id, now).await?;
    tx.commit().await?;
    Ok(left)
}

async fn take(desk: &Desk<'_>, program: &Program, request: &Request, origin: Origin, now: Timestamp) -> Result<(), WaitlistError> {
    let mut tx = desk.pool.begin().await?;
    let subscriber_id = signup::find_or_create(&mut tx, desk, &request.address, now).await?;
    // Held, so that it is closed for all who ask at one moment or for none.
    let state = sqlx::query_scalar!(r#"SELECT state AS "state: ProgramState" FROM programs WHERE id = $1 FOR KEY SHARE"#, program.id)
        .fetch_optional(&mut *tx)
        .await?;
    if state != Some(ProgramState::Open) {
        return Err(WaitlistError::ProgramClosed(program.slug.clone()));
    }
    let joined = entry::join(&mut tx, program.id, subscriber_id, now).await?;
    // Whoever left everything keeps her place, and is offered nothing until she confirms once more.
    let left = signup::store::standing(&mut tx, subscriber_id, &[]).await?.left;
    if joined.state == EntryState::Unconfirmed || left {
        let wanted = Wanted { topics: Vec::new(), programs: vec![program.id] };
        signup::ask_for(&mut tx, desk, request, subscriber_id, wanted, origin, now).await?;
    } else {
        mails::preferences_link(&mut tx, desk, request.address.key(), subscriber_id, now).await?;
    }
    tx.commit().await?;
    Ok(())
}

fn sorted(ids: &[i64]) -> Vec<i64> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids
}

fn database(error: WaitlistError) -> sqlx::Error {
    match error {
        WaitlistError::Database(error) => error,
        // The sign-up's row names the program, and programs are never deleted.
        _ => sqlx::Error::RowNotFound,
    }
}
