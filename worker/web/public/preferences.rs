//! `/preferences/{token}`: what a person gets and when, her pause, her data, and the ways out. Her link is who she is.
//!
//! GET and HEAD only look. Every section is a form of its own; a POST is done in the database before it is answered, and the
//! answer is the page as it stands then, with a line that says what happened. A value that cannot be is named, and nothing is
//! changed.

mod page;
mod wish;

use super::{form::Fields, subscribe::message};
use crate::{
    base::token::{self, Purpose},
    people::{
        erase, export,
        preferences::{self, Change, Preferences},
        stop::{self, Scope, Source},
    },
    web::{
        Web,
        error::{Problem, answer},
        pages::{self, Frame},
    },
};
use axum::{
    extract::{Path, Request, State, rejection::PathRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use page::{AskErase, Page};
use wish::{Refused, Typed, Wish};

type Token = Result<Path<String>, PathRejection>;

/// The page.
pub(in crate::web) async fn show(State(web): State<Web>, token: Token) -> Response {
    answer(&web, shown(&web, token).await)
}

/// A form of the page.
pub(in crate::web) async fn act(State(web): State<Web>, token: Token, request: Request) -> Response {
    answer(&web, acted(&web, token, request).await)
}

async fn shown(web: &Web, token: Token) -> Result<Response, Problem> {
    let person = known(web, token).await?.1;
    Ok(pages::page(StatusCode::OK, &Page::of(web, &person, None, None)))
}

async fn acted(web: &Web, token: Token, request: Request) -> Result<Response, Problem> {
    let (id, before) = known(web, token).await?;
    let fields = Fields::read(request).await?;
    let wish = match Wish::read(&fields, web) {
        Ok(wish) => wish,
        Err(Refused::Form) => return Err(Problem::WrongForm),
        Err(Refused::Field(problem)) => {
            let page = Page::of(web, &before, None, Some((problem, Typed::read(&fields))));
            return Ok(pages::page(StatusCode::UNPROCESSABLE_ENTITY, &page));
        }
    };
    match wish {
        Wish::Export => return data(web, id).await,
        Wish::AskErase => return Ok(pages::page(StatusCode::OK, &AskErase { frame: Frame::of(web), waits: !before.waitlists.is_empty() })),
        _ => {}
    }
    // A task of its own: a reader who closes the page does not end a stop between its two commits.
    let (doing, erased, words) = (web.clone(), wish == Wish::Erase, words(web, &before, &wish));
    let did = tokio::spawn(async move { carry_out(&doing, id, wish, &words).await }).await??;
    if erased {
        return Ok(forgotten(web));
    }
    let now = web.clock.now();
    let after = preferences::of(&mut *web.db.pool.acquire().await?, id, now).await?.ok_or(Problem::InvalidLink)?;
    let said = page::said(&did, &after, Frame::of(web).publisher);
    Ok(pages::page(StatusCode::OK, &Page::of(web, &after, Some(said), None)))
}

/// What was done, so that the page can say it.
#[derive(Debug, PartialEq, Eq)]
enum Did {
    /// The topics were made what she ticked.
    Topics,
    /// Something of this was changed.
    Changed(Change),
    /// It stood so already.
    Nothing,
    /// All letters were stopped.
    Stopped,
    /// The stop was taken back, or could not be any more.
    Undone(bool),
}

async fn known(web: &Web, token: Token) -> Result<(i64, Preferences), Problem> {
    let Path(token) = token.map_err(|_| Problem::InvalidLink)?;
    let id = token::verify_id(&web.keyring, Purpose::Preferences, &token).ok_or(Problem::InvalidLink)?;
    let person = preferences::of(&mut *web.db.pool.acquire().await?, id, web.clock.now()).await?;
    Ok((id, person.ok_or(Problem::InvalidLink)?))
}

// What stood beside the button when these topics were shown.
fn words(web: &Web, person: &Preferences, wish: &Wish) -> String {
    let shown: Vec<_> = match wish {
        Wish::Topics { shown, .. } => person.topics.iter().filter(|topic| shown.contains(&topic.id)).collect(),
        _ => Vec::new(),
    };
    preferences::words(Frame::of(web).publisher, &shown)
}

async fn carry_out(web: &Web, id: i64, wish: Wish, words: &str) -> anyhow::Result<Did> {
    let (pool, keyring, now) = (&web.db.pool, &web.keyring, web.clock.now());
    let did = match wish {
        Wish::Topics { shown, wants } => {
            let chosen = preferences::choose(pool, keyring, words, id, &shown, &wants, now).await?;
            if chosen.joined + chosen.left == 0 { Did::Nothing } else { Did::Topics }
        }
        Wish::Change(changes) => {
            let changed = preferences::change(pool, id, &changes, Source::Page, now).await?;
            changes.into_iter().next().filter(|_| !changed.is_empty()).map_or(Did::Nothing, Did::Changed)
        }
        Wish::Stop => {
            stop::unsubscribe(pool, keyring, id, Scope::Everything, Source::Page, now).await?;
            Did::Stopped
        }
        // No topic has this number: only the leaving of everything is taken back here.
        Wish::Undo => Did::Undone(stop::undo(pool, id, 0, now).await? != stop::Undone::Nothing),
        Wish::Erase => {
            erase::erase(pool, keyring, id, Source::Page, now).await?;
            Did::Stopped
        }
        Wish::Export | Wish::AskErase => Did::Nothing,
    };
    Ok(did)
}

async fn data(web: &Web, id: i64) -> Result<Response, Problem> {
    let mut conn = web.db.pool.acquire().await?;
    preferences::exported(&mut conn, id, Source::Page, web.clock.now()).await?;
    let everything = export::person(&mut conn, &web.keyring, id).await?;
    let headers =
        [(header::CONTENT_TYPE, "application/json; charset=utf-8"), (header::CONTENT_DISPOSITION, "attachment; filename=\"my-data.json\"")];
    Ok((headers, serde_json::to_string_pretty(&everything)?).into_response())
}

fn forgotten(web: &Web) -> Response {
    let paragraphs = [
        "What we knew about you is deleted, and your link does not work any more.",
        "What stays is a fingerprint of your address, from which the address cannot be read. It makes sure that nobody here writes to \
         you again, unless you sign up yourself.",
    ];
    message(web, StatusCode::OK, "You are deleted", &paragraphs)
}
