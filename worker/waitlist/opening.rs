//! A numbered opening of a program: seats, a time, a mode. It fills by itself.
//!
//! [`advance`] is the one entry point that gives offers. Workers call it when they are woken and when [`due`] names a program,
//! operators through the acts on seats; any number of them at once come to the same result.

use super::{
    WaitlistError, close, give,
    line::{self, Reach, Selection},
    program::{self, Program},
    settle,
    states::{AfterExpiry, Mode, OpeningState, ProgramState},
    store::{self, retried},
};
use crate::base::{
    acts,
    time::{from_db, to_db},
    zone,
};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use sqlx::{Acquire, PgConnection};

/// What a new opening is made of.
#[derive(Debug, Clone)]
pub struct NewOpening {
    /// Its number; none: the next.
    pub number: Option<i32>,
    /// How it fills.
    pub mode: Mode,
    /// Its seats.
    pub seats: i32,
    /// When the first offers are given.
    pub opens_at: Timestamp,
    /// When nothing can be accepted any more; the program's end of enrolment and its start end it too.
    pub ends_at: Option<Timestamp>,
    /// An IANA zone: times are told in it to those who gave none.
    pub zone: String,
    /// How long an offer holds, from the hand-over of its mail.
    pub offer_for: SignedDuration,
    /// How long before an offer's end a reminder goes; zero: none.
    pub remind_before: SignedDuration,
    /// What follows a missed offer; none: what the program says.
    pub after_expiry: Option<AfterExpiry>,
}

/// An opening.
#[derive(Debug, Clone, Serialize)]
pub struct Opening {
    /// Its row.
    #[serde(skip)]
    pub id: i64,
    /// Its program's row.
    #[serde(skip)]
    pub program_id: i64,
    /// Its number in the program.
    pub number: i32,
    /// How it fills.
    pub mode: Mode,
    /// Its seats.
    pub seats: i32,
    /// Where it stands.
    pub state: OpeningState,
    /// When it opens.
    pub opens_at: Timestamp,
    /// Its own end.
    pub ends_at: Option<Timestamp>,
    /// The earliest of its own end, the end of enrolment and the program's start.
    pub over_at: Option<Timestamp>,
    /// Its zone.
    pub zone: String,
    /// How long an offer holds.
    #[serde(skip)]
    pub offer_for: SignedDuration,
    /// How long before an offer's end a reminder goes.
    #[serde(skip)]
    pub remind_before: SignedDuration,
    /// What follows a missed offer, if not what the program says.
    pub after_expiry: Option<AfterExpiry>,
    /// When every seat was accepted for the first time.
    pub filled_at: Option<Timestamp>,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
    /// Why.
    pub closed_because: Option<String>,
}

/// What an advance did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advanced {
    /// Offers that were given.
    pub given: u64,
    /// More are to be given: a worker was woken for it.
    pub more: bool,
}

/// What a change of seats came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Seats {
    /// The seats that there are now.
    pub seats: i32,
    /// Offers that were given at once.
    pub given: u64,
    /// Seats taken above those that there are: no offer is taken back, they drain.
    pub excess: i64,
}

/// Settles what time has ended in a program, and offers its free seats to those who are next; the reminders of running offers too.
pub async fn advance(conn: &mut PgConnection, program_id: i64, now: Timestamp) -> Result<Advanced, WaitlistError> {
    retried!(advance_once(conn, program_id, now))
}

async fn advance_once(conn: &mut PgConnection, program_id: i64, now: Timestamp) -> Result<Advanced, WaitlistError> {
    let mut tx = conn.begin().await?;
    store::hold(&mut tx, program_id).await?;
    settle::settle(&mut tx, program_id, now).await?;
    let (given, more) = give::give(&mut tx, program_id, now).await?;
    if more {
        store::wake(&mut tx, program_id).await?;
    }
    tx.commit().await?;
    Ok(Advanced { given, more })
}

/// The programs in which something is to be settled, given or reminded of.
pub async fn due(conn: &mut PgConnection, now: Timestamp) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar!(
        r#"SELECT o.program_id AS "id!" FROM openings o JOIN programs p ON p.id = o.program_id
        WHERE o.state <> 'closed' AND (o.state = 'scheduled' AND o.opens_at <= $1 OR least(o.ends_at, p.enrolment_ends_at, p.starts_at) <= $1)
        UNION SELECT t.program_id FROM offer_terms t JOIN openings o ON o.id = t.opening_id WHERE t.state = 'open' AND (t.over_at <= $1
            OR o.remind_before_seconds > 0 AND t.expires_at - make_interval(secs => o.remind_before_seconds) > t.handed_over_at
                AND t.reminded IS NULL)
        UNION SELECT b.program_id FROM (SELECT program_id, opening_id, min(barred_at) AS since FROM not_sent GROUP BY program_id, opening_id) b
            WHERE offer_mail_taken_at(b.opening_id, b.since) IS NOT NULL
        UNION SELECT o.program_id FROM openings o WHERE o.state = 'open' AND o.mode <> 'notify-all' AND CASE
            WHEN o.seats > (SELECT count(*) FROM offers f WHERE f.opening_id = o.id AND f.given_back_at IS NULL
                AND (f.state = 'accepted' OR f.state = 'open' AND f.reserving)) AND coalesce(opening_halted_until(o.id) <= $1, true)
            -- In the order of the line, to the first of them and no further.
            THEN (SELECT l.entry_id FROM opening_line l WHERE l.opening_id = o.id AND l.program_id = o.program_id AND l.state = 'waiting'
                AND l.passed_over IS NULL ORDER BY l.turn, l.joined_at, l.entry_id LIMIT 1) IS NOT NULL END
        ORDER BY 1"#,
        to_db(now)
    )
    .fetch_all(conn)
    .await
}

/// Makes an opening, and offers its seats at once if its time has come; false when the very same exists already.
pub async fn create(conn: &mut PgConnection, slug: &str, new: &NewOpening, now: Timestamp) -> Result<(Opening, bool), WaitlistError> {
    retried!(create_once(conn, slug, new, now))
}

async fn create_once(conn: &mut PgConnection, slug: &str, new: &NewOpening, now: Timestamp) -> Result<(Opening, bool), WaitlistError> {
    let mut tx = conn.begin().await?;
    let (opening, made) = insert(&mut tx, slug, new, now).await?;
    if made {
        let detail = format!("{} of {slug}: {} seats", opening.number, opening.seats);
        acts::record(&mut tx, "create", "opening", Some(opening.id), detail.as_str(), now).await?;
        settle::settle(&mut tx, opening.program_id, now).await?;
        let (_, more) = give::give(&mut tx, opening.program_id, now).await?;
        if more {
            store::wake(&mut tx, opening.program_id).await?;
        }
    }
    let opening = find(&mut tx, slug, Some(opening.number)).await?;
    tx.commit().await?;
    Ok((opening, made))
}

/// Who would be offered a seat if this opening began now, and who would be passed over and why; nothing is written.
pub async fn preview(conn: &mut PgConnection, slug: &str, new: &NewOpening, now: Timestamp) -> Result<Selection, WaitlistError> {
    let mut tx = conn.begin().await?;
    let (opening, _) = insert(&mut tx, slug, new, now).await?;
    settle::settle(&mut tx, opening.program_id, now).await?;
    let free = match opening.mode {
        Mode::NotifyAll => i64::MAX,
        _ => give::free_seats(&mut tx, &Opening { state: OpeningState::Open, ..opening.clone() }).await?,
    };
    let selection = line::select(&mut tx, opening.program_id, opening.id, free, Reach::Whole).await?;
    tx.rollback().await?;
    Ok(selection)
}

/// Adds seats, or takes some away. More are offered at once; fewer take nothing back.
pub async fn change_seats(
    conn: &mut PgConnection,
    slug: &str,
    number: Option<i32>,
    by: i32,
    now: Timestamp,
) -> Result<Seats, WaitlistError> {
    retried!(change_seats_once(conn, slug, number, by, now))
}

async fn change_seats_once(
    conn: &mut PgConnection,
    slug: &str,
    number: Option<i32>,
    by: i32,
    now: Timestamp,
) -> Result<Seats, WaitlistError> {
    let mut tx = conn.begin().await?;
    let opening = hold_live(&mut tx, slug, number, now).await?;
    let seats = opening.seats.checked_add(by).filter(|seats| *seats >= 0).ok_or_else(|| {
        WaitlistError::Invalid(format!("{by} would leave opening {} with less than no seat: it has {}", opening.number, opening.seats))
    })?;
    sqlx::query!("UPDATE openings SET seats = $2 WHERE id = $1", opening.id, seats).execute(&mut *tx).await?;
    acts::record(&mut tx, "seats", "opening", Some(opening.id), format!("{by:+}: {seats}").as_str(), now).await?;
    store::restate(&mut tx, opening.program_id, now).await?;
    let (given, more) = give::give(&mut tx, opening.program_id, now).await?;
    if more {
        store::wake(&mut tx, opening.program_id).await?;
    }
    let excess = (give::taken(&mut tx, opening.id).await? - i64::from(seats)).max(0);
    tx.commit().await?;
    Ok(Seats { seats, given, excess })
}

/// Closes an opening: its open offers are revoked and these people told; accepted seats stay.
pub async fn close(conn: &mut PgConnection, slug: &str, number: Option<i32>, now: Timestamp) -> Result<Opening, WaitlistError> {
    retried!(close_once(conn, slug, number, now))
}

async fn close_once(conn: &mut PgConnection, slug: &str, number: Option<i32>, now: Timestamp) -> Result<Opening, WaitlistError> {
    let mut tx = conn.begin().await?;
    let opening = hold_live(&mut tx, slug, number, now).await?;
    close::close_openings(&mut tx, opening.program_id, &[opening.id], "the opening was closed", now).await?;
    acts::record(&mut tx, "close", "opening", Some(opening.id), format!("{} of {slug}", opening.number).as_str(), now).await?;
    let opening = find(&mut tx, slug, Some(opening.number)).await?;
    tx.commit().await?;
    Ok(opening)
}

/// An opening by its number, or the latest of the program.
pub async fn find(conn: &mut PgConnection, slug: &str, number: Option<i32>) -> Result<Opening, WaitlistError> {
    let program = program::find(conn, slug).await?;
    let openings = of_program(conn, program.id).await?;
    let found = match number {
        Some(number) => openings.into_iter().find(|opening| opening.number == number),
        None => openings.into_iter().next_back(),
    };
    found.ok_or_else(|| WaitlistError::UnknownOpening { slug: slug.to_owned(), number: number.unwrap_or(1) })
}

/// The openings of a program, in the order of their numbers.
pub async fn of_program(conn: &mut PgConnection, program_id: i64) -> sqlx::Result<Vec<Opening>> {
    let rows = sqlx::query!(
        r#"SELECT o.id, o.number, o.mode AS "mode: Mode", o.seats, o.state AS "state: OpeningState", o.opens_at, o.ends_at, o.zone,
            o.offer_for_seconds, o.remind_before_seconds, o.after_expiry, o.filled_at, o.closed_at, o.closed_because,
            least(o.ends_at, p.enrolment_ends_at, p.starts_at) AS over_at
        FROM openings o JOIN programs p ON p.id = o.program_id WHERE o.program_id = $1 ORDER BY o.number"#,
        program_id
    )
    .fetch_all(conn)
    .await?;
    let openings = rows.into_iter().map(|row| Opening {
        id: row.id,
        program_id,
        number: row.number,
        mode: row.mode,
        seats: row.seats,
        state: row.state,
        opens_at: from_db(row.opens_at),
        ends_at: row.ends_at.map(from_db),
        over_at: row.over_at.map(from_db),
        zone: row.zone,
        offer_for: SignedDuration::from_secs(row.offer_for_seconds.into()),
        remind_before: SignedDuration::from_secs(row.remind_before_seconds.into()),
        after_expiry: row.after_expiry.map(|text| text.parse().expect("the schema holds no other")),
        filled_at: row.filled_at.map(from_db),
        closed_at: row.closed_at.map(from_db),
        closed_because: row.closed_because,
    });
    Ok(openings.collect())
}

/// Whom an opening of the mode `notify-all` tells, in order: everyone who waits and can be mailed. The broadcast goes to these, once.
pub async fn recipients(conn: &mut PgConnection, opening: &Opening) -> sqlx::Result<Vec<i64>> {
    let all = line::select(conn, opening.program_id, opening.id, i64::MAX, Reach::Offered).await?;
    Ok(all.offered.into_iter().map(|candidate| candidate.entry_id).collect())
}

async fn insert(conn: &mut PgConnection, slug: &str, new: &NewOpening, now: Timestamp) -> Result<(Opening, bool), WaitlistError> {
    let zone = check(new)?;
    let program = program::find(conn, slug).await?;
    store::hold_alone(conn, program.id).await?;
    let openings = of_program(conn, program.id).await?;
    let next = openings.iter().map(|opening| opening.number).max().unwrap_or(0) + 1;
    let number = new.number.unwrap_or(next);
    if let Some(same) = openings.into_iter().find(|opening| opening.number == number) {
        return match differs(&same, new, &zone) {
            None => Ok((same, false)),
            Some(differs) => Err(WaitlistError::NumberTaken { slug: slug.to_owned(), number, differs }),
        };
    }
    if program.state == ProgramState::Closed {
        return Err(WaitlistError::ProgramClosed(slug.to_owned()));
    }
    check_times(new, &program, now)?;
    sqlx::query!(
        "INSERT INTO openings (program_id, number, mode, seats, opens_at, ends_at, zone, offer_for_seconds, remind_before_seconds, after_expiry, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        program.id,
        number,
        new.mode.as_str(),
        new.seats,
        to_db(new.opens_at),
        new.ends_at.map(to_db),
        zone,
        seconds(new.offer_for),
        seconds(new.remind_before),
        new.after_expiry.map(|after| after.to_string()),
        to_db(now)
    )
    .execute(&mut *conn)
    .await?;
    Ok((find(conn, slug, Some(number)).await?, true))
}

fn check(new: &NewOpening) -> Result<String, WaitlistError> {
    let invalid = |text: &str| Err(WaitlistError::Invalid(text.to_owned()));
    if new.seats < 0 || new.number.is_some_and(|number| number < 1) {
        return invalid("an opening has no fewer than 0 seats, and its number is 1 or more");
    }
    if !(SignedDuration::from_mins(1)..=SignedDuration::from_hours(24 * 365)).contains(&new.offer_for) {
        return invalid("an offer holds for a minute at least and a year at most: say e.g. --offer-for 48h");
    }
    if new.remind_before.is_negative() || new.remind_before > SignedDuration::from_hours(24 * 365) {
        return invalid("a reminder goes some time before an offer ends: expected a time such as 12h, or 0h for none");
    }
    if new.ends_at.is_some_and(|end| end <= new.opens_at) {
        return invalid("an opening cannot end before it opens");
    }
    match zone::find(&new.zone) {
        Ok(zone) => Ok(zone.iana_name().unwrap_or(&new.zone).to_owned()),
        Err(error) => Err(WaitlistError::Invalid(error.to_string())),
    }
}

// Asked only of what is new: to make the very same opening again is never wrong.
fn check_times(new: &NewOpening, program: &Program, now: Timestamp) -> Result<(), WaitlistError> {
    let invalid = |text: String| Err(WaitlistError::Invalid(text));
    if new.opens_at < now - SignedDuration::from_hours(24 * 7) {
        return invalid(format!("an opening that began at {:.0} is long past: look at the date", new.opens_at));
    }
    if let Some(end) = new.ends_at.filter(|end| *end <= now) {
        return invalid(format!("an opening that ended at {end:.0} is over already: look at the date"));
    }
    let rest = [("enrolment ends", program.enrolment_ends_at), ("first day is", program.starts_at)];
    match rest.into_iter().find_map(|(what, at)| Some((what, at.filter(|at| *at <= now.max(new.opens_at))?))) {
        Some((what, at)) => invalid(format!(
            "no seat can be taken any more when this opening begins: the program's {what} at {at:.0}; `tidings program edit {}` changes that",
            program.slug
        )),
        None => Ok(()),
    }
}

fn differs(opening: &Opening, new: &NewOpening, zone: &str) -> Option<&'static str> {
    let same = [
        ("mode", opening.mode == new.mode),
        ("number of seats", opening.seats == new.seats),
        ("hour of opening", to_db(opening.opens_at) == to_db(new.opens_at)),
        ("end", opening.ends_at.map(to_db) == new.ends_at.map(to_db)),
        ("zone", opening.zone == zone),
        ("time for an offer", opening.offer_for == new.offer_for),
        ("time of the reminder", opening.remind_before == new.remind_before),
        ("rule after a missed offer", opening.after_expiry == new.after_expiry),
    ];
    same.into_iter().find(|(_, same)| !same).map(|(what, _)| what)
}

async fn hold_live(conn: &mut PgConnection, slug: &str, number: Option<i32>, now: Timestamp) -> Result<Opening, WaitlistError> {
    let program = program::find(conn, slug).await?;
    store::hold(conn, program.id).await?;
    settle::settle(conn, program.id, now).await?;
    let opening = find(conn, slug, number).await?;
    match opening.state {
        OpeningState::Closed => Err(WaitlistError::Opening {
            number: opening.number,
            state: opening.state,
            hint: "nothing about it can be changed; open another",
        }),
        _ => Ok(opening),
    }
}

fn seconds(time: SignedDuration) -> i32 {
    i32::try_from(time.as_secs()).unwrap_or(i32::MAX)
}
