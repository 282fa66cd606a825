//! What time has ended, written down: offers that ran out or came back, openings whose hour has come or gone.
//!
//! Every act on the waitlist begins with it, so that each sees the same whether or not a sweep ran before: the acts on seats
//! with all of the program, the acts of one person with her own offer. The caller holds the program's openings. What an offer
//! is at an instant says the view `offer_terms`; here it only becomes its state.

use super::{
    close::{self, Closing, Ending, Place, Then},
    states::AfterExpiry,
    store::{self, By, Event},
};
use crate::base::time::{from_db, to_db};
use jiff::{SignedDuration, Timestamp};
use sqlx::PgConnection;

/// Whose offers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Whose {
    /// Everybody's.
    All,
    /// Those of one entry.
    Entry(i64),
}

/// Settles what the clock and the ledger have ended in a program.
pub(super) async fn settle(conn: &mut PgConnection, program_id: i64, now: Timestamp) -> sqlx::Result<()> {
    let over = over(conn, program_id, Whose::All, now).await?;
    close::close(conn, program_id, &over, now).await?;
    readmit(conn, program_id, now).await?;
    turn_openings(conn, program_id, now).await?;
    store::restate(conn, program_id, now).await
}

/// The same for one entry: in a last call an acceptance must not look at everybody's offer. Whoever goes to the back of the
/// line goes with all others whose time has come, since one stands behind the other.
pub(super) async fn settle_own(conn: &mut PgConnection, program_id: i64, entry_id: i64, now: Timestamp) -> sqlx::Result<()> {
    let own = over(conn, program_id, Whose::Entry(entry_id), now).await?;
    match own.iter().any(|closing| closing.back().is_some()) {
        true => settle(conn, program_id, now).await,
        false => close::close(conn, program_id, &own, now).await,
    }
}

/// The open offers that are over, in the order in which they ended, each with what follows from it.
pub(super) async fn over(conn: &mut PgConnection, program_id: i64, whose: Whose, now: Timestamp) -> sqlx::Result<Vec<Closing>> {
    let (from, to) = match whose {
        Whose::All => (0, i64::MAX),
        Whose::Entry(id) => (id, id),
    };
    let rows = sqlx::query!(
        r#"SELECT t.offer_id AS "offer_id!", t.entry_id AS "entry_id!", CASE WHEN t.then = 'expired' THEN t.over_at END AS ran_out_at, t.suppressed,
            t.undeliverable, t.no_address AS "no_address!", t.reserving AS "reserving!", coalesce(o.after_expiry, p.after_expiry) AS "after_expiry!",
            e.misses, e.priority
        FROM offer_terms t JOIN openings o ON o.id = t.opening_id JOIN programs p ON p.id = t.program_id JOIN entries e ON e.id = t.entry_id
        WHERE t.program_id = $1 AND t.state = 'open' AND t.over_at <= $2 AND t.entry_id BETWEEN $3 AND $4 ORDER BY t.over_at, t.offer_id"#,
        program_id,
        to_db(now),
        from,
        to
    )
    .fetch_all(&mut *conn)
    .await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut line = Line { last: Timestamp::MIN };
    let closings = rows.into_iter().map(|row| {
        let ending = match (row.suppressed, row.undeliverable, row.ran_out_at) {
            (Some(kind), _, _) => Ending::Suppressed(kind),
            (None, Some(why), _) if row.no_address => Ending::NoAddress(why),
            (None, Some(why), _) => Ending::Undeliverable(why),
            (None, None, Some(at)) => Ending::Expired(match follows(row.reserving, &row.after_expiry, row.misses) {
                Follows::Back => Then::Back(line.behind(from_db(at), row.priority)),
                Follows::Keep => Then::Keep,
                Follows::LastCall => Then::LastCall,
                Follows::Removed => Then::Removed,
            }),
            (None, None, None) => Ending::NotSent,
        };
        Closing { offer_id: row.offer_id, entry_id: row.entry_id, ending }
    });
    Ok(closings.collect())
}

/// What the rule says of an offer that ran out, before anyone looks where the back of the line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follows {
    /// She goes to the back of the line.
    Back,
    /// She keeps her place.
    Keep,
    /// Nothing: a last call held no seat for her.
    LastCall,
    /// She missed too many.
    Removed,
}

/// What follows an offer that ran out, after so many misses before.
pub(super) fn follows(reserving: bool, after_expiry: &str, misses: i16) -> Follows {
    match after_expiry.parse() {
        _ if !reserving => Follows::LastCall,
        Ok(AfterExpiry::Keep) => Follows::Keep,
        Ok(AfterExpiry::Out(most)) if misses + 1 >= most => Follows::Removed,
        _ => Follows::Back,
    }
}

/// The end of the line, as it moves with each who goes there.
struct Line {
    last: Timestamp,
}

impl Line {
    // She stands where she stood had a sweep run at that very instant: behind whoever came until then, before whoever came later. A
    // priority that put her before others is gone; none is given that would let newcomers pass her.
    fn behind(&mut self, ran_out_at: Timestamp, priority: i16) -> Place {
        self.last = self.last.max(ran_out_at) + SignedDuration::from_micros(1);
        Place { since: self.last, priority: priority.min(0), lowered: priority > 0 }
    }
}

// Whose mail did not leave is offered a seat again once a relay has taken another mail of that opening: the cause is gone. Not
// for ever, since it may be hers alone.
async fn readmit(conn: &mut PgConnection, program_id: i64, now: Timestamp) -> sqlx::Result<()> {
    let readmitted = sqlx::query_scalar!(
        "UPDATE entries e SET barred = NULL, barred_at = NULL, barred_in = NULL FROM (
            SELECT b.opening_id, offer_mail_taken_at(b.opening_id, min(b.barred_at)) AS taken_at FROM not_sent b
            WHERE b.program_id = $1 GROUP BY b.opening_id) m
        WHERE e.barred = 'not sent' AND e.barred_in = m.opening_id AND e.barred_at < m.taken_at
            AND EXISTS (SELECT FROM not_sent b WHERE b.entry_id = e.id AND b.opening_id = m.opening_id)
        RETURNING e.id",
        program_id
    )
    .fetch_all(&mut *conn)
    .await?;
    let event = |id: &i64| Event { reason: Some("mails of this opening leave again"), ..Event::new(*id, "readmitted", By::Rule) };
    store::record(conn, &readmitted.iter().map(event).collect::<Vec<_>>(), now).await
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_goes_to_the_back_stands_behind_the_instant_behind_the_one_before_and_before_nobody_by_priority() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let micros = |n| SignedDuration::from_micros(n);
        let mut line = Line { last: Timestamp::MIN };
        assert_eq!(line.behind(at(5), 0), Place { since: at(5) + micros(1), priority: 0, lowered: false });
        assert_eq!(line.behind(at(5), 7), Place { since: at(5) + micros(2), priority: 0, lowered: true });
        assert_eq!(line.behind(at(9), -3), Place { since: at(9) + micros(1), priority: -3, lowered: false });
    }
}
