//! "The program is open", to everyone at once: the broadcast that tells of an opening which holds no seats.
//!
//! It is made when the opening has opened, whoever's act or sweep that was: by whoever looks next, from what stands in the table, and
//! unique by the opening. So neither a crash in between nor two workers at once make it never, or twice; and an opening that was
//! closed before its hour tells nobody. The waitlist stands beside this floor; its tables are read, and only the opening's row is held.

use jiff::Timestamp;
use sqlx::{Acquire, PgConnection};

use super::{CampaignError, Draft, Found, Recipients, Terms, insert, rendered};
use crate::base::time::{from_db, to_db};
use crate::base::zone;
use crate::campaigns::store::Campaign;
use crate::content::letter::{LONGEST_SUBJECT, Letter, plain};
use crate::delivery::render::{Templates, may_link, moment};

/// Makes the broadcast of every opening that tells everyone at once, has opened and has none; their names.
pub async fn tell_of_openings(conn: &mut PgConnection, templates: &Templates, terms: Terms, now: Timestamp) -> sqlx::Result<Vec<String>> {
    let openings = sqlx::query_scalar!(
        "SELECT o.id FROM openings o WHERE o.mode = 'notify-all' AND o.state = 'open' AND NOT EXISTS (SELECT FROM campaigns c WHERE c.opening_id = o.id)
        ORDER BY o.id"
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut made = Vec::new();
    for opening_id in openings {
        let mut tx = conn.begin().await?;
        match tell_of(&mut tx, templates, terms, opening_id, now).await {
            Ok(campaign) => made.extend(campaign.map(|campaign| campaign.name)),
            Err(CampaignError::Database(error)) => return Err(error),
            // What one opening's mail lacks keeps no other from being told of.
            Err(error) => {
                tracing::error!(opening_id, %error, "an opening could not be told of");
                tx.rollback().await?;
                continue;
            }
        }
        tx.commit().await?;
    }
    Ok(made)
}

/// The name of the campaign that tells of an opening, once there is one.
pub async fn of_opening(conn: &mut PgConnection, opening_id: i64) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!("SELECT name FROM campaigns WHERE opening_id = $1", opening_id).fetch_optional(conn).await
}

/// What the mail of an opening is made of.
struct Opening {
    id: i64,
    number: i32,
    seats: i32,
    zone: String,
    /// Its hour, or when it was made, if that was later.
    since: Timestamp,
    over_at: Option<Timestamp>,
    program_id: i64,
    slug: String,
    program: String,
    next_text: String,
    next_link: Option<String>,
}

async fn tell_of(
    conn: &mut PgConnection,
    templates: &Templates,
    terms: Terms,
    opening_id: i64,
    now: Timestamp,
) -> Result<Option<Campaign>, CampaignError> {
    let Some(opening) = hold(conn, opening_id, now).await? else { return Ok(None) };
    let letter = letter(&opening);
    let recipients = Recipients::Opening { program_id: opening.program_id, opening_id };
    rendered(templates, &letter, &Found { recipients, name: opening.program.clone(), slug: opening.slug.clone() })?;
    let name = free_name(conn, &opening).await?;
    let draft = Draft { name: &name, zone: &opening.zone, terms, letter: &letter };
    // Planned at its hour and not before: whoever confirmed up to then is told.
    insert(conn, &draft, (recipients, &opening.slug), (opening.since, opening.since), now).await.map(Some)
}

// Held, so that it is not closed, and told of by nobody else, in between.
async fn hold(conn: &mut PgConnection, opening_id: i64, now: Timestamp) -> sqlx::Result<Option<Opening>> {
    // The program's row first, as in every act on it: the campaign that is made names it.
    sqlx::query!("SELECT id FROM programs WHERE id = (SELECT program_id FROM openings WHERE id = $1) FOR KEY SHARE", opening_id)
        .fetch_optional(&mut *conn)
        .await?;
    sqlx::query!("SELECT id FROM openings WHERE id = $1 FOR NO KEY UPDATE", opening_id).fetch_optional(&mut *conn).await?;
    let row = sqlx::query!(
        r#"SELECT o.id, o.number, o.seats, o.zone, greatest(o.opens_at, o.created_at) AS "since!", o.program_id, p.slug, p.name, p.next_text,
            p.next_link, least(o.ends_at, p.enrolment_ends_at, p.starts_at) AS over_at
        FROM openings o JOIN programs p ON p.id = o.program_id
        WHERE o.id = $1 AND o.state = 'open' AND coalesce(least(o.ends_at, p.enrolment_ends_at, p.starts_at) > $2, true)
            AND NOT EXISTS (SELECT FROM campaigns c WHERE c.opening_id = o.id)"#,
        opening_id,
        to_db(now)
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Opening {
        id: row.id,
        number: row.number,
        seats: row.seats,
        zone: row.zone,
        since: from_db(row.since),
        over_at: row.over_at.map(from_db),
        program_id: row.program_id,
        slug: row.slug,
        program: row.name,
        next_text: row.next_text,
        next_link: row.next_link,
    }))
}

async fn free_name(conn: &mut PgConnection, opening: &Opening) -> sqlx::Result<String> {
    let name = format!("{}-{}", opening.slug, opening.number);
    let taken = sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM campaigns WHERE name = $1) AS "taken!""#, name).fetch_one(conn).await?;
    Ok(if taken { format!("{name}-opening-{}", opening.id) } else { name })
}

// What operators wrote of the program is plain text, and stands in the mail as they wrote it.
fn letter(opening: &Opening) -> Letter {
    let name = plain(&opening.program);
    let seats = match opening.seats {
        0 => String::new(),
        1 => " There is one seat.".to_owned(),
        seats => format!(" There are {seats} seats."),
    };
    let mut parts = vec![
        format!("**{name}** is open now, and everyone on its waitlist hears of it at once."),
        format!("No seat is held for anybody: whoever comes first has one.{seats}"),
    ];
    let link = opening.next_link.as_deref().filter(|link| may_link(link));
    if !opening.next_text.trim().is_empty() || link.is_some() {
        parts.push("## What to do now".to_owned());
    }
    parts.extend(Some(plain(&opening.next_text)).filter(|text| !text.is_empty()));
    parts.extend(link.map(|link| format!("[Go on to {name}](<{link}>)")));
    if let Some(over_at) = opening.over_at {
        let zone = zone::find(&opening.zone).ok();
        parts.push(format!("This ends on {}.", plain(&moment(over_at, zone.as_ref()))));
    }
    parts.push("You keep your place on the waitlist, whether you come this time or not.".to_owned());
    let subject = format!("{} is open", opening.program);
    let subject = if subject.chars().count() <= LONGEST_SUBJECT { subject } else { "The program that you wait for is open".to_owned() };
    Letter { subject, preheader: "No seat is held for anybody: whoever comes first has one.".to_owned(), markdown: parts.join("\n\n") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::{markdown_to_html, markdown_to_text};

    fn opening() -> Opening {
        Opening {
            id: 1,
            number: 2,
            seats: 5,
            zone: "Europe/London".to_owned(),
            since: Timestamp::UNIX_EPOCH,
            over_at: Some("2026-12-01T09:00:00Z".parse().unwrap()),
            program_id: 1,
            slug: "course".to_owned(),
            program: "The *autumn* course".to_owned(),
            next_text: "Write to us.\nBring a mat.\n\n<b>1. Be early</b>".to_owned(),
            next_link: Some("https://example.org/next?a=1&b=2".to_owned()),
        }
    }

    #[test]
    fn it_says_first_come_how_and_until_when_and_nothing_in_it_is_markup() {
        let letter = letter(&opening());
        assert_eq!(letter.subject, "The *autumn* course is open");
        insta::assert_snapshot!(markdown_to_text(&letter.markdown), @r"
        The *autumn* course is open now, and everyone on its waitlist hears of
        it at once.

        No seat is held for anybody: whoever comes first has one. There are 5
        seats.

        What to do now

        Write to us. Bring a mat.

        <b>1. Be early</b>

        Go on to The *autumn* course (https://example.org/next?a=1&b=2)

        This ends on Tuesday 1 December 2026, 09:00 (Europe/London time).

        You keep your place on the waitlist, whether you come this time or not.
        ");
        let html = markdown_to_html(&letter.markdown);
        assert!(html.contains("&lt;b&gt;1. Be early&lt;/b&gt;") && !html.contains("<em>"), "{html}");
        assert!(html.contains("href=\"https://example.org/next?a=1&amp;b=2\""), "{html}");
    }

    #[test]
    fn what_is_not_said_is_left_out() {
        let mut bare =
            Opening { seats: 0, over_at: None, next_text: " \n".to_owned(), next_link: Some("https://a b".to_owned()), ..opening() };
        bare.program = "x".repeat(200);
        let letter = letter(&bare);
        assert_eq!(letter.subject, "The program that you wait for is open");
        for absent in ["What to do", "There", "ends", "](<"] {
            assert!(!letter.markdown.contains(absent), "{absent}: {}", letter.markdown);
        }
    }
}
