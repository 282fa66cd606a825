//! `/confirm/{token}`: a person says that a sign-up was hers, or that it was not.
//!
//! GET and HEAD only look: mail programs open links before people do. A POST is done in the database before it is answered, and
//! the page then shows how the sign-up stands at present, whatever came before and however often.

use super::{form::Fields, place};
use crate::{
    base::token::{self, Purpose},
    people::arrival,
    signup::{self, Pending, PendingState},
    waitlist::{standing, states::EntryState},
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

type Token = Result<Path<String>, PathRejection>;

/// The page.
pub(in crate::web) async fn show(State(web): State<Web>, token: Token) -> Response {
    answer(&web, shown(&web, token).await)
}

/// One of its two buttons.
pub(in crate::web) async fn act(State(web): State<Web>, token: Token, request: Request) -> Response {
    answer(&web, acted(&web, token, request).await)
}

#[derive(Debug)]
enum Act {
    /// With the digest of what she saw.
    Confirm(String),
    Refuse,
}

#[derive(Template)]
#[template(path = "web/confirm.html")]
struct Page<'a> {
    frame: Frame<'a>,
    pending: Pending,
    places: Vec<Place>,
    preferences: String,
    done: bool,
    changed: bool,
}

/// How she stands with a program that the sign-up asked for.
struct Place {
    name: String,
    slug: String,
    /// Where she stands, and the page that says more; none: she is not in its line.
    told: Option<(String, String)>,
}

async fn shown(web: &Web, token: Token) -> Result<Response, Problem> {
    let id = signup_id(web, token)?;
    standing_page(web, id, false, false).await
}

async fn acted(web: &Web, token: Token, request: Request) -> Result<Response, Problem> {
    let id = signup_id(web, token)?;
    let fields = Fields::read(request).await?;
    let act = match (fields.get("act"), fields.get("seen")) {
        ("confirm", seen) if !seen.is_empty() => Act::Confirm(seen.to_owned()),
        ("refuse", _) => Act::Refuse,
        _ => return Err(Problem::WrongForm),
    };
    // A task of its own: a reader who closes the page does not end it half way.
    let doing = web.clone();
    let changed = tokio::spawn(async move { carry_out(&doing, id, act).await }).await??;
    standing_page(web, id, true, changed).await
}

fn signup_id(web: &Web, token: Token) -> Result<i64, Problem> {
    let Path(token) = token.map_err(|_| Problem::InvalidLink)?;
    token::verify_id(&web.keyring, Purpose::Confirm, &token).ok_or(Problem::InvalidLink)
}

// True when the sign-up is no longer what she saw: then it is still open.
async fn carry_out(web: &Web, id: i64, act: Act) -> anyhow::Result<bool> {
    let (pool, now) = (&web.db.pool, web.clock.now());
    Ok(match act {
        Act::Confirm(seen) => {
            let arrival = arrival::confirm(pool, &web.keyring, id, &seen, now).await?;
            arrival.is_some_and(|arrival| arrival.state == PendingState::Open)
        }
        Act::Refuse => {
            arrival::refuse(pool, &web.keyring, id, now).await?;
            false
        }
    })
}

async fn standing_page(web: &Web, id: i64, done: bool, changed: bool) -> Result<Response, Problem> {
    let pending = signup::pending(&web.db.pool, id, web.clock.now()).await?.ok_or(Problem::InvalidLink)?;
    let preferences = format!("/preferences/{}", token::of_id(&web.keyring, Purpose::Preferences, pending.subscriber_id));
    let places = places(web, &pending).await?;
    Ok(page(StatusCode::OK, &Page { frame: Frame::of(web), pending, places, preferences, done, changed }))
}

async fn places(web: &Web, pending: &Pending) -> Result<Vec<Place>, Problem> {
    if pending.programs.is_empty() {
        return Ok(Vec::new());
    }
    let standings = standing::of_person(&mut *web.db.pool.acquire().await?, pending.subscriber_id, web.clock.now()).await?;
    let place = |program: &signup::ProgramName| {
        let hers = standings.iter().find(|hers| hers.program_id == program.id && hers.state != EntryState::Unconfirmed);
        let told = hers.map(|hers| (place::told(hers, Frame::of(web).publisher), place::link(&web.keyring, &hers.slug, hers.entry_id)));
        Place { name: program.name.clone(), slug: program.slug.clone(), told }
    };
    Ok(pending.programs.iter().map(place).collect())
}

impl Page<'_> {
    fn heading(&self) -> String {
        let heading = match (self.pending.state, self.only_waits()) {
            (PendingState::Open, false) if self.pending.programs.is_empty() => "Is it you who wants our letters?",
            (PendingState::Open, false) => "Is it you who asked for this?",
            (PendingState::Open, true) => "Is it you who wants to wait for a seat?",
            (PendingState::Confirmed, false) => "You are subscribed",
            (PendingState::Confirmed, true) => "Your address is confirmed",
            (PendingState::Refused, false) => "You will not be subscribed",
            (PendingState::Refused, true) => "You will not be put on the waitlist",
            (PendingState::Expired, _) => "This link is too old",
        };
        heading.to_owned()
    }

    /// Nothing but waitlists was asked for.
    fn only_waits(&self) -> bool {
        self.pending.topics.is_empty() && !self.pending.programs.is_empty()
    }

    fn button(&self) -> &'static str {
        match (self.pending.programs.is_empty(), self.only_waits()) {
            (true, _) => "Yes, subscribe me",
            (_, true) => "Yes, put me on the waitlist",
            (false, false) => "Yes, that was me",
        }
    }

    /// “Back care”, “Sleep” and “Food”; empty when none is known any more.
    fn topics(&self) -> String {
        listed(self.pending.topics.iter().map(String::as_str))
    }

    fn waitlists(&self) -> String {
        let noun = if self.pending.programs.len() == 1 { "waitlist" } else { "waitlists" };
        format!("{noun} of {}", listed(self.pending.programs.iter().map(|program| program.name.as_str())))
    }
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = names.map(|name| format!("“{name}”")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}
