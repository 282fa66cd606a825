//! What time has ended, written down: offers that ran out or came back, openings whose hour has come or gone.
//!
//! Every act on the waitlist begins with it, so that each sees the same whether or not a sweep ran before. The caller holds
//! the program's openings. What an offer is at an instant says the view `offer_terms`; here it only becomes its state.

use super::{
    close::{self, Closing, Ending, Then},
    states::AfterExpiry,
    store,
};
use crate::base::time::to_db;
use jiff::Timestamp;
use sqlx::PgConnection;

/// Settles what the clock and the ledger have ended in a program.
pub(super) async fn settle(conn: &mut PgConnection, program_id: i64, now: Timestamp) -> sqlx::Result<()> {
    let over = over(conn, program_id, now).await?;
    close::close(conn, program_id, &over, now).await?;
    turn_openings(conn, program_id, now).await?;
    store::restate(conn, program_id).await
}

async fn over(conn: &mut PgConnection, program_id: i64, now: Timestamp) -> sqlx::Result<Vec<Closing>> {
    let rows = sqlx::query!(
        r#"SELECT t.offer_id AS "offer_id!", t.entry_id AS "entry_id!", t.then AS "then!", t.suppressed, t.undeliverable, t.reserving AS "reserving!",
            coalesce(o.after_expiry, p.after_expiry) AS "after_expiry!", e.misses
        FROM offer_terms t JOIN openings o ON o.id = t.opening_id JOIN programs p ON p.id = t.program_id JOIN entries e ON e.id = t.entry_id
        WHERE t.program_id = $1 AND t.state = 'open' AND t.over_at <= $2 ORDER BY t.offer_id"#,
        program_id,
        to_db(now)
    )
    .fetch_all(conn)
    .await?;
    let closings = rows.into_iter().map(|row| {
        let ending = match (row.suppressed, row.undeliverable) {
            (Some(kind), _) => Ending::Suppressed(kind),
            (None, Some(why)) => Ending::Undeliverable(why),
            (None, None) if row.then == "expired" => Ending::Expired(then(row.reserving, &row.after_expiry, row.misses)),
            (None, None) => Ending::NotSent,
        };
        Closing { offer_id: row.offer_id, entry_id: row.entry_id, ending }
    });
    Ok(closings.collect())
}

fn then(reserving: bool, after_expiry: &str, misses: i16) -> Then {
    match after_expiry.parse() {
        _ if !reserving => Then::LastCall,
        Ok(AfterExpiry::Keep) => Then::Keep,
        Ok(AfterExpiry::Out(most)) if misses + 1 >= most => Then::Removed,
        _ => Then::Back,
    }
}

// Of an opening whose time is over every offer has run out, so that nothing is left to revoke.
async fn turn_openings(conn: &mut PgConnection, program_id: i64, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE openings o SET state = 'closed', closed_at = $2, closed_because = 'its time is over' FROM programs p
        WHERE p.id = o.program_id AND o.program_id = $1 AND o.state <> 'closed' AND least(o.ends_at, p.enrolment_ends_at, p.starts_at) <= $2",
        program_id,
        to_db(now)
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "UPDATE openings SET state = 'open' WHERE program_id = $1 AND state = 'scheduled' AND opens_at <= $2",
        program_id,
        to_db(now)
    )
    .execute(conn)
    .await
    .map(drop)
}
