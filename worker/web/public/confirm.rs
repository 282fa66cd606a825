//! `/confirm/{token}`: a person says that a sign-up was hers, or that it was not.
//!
//! GET and HEAD only look: mail programs open links before people do. A POST is done in the database before it is answered, and
//! the page then shows how the sign-up stands at present, whatever came before and however often.

use super::form::Fields;
use crate::{
    base::token::{self, Purpose},
    people::arrival,
    signup::{self, Pending, PendingState},
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
    preferences: String,
    done: bool,
    changed: bool,
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
    Ok(page(StatusCode::OK, &Page { frame: Frame::of(web), pending, preferences, done, changed }))
}

impl Page<'_> {
    fn heading(&self) -> String {
        match self.pending.state {
            PendingState::Open => "Is it you who wants our letters?".to_owned(),
            PendingState::Confirmed => "You are subscribed".to_owned(),
            PendingState::Refused => "You will not be subscribed".to_owned(),
            PendingState::Expired => "This link is too old".to_owned(),
        }
    }

    /// “Back care”, “Sleep” and “Food”; empty when none is known any more.
    fn topics(&self) -> String {
        let quoted: Vec<String> = self.pending.topics.iter().map(|topic| format!("“{topic}”")).collect();
        match quoted.as_slice() {
            [] => String::new(),
            [only] => only.clone(),
            [most @ .., last] => format!("{} and {last}", most.join(", ")),
        }
    }
}
