//! `/u/{token}`: leaving, from the page or by a mail program's one click (RFC 8058), and taking it back.
//!
//! GET and HEAD only look. A POST is done in the database before it is answered, and the page then shows the person's
//! present standing, whatever came before. A body that is none of ours changes nothing.

use super::{
    post::{self, Act},
    subscribe::message,
};
use crate::{
    base::token::{self, Purpose, UnsubscribeToken},
    people::stop::{self, Scope, Source, Standing},
    waitlist::standing as places,
    web::{
        Web,
        error::{Problem, answer},
        pages::{Frame, page},
    },
};
use askama::Template;
use axum::{
    extract::{Path, Request, State, rejection::PathRejection},
    http::StatusCode,
    response::Response,
};
use jiff::Timestamp;

type Token = Result<Path<String>, PathRejection>;

/// The page.
pub(in crate::web) async fn show(State(web): State<Web>, token: Token) -> Response {
    answer(&web, shown(&web, token).await)
}

/// What a form of the page or a mail program posts.
pub(in crate::web) async fn act(State(web): State<Web>, token: Token, request: Request) -> Response {
    answer(&web, acted(&web, token, request).await)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Offer {
    Both,
    Everything,
    Nothing,
}

#[derive(Template)]
#[template(path = "web/unsubscribe.html")]
struct Page<'a> {
    frame: Frame<'a>,
    heading: String,
    said: String,
    note: Option<&'static str>,
    done: bool,
    topic: &'a str,
    offer: Offer,
    undo_minutes: Option<i64>,
    /// She is on a waitlist.
    waits: bool,
}

async fn shown(web: &Web, token: Token) -> Result<Response, Problem> {
    if is_of_a_test(web, &token) {
        return Ok(inert(web));
    }
    let person = person(web, token)?;
    standing_page(web, person, false).await
}

async fn acted(web: &Web, token: Token, request: Request) -> Result<Response, Problem> {
    if is_of_a_test(web, &token) {
        return Ok(inert(web));
    }
    let person = person(web, token)?;
    let act = post::read(request).await.ok_or(Problem::WrongForm)?;
    // A task of its own: a reader who closes the page does not end the stop between its two commits.
    let (doing, now) = (web.clone(), web.clock.now());
    tokio::spawn(async move { carry_out(&doing, person, act, now).await }).await??;
    standing_page(web, person, true).await
}

fn is_of_a_test(web: &Web, token: &Token) -> bool {
    token.as_ref().is_ok_and(|Path(token)| token::verify_id(&web.keyring, Purpose::Test, token).is_some())
}

// A mail program's one click is answered like any other; nothing is behind it.
fn inert(web: &Web) -> Response {
    let said = "The mail that you came from is a test. In a real one this link is for leaving, for your preferences or for your place; here it changes nothing.";
    message(web, StatusCode::OK, "A link of a test mail", &[said])
}

fn person(web: &Web, token: Token) -> Result<UnsubscribeToken, Problem> {
    let Path(token) = token.map_err(|_| Problem::InvalidLink)?;
    token::verify_unsubscribe(&web.keyring, &token).ok_or(Problem::InvalidLink)
}

async fn carry_out(web: &Web, person: UnsubscribeToken, act: Act, now: Timestamp) -> anyhow::Result<()> {
    let (pool, subscriber) = (&web.db.pool, person.subscriber_id);
    // A link of someone who was deleted, or whose topic was, is an invalid one: the page says so.
    if stop::standing(pool, subscriber, person.topic_id, now).await?.is_none() {
        return Ok(());
    }
    match act {
        Act::LeaveTopic(source) => {
            let scope = Scope::Topic(person.topic_id);
            stop::unsubscribe(pool, &web.keyring, subscriber, scope, source, now).await.map(drop)?;
        }
        Act::LeaveEverything => {
            stop::unsubscribe(pool, &web.keyring, subscriber, Scope::Everything, Source::Page, now).await.map(drop)?;
        }
        Act::Undo => stop::undo(pool, subscriber, person.topic_id, now).await.map(drop)?,
    }
    Ok(())
}

async fn standing_page(web: &Web, person: UnsubscribeToken, done: bool) -> Result<Response, Problem> {
    let now = web.clock.now();
    let standing = stop::standing(&web.db.pool, person.subscriber_id, person.topic_id, now).await?;
    let standing = standing.ok_or(Problem::InvalidLink)?;
    let waits = !places::of_person(&mut *web.db.pool.acquire().await?, person.subscriber_id, now).await?.is_empty();
    Ok(page(StatusCode::OK, &Page { waits, ..Page::of(Frame::of(web), &standing, done, now) }))
}

impl<'a> Page<'a> {
    fn of(frame: Frame<'a>, standing: &'a Standing, done: bool, now: Timestamp) -> Self {
        let (topic, publisher) = (standing.topic_name.as_str(), frame.publisher);
        let (heading, said, offer) = match (standing.everything, standing.subscribed) {
            (true, _) => ("You have left".to_owned(), format!("{publisher} sends you no letters any more."), Offer::Nothing),
            (false, true) => (format!("Leave “{topic}”?"), format!("You are subscribed to “{topic}” from {publisher}."), Offer::Both),
            (false, false) => {
                (format!("You have left “{topic}”"), format!("{publisher} sends you no letters of “{topic}” any more."), Offer::Everything)
            }
        };
        let (heading, said) = match (done, offer) {
            (true, Offer::Both) => ("You are subscribed".to_owned(), said),
            _ => (heading, said),
        };
        let note = "Mail to your address is stopped for another reason, so nothing is sent to you at present.";
        let left = standing.undo_until.map(|until| (until.as_second() - now.as_second() + 59) / 60);
        Self {
            note: standing.suppressed.then_some(note),
            undo_minutes: left.filter(|minutes| *minutes > 0),
            waits: false,
            frame,
            heading,
            said,
            done,
            topic,
            offer,
        }
    }
}
