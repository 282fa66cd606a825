//! A person's entry: she joins, confirms and may always withdraw; an operator moves her up with a reason, or puts her out.
//!
//! Pages and command line call it, and `people` when somebody is suppressed or erased. What an act frees goes to the next in
//! the line by the wake-up that it leaves in its own transaction.

use super::{
    WaitlistError,
    close::{self, Closing, Ending},
    line,
    mail::{self, Kind, Mail},
    settle,
    states::{EntryState, ProgramState},
    store::{self, By, EntryRow, Event, retried},
};
use crate::{
    base::{acts, time::to_db},
    delivery::{ledger, transactional},
};
use jiff::Timestamp;
use serde_json::json;
use sqlx::{Acquire, PgConnection};

pub use super::{
    line::place,
    listing::{Listed, addresses, list, of_address},
};

/// What a wish to join came to. The page says the same in every case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joined {
    /// Her entry, the one that she had or a new one.
    pub entry_id: i64,
    /// Where it stands.
    pub state: EntryState,
    /// Whether it is new.
    pub new: bool,
}

/// What a confirmation came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmed {
    /// She waits now, at this place.
    Waiting {
        /// From 1.
        place: i64,
    },
    /// The entry was confirmed before, or is over.
    Already(EntryState),
}

/// What a withdrawal came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// False when she was out already.
    pub changed: bool,
    /// Whether a seat became free.
    pub freed: bool,
}

/// Enters somebody into the line of a program; her place counts from now, and she waits once she has confirmed.
///
/// Who has a live entry keeps it. The caller sends the mail that asks for the confirmation.
pub async fn join(conn: &mut PgConnection, program_id: i64, subscriber_id: i64, now: Timestamp) -> Result<Joined, WaitlistError> {
    let mut tx = conn.begin().await?;
    let program = sqlx::query!(r#"SELECT slug, state AS "state: ProgramState" FROM programs WHERE id = $1 FOR KEY SHARE"#, program_id)
        .fetch_optional(&mut *tx)
        .await?;
    let program = program.ok_or(WaitlistError::Unknown { what: "program", id: program_id })?;
    // Whoever was there before keeps her place, and hears so, even where the program is closed to others.
    if let Some(joined) = live(&mut tx, program_id, subscriber_id).await? {
        return Ok(joined);
    }
    if program.state == ProgramState::Closed {
        return Err(WaitlistError::ProgramClosed(program.slug));
    }
    let joined_at = store::end_of_line(&mut tx, program_id, now).await?;
    let id = sqlx::query_scalar!(
        "INSERT INTO entries (program_id, subscriber_id, state, asked_at, joined_at) VALUES ($1, $2, 'unconfirmed', $3, $4)
        ON CONFLICT (program_id, subscriber_id) WHERE state IN ('unconfirmed', 'waiting', 'offered', 'seated') DO NOTHING RETURNING id",
        program_id,
        subscriber_id,
        to_db(now),
        to_db(joined_at)
    )
    .fetch_optional(&mut *tx)
    .await?;
    let joined = match id {
        Some(entry_id) => {
            store::record(&mut tx, &[Event::new(entry_id, "joined", By::Person)], now).await?;
            Joined { entry_id, state: EntryState::Unconfirmed, new: true }
        }
        // Another request of hers was first.
        None => live(&mut tx, program_id, subscriber_id).await?.ok_or(sqlx::Error::RowNotFound)?,
    };
    tx.commit().await?;
    Ok(joined)
}

/// Confirms an entry: she waits from now on, at the place of her first request, and is told so.
pub async fn confirm(conn: &mut PgConnection, entry_id: i64, now: Timestamp) -> Result<Confirmed, WaitlistError> {
    let mut tx = conn.begin().await?;
    let entry = find(&mut tx, entry_id).await?;
    let confirmed = sqlx::query!(
        "UPDATE entries SET state = 'waiting', confirmed_at = $2 WHERE id = $1 AND state = 'unconfirmed'",
        entry_id,
        to_db(now)
    )
    .execute(&mut *tx)
    .await?;
    if confirmed.rows_affected() == 0 {
        return Ok(Confirmed::Already(find(&mut tx, entry_id).await?.state));
    }
    store::record(&mut tx, &[Event::new(entry_id, "confirmed", By::Person)], now).await?;
    let place = line::place(&mut tx, entry_id).await?.ok_or(sqlx::Error::RowNotFound)?;
    mail::send(&mut tx, vec![Mail::answer(Kind::Joined, entry_id, None, json!({ "place": place }), now)], now).await?;
    let open = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM openings WHERE program_id = $1 AND state = 'open' AND mode <> 'notify-all') AS "open!""#,
        entry.program_id
    )
    .fetch_one(&mut *tx)
    .await?;
    if open {
        store::wake(&mut tx, entry.program_id).await?;
    }
    tx.commit().await?;
    Ok(Confirmed::Waiting { place })
}

/// Takes somebody out at her own wish, whatever her entry's state: an open offer is declined, an accepted seat given back.
pub async fn withdraw(conn: &mut PgConnection, entry_id: i64, now: Timestamp) -> Result<Left, WaitlistError> {
    retried!(withdraw_once(conn, entry_id, now))
}

async fn withdraw_once(conn: &mut PgConnection, entry_id: i64, now: Timestamp) -> Result<Left, WaitlistError> {
    let mut tx = conn.begin().await?;
    let entry = hold(&mut tx, entry_id, now).await?;
    let left = leave(&mut tx, &entry, Leaving::Withdrew, now).await?;
    tx.commit().await?;
    Ok(left)
}

/// Takes somebody out at an operator's word.
pub async fn remove(conn: &mut PgConnection, entry_id: i64, reason: &str, now: Timestamp) -> Result<Left, WaitlistError> {
    retried!(remove_once(conn, entry_id, reason, now))
}

async fn remove_once(conn: &mut PgConnection, entry_id: i64, reason: &str, now: Timestamp) -> Result<Left, WaitlistError> {
    let reason = store::given(reason)?;
    let mut tx = conn.begin().await?;
    let entry = hold(&mut tx, entry_id, now).await?;
    let left = leave(&mut tx, &entry, Leaving::Removed(reason), now).await?;
    acts::record(&mut tx, "remove", "entry", Some(entry_id), reason, now).await?;
    tx.commit().await?;
    Ok(left)
}

/// Moves somebody before, or behind, those of another priority; 0 is everybody's, the higher goes first.
pub async fn prioritise(conn: &mut PgConnection, entry_id: i64, priority: i16, reason: &str, now: Timestamp) -> Result<(), WaitlistError> {
    retried!(prioritise_once(conn, entry_id, priority, reason, now))
}

async fn prioritise_once(conn: &mut PgConnection, entry_id: i64, priority: i16, reason: &str, now: Timestamp) -> Result<(), WaitlistError> {
    let reason = store::given(reason)?;
    if !(-1000..=1000).contains(&priority) {
        return Err(WaitlistError::Invalid(format!("{priority} is no priority: expected -1000 to 1000, where the higher goes first")));
    }
    let mut tx = conn.begin().await?;
    // Those who go to the back before this go behind the priorities that there were.
    let entry = hold_all(&mut tx, entry_id, now).await?;
    if !entry.state.is_live() {
        return Err(WaitlistError::Entry { id: entry_id, state: entry.state, hint: "only somebody in the line can be moved" });
    }
    sqlx::query!("UPDATE entries SET priority = $2 WHERE id = $1", entry_id, priority).execute(&mut *tx).await?;
    let event = Event { reason: Some(reason), priority: Some(priority), ..Event::new(entry_id, "prioritised", By::Operator) };
    store::record(&mut tx, &[event], now).await?;
    acts::record(&mut tx, "prioritise", "entry", Some(entry_id), format!("{priority}: {reason}").as_str(), now).await?;
    tx.commit().await?;
    Ok(())
}

/// Lets somebody be offered seats again whose offer was revoked or could not be delivered; false when nothing barred her.
pub async fn readmit(conn: &mut PgConnection, entry_id: i64, reason: &str, now: Timestamp) -> Result<bool, WaitlistError> {
    retried!(readmit_once(conn, entry_id, reason, now))
}

async fn readmit_once(conn: &mut PgConnection, entry_id: i64, reason: &str, now: Timestamp) -> Result<bool, WaitlistError> {
    let reason = store::given(reason)?;
    let mut tx = conn.begin().await?;
    let entry = hold(&mut tx, entry_id, now).await?;
    let done =
        sqlx::query!("UPDATE entries SET barred = NULL, barred_at = NULL, barred_in = NULL WHERE id = $1 AND barred IS NOT NULL", entry_id)
            .execute(&mut *tx)
            .await?;
    let barred = done.rows_affected() == 1;
    if barred {
        let event = Event { reason: Some(reason), ..Event::new(entry_id, "readmitted", By::Operator) };
        store::record(&mut tx, &[event], now).await?;
        acts::record(&mut tx, "readmit", "entry", Some(entry_id), reason, now).await?;
        store::wake(&mut tx, entry.program_id).await?;
    }
    tx.commit().await?;
    Ok(barred)
}

/// After a suppression was recorded: her open offers are revoked, her places kept; in how many programs. To be called in the
/// transaction of the suppression, so that no mail of such an offer is swept by a stop, and queued again by its undoing.
pub async fn on_suppressed(conn: &mut PgConnection, subscriber_id: i64, now: Timestamp) -> sqlx::Result<usize> {
    let mut tx = conn.begin().await?;
    let offers = sqlx::query!(
        "SELECT f.program_id, f.entry_id FROM offers f JOIN entries e ON e.id = f.entry_id WHERE e.subscriber_id = $1 AND f.state = 'open' ORDER BY 1",
        subscriber_id
    )
    .fetch_all(&mut *tx)
    .await?;
    for offer in &offers {
        store::hold(&mut tx, offer.program_id).await?;
        // Whoever is suppressed has no offer: settling finds that out by itself, here and everywhere.
        settle::settle_own(&mut tx, offer.program_id, offer.entry_id, now).await?;
    }
    tx.commit().await?;
    Ok(offers.len())
}

/// Before a person is erased: withdraws all her entries, frees what she held, and forgets what operators and relays said of her; how many.
pub async fn on_erased(conn: &mut PgConnection, subscriber_id: i64, now: Timestamp) -> sqlx::Result<usize> {
    let mut tx = conn.begin().await?;
    let entries = sqlx::query!("SELECT id, program_id FROM entries WHERE subscriber_id = $1 ORDER BY program_id, id", subscriber_id)
        .fetch_all(&mut *tx)
        .await?;
    let mut left = 0;
    for row in &entries {
        store::hold(&mut tx, row.program_id).await?;
        sqlx::query!("SELECT id FROM entries WHERE id = $1 FOR NO KEY UPDATE", row.id).fetch_optional(&mut *tx).await?;
        settle::settle_own(&mut tx, row.program_id, row.id, now).await?;
        let Some(entry) = store::entry(&mut tx, row.id).await? else { continue };
        left += usize::from(leave(&mut tx, &entry, Leaving::Erased, now).await?.changed);
    }
    forget(&mut tx, &entries.iter().map(|row| row.id).collect::<Vec<_>>()).await?;
    tx.commit().await?;
    Ok(left)
}

/// Ends the entries that were asked for before `before`, were never confirmed and cannot be any more; how many.
pub async fn forget_unconfirmed(conn: &mut PgConnection, before: Timestamp, now: Timestamp) -> sqlx::Result<usize> {
    let mut tx = conn.begin().await?;
    let ended = sqlx::query_scalar!(
        "UPDATE entries e SET state = 'removed', closed_at = $2 WHERE state = 'unconfirmed' AND asked_at <= $1
            AND NOT EXISTS (SELECT FROM signups g WHERE g.subscriber_id = e.subscriber_id AND g.outcome IS NULL AND e.program_id = ANY (g.programs))
        RETURNING id",
        to_db(before),
        to_db(now)
    )
    .fetch_all(&mut *tx)
    .await?;
    let event = |id: &i64| Event { reason: Some("never confirmed"), ..Event::new(*id, "removed", By::Rule) };
    store::record(&mut tx, &ended.iter().map(event).collect::<Vec<_>>(), now).await?;
    forget(&mut tx, &ended).await?;
    tx.commit().await?;
    Ok(ended.len())
}

/// How somebody leaves.
pub(super) enum Leaving<'a> {
    Withdrew,
    Removed(&'a str),
    Erased,
}

pub(super) async fn find(conn: &mut PgConnection, entry_id: i64) -> Result<EntryRow, WaitlistError> {
    store::entry(conn, entry_id).await?.ok_or(WaitlistError::Unknown { what: "entry", id: entry_id })
}

/// Locks the openings of an entry's program, settles her own offer, and reads the entry as it is then.
pub(super) async fn hold(conn: &mut PgConnection, entry_id: i64, now: Timestamp) -> Result<EntryRow, WaitlistError> {
    let program_id = lock(conn, entry_id).await?;
    settle::settle_own(conn, program_id, entry_id, now).await?;
    find(conn, entry_id).await
}

/// The same, and settles all offers of the program, for acts that reach others too.
pub(super) async fn hold_all(conn: &mut PgConnection, entry_id: i64, now: Timestamp) -> Result<EntryRow, WaitlistError> {
    let program_id = lock(conn, entry_id).await?;
    settle::settle(conn, program_id, now).await?;
    find(conn, entry_id).await
}

async fn lock(conn: &mut PgConnection, entry_id: i64) -> Result<i64, WaitlistError> {
    let program_id = find(conn, entry_id).await?.program_id;
    store::hold(conn, program_id).await?;
    // A program without openings has no row to hold them by: then the entry alone is held.
    sqlx::query!("SELECT id FROM entries WHERE id = $1 FOR NO KEY UPDATE", entry_id).fetch_optional(&mut *conn).await?;
    Ok(program_id)
}

/// Frees an accepted seat, exactly once; the entry is the caller's to move.
pub(super) async fn give_seat_back(conn: &mut PgConnection, entry: &EntryRow, by: By, now: Timestamp) -> sqlx::Result<bool> {
    let Some(offer_id) = entry.offer_id else { return Ok(false) };
    let done = sqlx::query!(
        "UPDATE offers SET given_back_at = $2 WHERE id = $1 AND state = 'accepted' AND given_back_at IS NULL",
        offer_id,
        to_db(now)
    )
    .execute(&mut *conn)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    store::record(conn, &[Event { offer_id: Some(offer_id), ..Event::new(entry.id, "given_back", by) }], now).await?;
    transactional::cancel(conn, &mail::owner(offer_id), "the seat was given back", now).await?;
    store::restate(conn, entry.program_id, now).await?;
    store::wake(conn, entry.program_id).await?;
    Ok(true)
}

async fn live(conn: &mut PgConnection, program_id: i64, subscriber_id: i64) -> sqlx::Result<Option<Joined>> {
    let row = sqlx::query!(
        r#"SELECT id, state AS "state: EntryState" FROM entries
        WHERE program_id = $1 AND subscriber_id = $2 AND state IN ('unconfirmed', 'waiting', 'offered', 'seated')"#,
        program_id,
        subscriber_id
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Joined { entry_id: row.id, state: row.state, new: false }))
}

/// Ends a live entry, and with it the offer or the seat that it has. The caller holds the openings and has settled them.
pub(super) async fn leave(conn: &mut PgConnection, entry: &EntryRow, leaving: Leaving<'_>, now: Timestamp) -> sqlx::Result<Left> {
    if !entry.state.is_live() {
        return Ok(Left { changed: false, freed: false });
    }
    cancel_mails(conn, entry.id, now).await?;
    if let (EntryState::Offered, Some(offer_id)) = (entry.state, entry.offer_id) {
        let ending = match leaving {
            Leaving::Withdrew => Ending::Withdrew,
            Leaving::Removed(reason) => Ending::Removed(reason.to_owned()),
            Leaving::Erased => Ending::Erased,
        };
        close::close(conn, entry.program_id, &[Closing { offer_id, entry_id: entry.id, ending }], now).await?;
        return Ok(Left { changed: true, freed: true });
    }
    let (state, what, by, reason) = match leaving {
        Leaving::Withdrew => ("withdrawn", "withdrawn", By::Person, None),
        Leaving::Removed(reason) => ("removed", "removed", By::Operator, Some(reason)),
        Leaving::Erased => ("withdrawn", "withdrawn", By::Rule, None),
    };
    let freed = give_seat_back(conn, entry, by, now).await?;
    sqlx::query!(
        "UPDATE entries SET state = $2, closed_at = $3, barred = NULL, barred_at = NULL, barred_in = NULL WHERE id = $1",
        entry.id,
        state,
        to_db(now)
    )
    .execute(&mut *conn)
    .await?;
    store::record(&mut *conn, &[Event { reason, ..Event::new(entry.id, what, by) }], now).await?;
    ledger::line::leave(conn, entry.program_id, &[entry.id], now).await?;
    Ok(Left { changed: true, freed })
}

// Whatever still waits to tell her of her place, or of what became of an offer.
async fn cancel_mails(conn: &mut PgConnection, entry_id: i64, now: Timestamp) -> sqlx::Result<()> {
    let offers = sqlx::query_scalar!("SELECT id FROM offers WHERE entry_id = $1", entry_id).fetch_all(&mut *conn).await?;
    let owners: Vec<String> = offers.into_iter().map(mail::owner).chain([format!("entry:{entry_id}")]).collect();
    transactional::cancel_all(conn, &owners, "she is not on the waitlist any more", now).await.map(drop)
}

// What operators wrote and what relays replied may say who she is. That something was done, and whether a mail left, stays.
async fn forget(conn: &mut PgConnection, entries: &[i64]) -> sqlx::Result<()> {
    sqlx::query("SELECT set_config('tidings.erasing', 'on', true)").execute(&mut *conn).await?;
    sqlx::query!(
        "UPDATE entry_events SET reason = '(erased)' WHERE entry_id = ANY($1) AND (by = 'operator' OR what = 'revoked') AND reason IS NOT NULL",
        entries
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "UPDATE offers SET reason = CASE WHEN reason LIKE 'undeliverable: %' THEN 'undeliverable: (erased)' ELSE '(erased)' END
        WHERE entry_id = ANY($1) AND state = 'revoked' AND reason <> 'erased'",
        entries
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "UPDATE operator_acts SET detail = '(erased)' WHERE subject = 'entry' AND subject_id = ANY($1)
            OR subject = 'offer' AND subject_id IN (SELECT id FROM offers WHERE entry_id = ANY($1))",
        entries
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query("SELECT set_config('tidings.erasing', 'off', true)").execute(conn).await.map(drop)
}
