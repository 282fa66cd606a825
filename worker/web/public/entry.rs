//! `/waitlist/{program}/{token}`: a person's place on a waitlist, what happens next, and the way out.
//!
//! GET and HEAD only look. The one POST takes her out, or gives her seat back; it is done in the database before it is answered, and
//! the page then shows how it stands, whatever came before and however often. The unsubscribe of a mail program (RFC 8058) takes her
//! out too.

use super::{
    place::{self, HER_TURN},
    post,
};
use crate::{
    base::token::{self, Purpose},
    waitlist::{
        joining,
        standing::{self, Ended, Next, PassedOver, Standing},
        states::{EntryState, Mode},
    },
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

type Place = Result<Path<(String, String)>, PathRejection>;

/// The page.
pub(in crate::web) async fn show(State(web): State<Web>, place: Place) -> Response {
    answer(&web, shown(&web, place).await)
}

/// Its button.
pub(in crate::web) async fn act(State(web): State<Web>, place: Place, request: Request) -> Response {
    answer(&web, acted(&web, place, request).await)
}

#[derive(Template)]
#[template(path = "web/entry.html")]
struct Page<'a> {
    frame: Frame<'a>,
    standing: &'a Standing,
    told: String,
    why: Option<String>,
    turn: Option<&'static str>,
    next: Option<String>,
    offer: Option<String>,
    again: Option<String>,
    /// The state that a press of hers has just led out of.
    left: Option<EntryState>,
}

async fn shown(web: &Web, place: Place) -> Result<Response, Problem> {
    let standing = standing(web, place).await?;
    entry_page(web, &standing, None).await
}

async fn acted(web: &Web, place: Place, request: Request) -> Result<Response, Problem> {
    let before = standing(web, place).await?;
    let fields = post::fields(request).await.unwrap_or_default();
    match fields.iter().map(|(name, value)| (name.as_str(), value.trim())).collect::<Vec<_>>().as_slice() {
        [("act", "withdraw")] => {}
        // A mail program's click ends what waits; a seat that she has is no letter, and is given back by her own hand only.
        [("List-Unsubscribe", "One-Click")] if before.state == EntryState::Seated => return entry_page(web, &before, None).await,
        [("List-Unsubscribe", "One-Click")] => {}
        _ => return Err(Problem::WrongForm),
    }
    // A task of its own: a reader who closes the page does not end it half way.
    let (pool, id, now) = (web.db.pool.clone(), before.entry_id, web.clock.now());
    let left = tokio::spawn(async move { joining::withdraw(&pool, id, now).await }).await??;
    let after = standing::of_entry(&mut *web.db.pool.acquire().await?, id, web.clock.now()).await?.ok_or(Problem::InvalidLink)?;
    entry_page(web, &after, left.changed.then_some(before.state)).await
}

async fn standing(web: &Web, place: Place) -> Result<Standing, Problem> {
    let Path((slug, token)) = place.map_err(|_| Problem::InvalidLink)?;
    let id = token::verify_id(&web.keyring, Purpose::Entry, &token).ok_or(Problem::InvalidLink)?;
    let standing = standing::of_entry(&mut *web.db.pool.acquire().await?, id, web.clock.now()).await?;
    standing.filter(|standing| standing.slug == slug).ok_or(Problem::InvalidLink)
}

async fn entry_page(web: &Web, standing: &Standing, left: Option<EntryState>) -> Result<Response, Problem> {
    let next = standing::next(&mut *web.db.pool.acquire().await?, standing.program_id, web.clock.now()).await?;
    Ok(page(StatusCode::OK, &Page::of(web, standing, next.as_ref(), left)))
}

impl<'a> Page<'a> {
    fn of(web: &'a Web, standing: &'a Standing, next: Option<&Next>, left: Option<EntryState>) -> Self {
        let frame = Frame::of(web);
        let waits = standing.waits();
        Self {
            told: place::told(standing, frame.publisher),
            why: standing.passed_over.filter(|_| waits).map(|why| place::passed_over(why, frame.publisher)),
            turn: Some(HER_TURN).filter(|_| waits && next.is_none_or(|next| next.mode == Mode::Offers)),
            next: waits.then(|| place::next(next, standing.zone.as_deref())),
            offer: standing.offer_id.filter(|_| standing.ended.is_none()).map(|id| place::offer_link(&web.keyring, id)),
            again: standing.again.map(|id| place::link(&web.keyring, &standing.slug, id)),
            left,
            standing,
            frame,
        }
    }

    fn heading(&self) -> String {
        let program = &self.standing.program;
        match (self.left, self.standing.state) {
            (Some(EntryState::Seated), _) => format!("You gave your seat in “{program}” back"),
            (_, EntryState::Seated) => format!("You have a seat in “{program}”"),
            (_, EntryState::Offered) if self.standing.ended.is_none() => format!("A seat in “{program}” for you"),
            _ if self.is_over() => format!("You are not on the waitlist of “{program}”"),
            _ => format!("Your place on the waitlist of “{program}”"),
        }
    }

    fn is_over(&self) -> bool {
        !self.standing.state.is_live() || self.standing.ended == Some(Ended::Out)
    }

    fn is_seated(&self) -> bool {
        self.standing.state == EntryState::Seated
    }

    fn is_offered(&self) -> bool {
        self.standing.state == EntryState::Offered && self.standing.ended.is_none()
    }

    fn is_unconfirmed(&self) -> bool {
        self.standing.state == EntryState::Unconfirmed
    }
}
