//! A program that fills up: forty people wait, five seats open, and the opening fills by itself.
//!
//! One of them joins by the form of the program's page, the others are entered as if they had. Each who is offered a seat opens the
//! link of her mail and accepts, declines, or lets it run out. Played at the end of every run: an opening that an earlier run left
//! goes on, and where none is left the next one opens, as long as anyone waits. Called by `demo::play`.

use super::{
    http, newcomers,
    screen::Screen,
    stage::Stage,
    weeks::{PLACE, settle},
};
use crate::{
    base::time::{from_db, to_db},
    waitlist::{
        WaitlistError, entry, opening,
        opening::NewOpening,
        program::{self, Particulars, Program},
        report::{self, Report},
        states::{AfterExpiry, Mode, OpeningState},
    },
};
use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use std::collections::HashSet;

/// The program, as the address of its page names it.
pub(super) const PROGRAM: &str = "back-care-course";
/// So many wait for it when it opens first.
const WAITING: i64 = 40;
/// The seats of each opening.
const SEATS: i32 = 5;
/// So long a seat is held: the whole opening is over before the next week's tips.
const HELD: SignedDuration = SignedDuration::from_hours(8);
/// So long before its end she is reminded of it.
const REMINDED: SignedDuration = SignedDuration::from_hours(2);
/// So long people think about an offer.
const THINKING: SignedDuration = SignedDuration::from_mins(35);

/// What somebody does with an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Accepts,
    Declines,
    LetsItRunOut,
}

/// An offer that waits for an answer.
struct Offered {
    id: i64,
    address: String,
    answer: Answer,
}

/// Fills an opening, if anyone waits.
pub(super) async fn fill(stage: &Stage, screen: &Screen) -> anyhow::Result<()> {
    gather(stage, screen).await?;
    let Some(number) = open(stage, screen).await? else { return Ok(()) };
    let mut known = HashSet::new();
    loop {
        let answers = answer(stage, &mut known).await?;
        if !answers.is_empty() {
            screen.line(format_args!("          {}", told(&answers)));
            continue;
        }
        let report = read(stage, number).await?;
        let over = matches!(report.opening.state, OpeningState::Full | OpeningState::Closed);
        let Some(next) = next_instant(stage).await?.filter(|_| !over) else {
            screen.line(format_args!("          opening {number} is {}: {}", report.opening.state.as_str(), counted(&report)));
            return Ok(());
        };
        // Her reminder, or the end of an offer; the seat then goes to the next in the line.
        stage.clock.set(next);
        settle(stage).await?;
    }
}

/// The report of the latest opening, if there is one.
pub(super) async fn latest(stage: &Stage) -> anyhow::Result<Option<Report>> {
    let found = report::report(&mut *stage.db().pool.acquire().await?, PROGRAM, None, stage.now()).await;
    match found {
        Err(WaitlistError::UnknownProgram { .. } | WaitlistError::UnknownOpening { .. }) => Ok(None),
        found => Ok(Some(found?)),
    }
}

/// What became of an opening, in words.
pub(super) fn counted(report: &Report) -> String {
    format!(
        "{} offers for {} seats: {} accepted, {} declined, {} ran out; {} still wait",
        report.offers, report.opening.seats, report.accepted, report.declined, report.expired, report.waiting
    )
}

// Those who are entered here confirmed their addresses long ago; the last one comes by herself.
async fn gather(stage: &Stage, screen: &Screen) -> anyhow::Result<()> {
    if latest(stage).await?.is_some() {
        return Ok(());
    }
    let program = program(stage).await?;
    let pool = &stage.db().pool;
    let there =
        sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM entries WHERE program_id = $1"#, program.id).fetch_one(pool).await?;
    let people = sqlx::query_scalar!(
        "SELECT s.id FROM subscribers s WHERE s.address IS NOT NULL AND s.address NOT LIKE 'gone.%' AND s.address NOT LIKE 'newcomer.%'
            AND NOT EXISTS (SELECT FROM entries e WHERE e.subscriber_id = s.id)
            AND NOT EXISTS (SELECT FROM suppressions x WHERE x.subscriber_id = s.id AND x.lifted_at IS NULL) ORDER BY s.id LIMIT $1",
        (WAITING - 1 - there).max(0)
    )
    .fetch_all(pool)
    .await?;
    for subscriber_id in people {
        let mut conn = pool.acquire().await?;
        let joined = entry::join(&mut conn, program.id, subscriber_id, stage.now()).await?;
        entry::confirm(&mut conn, joined.entry_id, stage.now()).await?;
        stage.clock.advance(SignedDuration::from_secs(20));
    }
    settle(stage).await?;
    let place = newcomers::join(stage, PROGRAM).await?;
    screen.line(format_args!(
        "waitlist  {} is full: {place} people wait, the last of them signed up on {}/waitlist/{PROGRAM}",
        program.name, stage.pages
    ));
    Ok(())
}

async fn program(stage: &Stage) -> anyhow::Result<Program> {
    let mut conn = stage.db().pool.acquire().await?;
    match program::find(&mut conn, PROGRAM).await {
        Err(WaitlistError::UnknownProgram { .. }) => {}
        found => return Ok(found?),
    }
    let particulars = Particulars {
        name: "The back care course".to_owned(),
        description:
            "Six evenings in a small group, with exercises to take home. It has five seats, and opens again as soon as there is a teacher."
                .to_owned(),
        after_expiry: AfterExpiry::Back,
        next_text: "Your seat is kept. The first evening is next Monday at seven; bring a mat.".to_owned(),
        next_link: Some("https://example.org/back-care-course".to_owned()),
        enrolment_ends_at: None,
        starts_at: None,
    };
    Ok(program::create(&mut conn, PROGRAM, &particulars, stage.now()).await?)
}

// The opening to be filled: the one that an earlier run left, or the next, if anyone waits.
async fn open(stage: &Stage, screen: &Screen) -> anyhow::Result<Option<i32>> {
    if let Some(report) = latest(stage).await? {
        match report.opening.state {
            OpeningState::Scheduled | OpeningState::Open => return Ok(Some(report.opening.number)),
            _ if report.waiting == 0 => return Ok(None),
            _ => {}
        }
    }
    let new = NewOpening {
        number: None,
        mode: Mode::Offers,
        seats: SEATS,
        opens_at: stage.now(),
        ends_at: None,
        zone: PLACE.to_owned(),
        offer_for: HELD,
        remind_before: REMINDED,
        after_expiry: None,
    };
    let (opening, _) = opening::create(&mut *stage.db().pool.acquire().await?, PROGRAM, &new, stage.now()).await?;
    settle(stage).await?;
    screen.line(format_args!("          opening {} has {SEATS} seats: the first in the line are offered one each", opening.number));
    Ok(Some(opening.number))
}

// Everyone who was offered a seat since the last look does what she does. Then the worker comes to rest.
async fn answer(stage: &Stage, known: &mut HashSet<i64>) -> anyhow::Result<Vec<Answer>> {
    let mut new = offered(stage).await?;
    new.retain(|offer| known.insert(offer.id));
    if new.is_empty() {
        return Ok(Vec::new());
    }
    stage.clock.advance(THINKING);
    for offer in &new {
        let act = match offer.answer {
            Answer::Accepts => "accept",
            Answer::Declines => "decline",
            Answer::LetsItRunOut => continue,
        };
        let link = link_of(stage, &offer.address)?;
        http::open(&link).await.context("the page of an offer")?;
        http::send(&link, &[("act", act)]).await.context("the button of an offer")?;
    }
    settle(stage).await?;
    Ok(new.into_iter().map(|offer| offer.answer).collect())
}

// In turn one accepts, one lets it run out, one declines, one accepts; who has missed an offer takes the next.
async fn offered(stage: &Stage) -> anyhow::Result<Vec<Offered>> {
    let rows = sqlx::query!(
        r#"SELECT f.id, s.address AS "address!", e.misses, (SELECT count(*) FROM entries b WHERE b.program_id = e.program_id AND b.id < e.id) AS "turn!"
        FROM offers f JOIN entries e ON e.id = f.entry_id JOIN subscribers s ON s.id = e.subscriber_id JOIN programs p ON p.id = f.program_id
        WHERE p.slug = $1 AND f.state = 'open' AND s.address IS NOT NULL ORDER BY f.id"#,
        PROGRAM
    )
    .fetch_all(&stage.db().pool)
    .await?;
    let offered = rows.into_iter().map(|row| {
        let answer = match (row.turn % 4, row.misses) {
            (1, 0) => Answer::LetsItRunOut,
            (2, _) => Answer::Declines,
            _ => Answer::Accepts,
        };
        Offered { id: row.id, address: row.address, answer }
    });
    Ok(offered.collect())
}

fn link_of(stage: &Stage, address: &str) -> anyhow::Result<String> {
    let begins = format!("{}/offers/", stage.pages);
    let mails = newcomers::mails_to(stage, address);
    let texts = mails.iter().filter_map(|mail| stage.catcher.mailbox.text(mail.id).ok());
    texts.filter_map(|text| newcomers::link(&text, &begins)).next().with_context(|| format!("no offer came to {address}"))
}

fn told(answers: &[Answer]) -> String {
    let count = |wanted| answers.iter().filter(|answer| **answer == wanted).count();
    let plural = |n, one: &str, more: &str| format!("{n} {}", if n == 1 { one } else { more });
    let parts = [
        (count(Answer::Accepts), "accepts", "accept"),
        (count(Answer::Declines), "declines", "decline"),
        (
            count(Answer::LetsItRunOut),
            "does not answer, is reminded, and her seat goes on",
            "do not answer, are reminded, and their seats go on",
        ),
    ];
    let acts: Vec<String> = parts.iter().filter(|(n, ..)| *n > 0).map(|(n, one, more)| plural(*n, one, more)).collect();
    format!("{}: {}", plural(answers.len(), "offer", "offers"), acts.join(", "))
}

async fn read(stage: &Stage, number: i32) -> anyhow::Result<Report> {
    Ok(report::report(&mut *stage.db().pool.acquire().await?, PROGRAM, Some(number), stage.now()).await?)
}

// When something of the waitlist is due next: a reminder, or an offer's end.
async fn next_instant(stage: &Stage) -> anyhow::Result<Option<Timestamp>> {
    let at = sqlx::query_scalar!(
        "SELECT min(at) FROM (
            SELECT over_at FROM offer_terms WHERE state = 'open'
            UNION ALL SELECT ready_at FROM deliveries WHERE edition_id IS NULL AND basis = 'waitlist' AND ready_at IS NOT NULL
        ) AS due (at) WHERE at > $1 AND at < 'infinity'",
        to_db(stage.now())
    );
    Ok(at.fetch_one(&stage.db().pool).await?.map(from_db))
}
