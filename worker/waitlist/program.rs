//! A program: the thing with a waitlist. Made, edited and closed by operators; each of these is recorded.
//!
//! Its terms (the end of the enrolment, its start, what follows a missed offer) rule the offers of all its openings.

use super::{
    WaitlistError, close, mail, settle,
    states::{AfterExpiry, ProgramState},
    store::{self, retried},
};
use crate::base::{
    acts,
    database::violated,
    time::{from_db, to_db},
};
use jiff::Timestamp;
use serde::Serialize;
use sqlx::{Acquire, PgConnection};

/// What a program is made of.
#[derive(Debug, Clone)]
pub struct Particulars {
    /// How people read it.
    pub name: String,
    /// What it is, in the operator's words.
    pub description: String,
    /// What follows a missed offer, where an opening does not say otherwise.
    pub after_expiry: AfterExpiry,
    /// Told to whoever accepted a seat.
    pub next_text: String,
    /// Where she goes on; https.
    pub next_link: Option<String>,
    /// No offer outlives this,
    pub enrolment_ends_at: Option<Timestamp>,
    /// nor this.
    pub starts_at: Option<Timestamp>,
}

/// A program.
#[derive(Debug, Clone, Serialize)]
pub struct Program {
    /// Its row.
    #[serde(skip)]
    pub id: i64,
    /// Its name in addresses of pages and on the command line.
    pub slug: String,
    /// Where it stands.
    pub state: ProgramState,
    /// How people read it.
    pub name: String,
    /// What it is.
    pub description: String,
    /// What follows a missed offer.
    pub after_expiry: AfterExpiry,
    /// Told to whoever accepted a seat.
    pub next_text: String,
    /// Where she goes on.
    pub next_link: Option<String>,
    /// No offer outlives this,
    pub enrolment_ends_at: Option<Timestamp>,
    /// nor this.
    pub starts_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Program {
    /// What of it can be edited, as it is.
    pub fn particulars(&self) -> Particulars {
        Particulars {
            name: self.name.clone(),
            description: self.description.clone(),
            after_expiry: self.after_expiry,
            next_text: self.next_text.clone(),
            next_link: self.next_link.clone(),
            enrolment_ends_at: self.enrolment_ends_at,
            starts_at: self.starts_at,
        }
    }
}

/// Makes a program that people can join.
pub async fn create(conn: &mut PgConnection, slug: &str, new: &Particulars, now: Timestamp) -> Result<Program, WaitlistError> {
    check_slug(slug)?;
    check(new)?;
    let mut tx = conn.begin().await?;
    let id = sqlx::query_scalar!(
        "INSERT INTO programs (slug, name, description, after_expiry, next_text, next_link, enrolment_ends_at, starts_at, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id",
        slug,
        new.name.trim(),
        new.description,
        new.after_expiry.to_string(),
        new.next_text,
        new.next_link,
        new.enrolment_ends_at.map(to_db),
        new.starts_at.map(to_db),
        to_db(now)
    )
    .fetch_one(&mut *tx)
    .await
    .map_err(|error| match violated(&error) {
        Some("programs_slug_key") => WaitlistError::SlugTaken(slug.to_owned()),
        _ => error.into(),
    })?;
    acts::record(&mut tx, "create", "program", Some(id), slug, now).await?;
    let program = find(&mut tx, slug).await?;
    tx.commit().await?;
    Ok(program)
}

/// Changes what a program is made of. A changed end or start holds for offers that are open already: those that it cuts off
/// now are revoked and these people told, and what the mails of the others promise is put right.
pub async fn edit(conn: &mut PgConnection, slug: &str, new: &Particulars, now: Timestamp) -> Result<Program, WaitlistError> {
    retried!(edit_once(conn, slug, new, now))
}

async fn edit_once(conn: &mut PgConnection, slug: &str, new: &Particulars, now: Timestamp) -> Result<Program, WaitlistError> {
    check(new)?;
    let mut tx = conn.begin().await?;
    let id = find(&mut tx, slug).await?.id;
    store::hold_alone(&mut tx, id).await?;
    let old = find(&mut tx, slug).await?.particulars();
    // By the old terms first: what had run out has run out.
    settle::settle(&mut tx, id, now).await?;
    sqlx::query!(
        "UPDATE programs SET name = $2, description = $3, after_expiry = $4, next_text = $5, next_link = $6, enrolment_ends_at = $7, starts_at = $8
        WHERE id = $1",
        id,
        new.name.trim(),
        new.description,
        new.after_expiry.to_string(),
        new.next_text,
        new.next_link,
        new.enrolment_ends_at.map(to_db),
        new.starts_at.map(to_db)
    )
    .execute(&mut *tx)
    .await?;
    if (old.enrolment_ends_at, old.starts_at) != (new.enrolment_ends_at, new.starts_at) {
        end_anew(&mut tx, id, now).await?;
    }
    acts::record(&mut tx, "edit", "program", Some(id), format!("{slug}: {}", changes(&old, new)).as_str(), now).await?;
    store::wake(&mut tx, id).await?;
    let program = find(&mut tx, slug).await?;
    tx.commit().await?;
    Ok(program)
}

// An end that was brought forward is no offer that she missed.
async fn end_anew(conn: &mut PgConnection, id: i64, now: Timestamp) -> sqlx::Result<()> {
    let over = sqlx::query_scalar!(
        "SELECT o.id FROM openings o JOIN programs p ON p.id = o.program_id
        WHERE o.program_id = $1 AND o.state <> 'closed' AND least(o.ends_at, p.enrolment_ends_at, p.starts_at) <= $2 ORDER BY o.id",
        id,
        to_db(now)
    )
    .fetch_all(&mut *conn)
    .await?;
    close::close_openings(conn, id, &over, "its end was brought forward", now).await?;
    mail::tell_new_ends(conn, id, now).await
}

// For the record of the act: each field that is another now.
fn changes(old: &Particulars, new: &Particulars) -> String {
    let quoted = |text: &str| format!("`{text}`");
    let time = |at: Option<Timestamp>| at.map_or_else(|| "none".to_owned(), |at| at.to_string());
    let link = |link: &Option<String>| link.as_deref().map_or_else(|| "none".to_owned(), quoted);
    let fields = [
        ("name", quoted(old.name.trim()), quoted(new.name.trim())),
        ("description", quoted(&old.description), quoted(&new.description)),
        ("after a missed offer", old.after_expiry.to_string(), new.after_expiry.to_string()),
        ("text for those accepted", quoted(&old.next_text), quoted(&new.next_text)),
        ("link for those accepted", link(&old.next_link), link(&new.next_link)),
        ("end of enrolment", time(old.enrolment_ends_at), time(new.enrolment_ends_at)),
        ("start", time(old.starts_at), time(new.starts_at)),
    ];
    let changed = fields.into_iter().filter(|(_, old, new)| old != new).map(|(what, old, new)| format!("{what} {old} -> {new}"));
    let changed: Vec<String> = changed.collect();
    if changed.is_empty() { "nothing changed".to_owned() } else { changed.join("; ") }
}

/// Closes a program: nobody can join, its openings are closed and their open offers revoked. Those who wait keep their places.
pub async fn close(conn: &mut PgConnection, slug: &str, now: Timestamp) -> Result<Program, WaitlistError> {
    retried!(close_once(conn, slug, now))
}

async fn close_once(conn: &mut PgConnection, slug: &str, now: Timestamp) -> Result<Program, WaitlistError> {
    let mut tx = conn.begin().await?;
    let program = find(&mut tx, slug).await?;
    store::hold_alone(&mut tx, program.id).await?;
    settle::settle(&mut tx, program.id, now).await?;
    let openings = sqlx::query_scalar!("SELECT id FROM openings WHERE program_id = $1 AND state <> 'closed' ORDER BY id", program.id)
        .fetch_all(&mut *tx)
        .await?;
    close::close_openings(&mut tx, program.id, &openings, "the program was closed", now).await?;
    let closed =
        sqlx::query!("UPDATE programs SET state = 'closed', closed_at = $2 WHERE id = $1 AND state = 'open'", program.id, to_db(now))
            .execute(&mut *tx)
            .await?;
    if closed.rows_affected() == 1 {
        acts::record(&mut tx, "close", "program", Some(program.id), slug, now).await?;
    }
    let program = find(&mut tx, slug).await?;
    tx.commit().await?;
    Ok(program)
}

/// The program of that slug.
pub async fn find(conn: &mut PgConnection, slug: &str) -> Result<Program, WaitlistError> {
    // What cannot be a slug is none, and may not even be a text of the database's.
    let mut programs = if check_slug(slug).is_ok() { read(conn, Some(slug)).await? } else { Vec::new() };
    match programs.pop() {
        Some(program) => Ok(program),
        None => {
            let existing = sqlx::query_scalar!("SELECT slug FROM programs ORDER BY id DESC").fetch_all(conn).await?;
            Err(WaitlistError::UnknownProgram { slug: slug.to_owned(), existing })
        }
    }
}

/// Every program, by its slug.
pub async fn list(conn: &mut PgConnection) -> sqlx::Result<Vec<Program>> {
    read(conn, None).await
}

async fn read(conn: &mut PgConnection, slug: Option<&str>) -> sqlx::Result<Vec<Program>> {
    let rows = sqlx::query!(
        r#"SELECT id, slug, name, description, state AS "state: ProgramState", after_expiry, next_text, next_link, enrolment_ends_at, starts_at, created_at
        FROM programs WHERE $1::text IS NULL OR slug = $1 ORDER BY slug"#,
        slug
    )
    .fetch_all(conn)
    .await?;
    let programs = rows.into_iter().map(|row| Program {
        id: row.id,
        slug: row.slug,
        state: row.state,
        name: row.name,
        description: row.description,
        after_expiry: row.after_expiry.parse().expect("the schema holds no other"),
        next_text: row.next_text,
        next_link: row.next_link,
        enrolment_ends_at: row.enrolment_ends_at.map(from_db),
        starts_at: row.starts_at.map(from_db),
        created_at: from_db(row.created_at),
    });
    Ok(programs.collect())
}

fn check_slug(slug: &str) -> Result<(), WaitlistError> {
    let letters = slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let hyphens = !slug.starts_with('-') && !slug.ends_with('-') && !slug.contains("--");
    match letters && hyphens && (1..=60).contains(&slug.len()) {
        true => Ok(()),
        false => Err(WaitlistError::Invalid(format!(
            "`{}` cannot name a program: expected 1 to 60 small letters, digits and single hyphens, such as `autumn-course`",
            slug.escape_debug()
        ))),
    }
}

fn check(new: &Particulars) -> Result<(), WaitlistError> {
    let invalid = |text: String| Err(WaitlistError::Invalid(text));
    let name = new.name.trim();
    if !(1..=200).contains(&name.chars().count()) || name.chars().any(char::is_control) {
        return invalid("a program needs a name of 1 to 200 characters on one line".to_owned());
    }
    if let Some(link) = new.next_link.as_deref().filter(|link| !link.starts_with("https://")) {
        return invalid(format!("`{}` is no link for those who accepted: expected one that begins with https://", link.escape_debug()));
    }
    if let AfterExpiry::Out(misses) = new.after_expiry
        && !(1..=99).contains(&misses)
    {
        return invalid(format!("out after {misses} missed offers cannot be: expected 1 to 99"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_what_can_stand_in_an_address() {
        for slug in ["autumn", "autumn-course-2", "a"] {
            assert!(check_slug(slug).is_ok(), "{slug}");
        }
        for slug in ["", "-a", "a-", "a--b", "Autumn", "a b", "ä", &"a".repeat(61)] {
            assert!(check_slug(slug).is_err(), "{slug}");
        }
    }
}
