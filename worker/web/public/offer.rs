//! `/offers/{token}`: the offer of a seat, until when it holds, and the two answers to it.
//!
//! GET and HEAD only look. Accept and Decline are settled in the database before they are answered, by the offer's own clock; the
//! page then shows how it stands, so that any number of presses, windows and ways back come to a page that is right.

use super::{
    form::Fields,
    moment::{moment, span},
    place,
};
use crate::{
    base::token::{self, Purpose},
    waitlist::{
        WaitlistError,
        offer::{self, Acceptance, Offer, Refusal},
        program::{self, Program},
        standing::{self, Standing},
        states::{Mode, OfferState},
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
use jiff::Timestamp;

/// The reason of an offer that was declined because she left the waitlist.
const LEFT: &str = "she left the waitlist";

type Token = Result<Path<String>, PathRejection>;

/// The page.
pub(in crate::web) async fn show(State(web): State<Web>, token: Token) -> Response {
    answer(&web, shown(&web, token).await)
}

/// One of its two buttons.
pub(in crate::web) async fn act(State(web): State<Web>, token: Token, request: Request) -> Response {
    answer(&web, acted(&web, token, request).await)
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Accept,
    Decline,
}

/// What a press came to, beside what the page shows anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Did {
    /// What she wanted.
    Done,
    /// A last call, and at this moment no seat is free.
    Full,
    /// The offer had been answered otherwise, or had ended.
    TooLate,
}

#[derive(Template)]
#[template(path = "web/offer.html")]
struct Page<'a> {
    frame: Frame<'a>,
    offer: &'a Offer,
    program: &'a Program,
    said: String,
    held: Option<String>,
    place: String,
    place_link: String,
    did: Option<Did>,
}

async fn shown(web: &Web, token: Token) -> Result<Response, Problem> {
    offer_page(web, id(web, token)?, None).await
}

async fn acted(web: &Web, token: Token, request: Request) -> Result<Response, Problem> {
    let id = id(web, token)?;
    // A link that is none gets its page, whatever is posted to it.
    look(web, id, web.clock.now()).await?;
    let act = match Fields::read(request).await?.get("act") {
        "accept" => Act::Accept,
        "decline" => Act::Decline,
        _ => return Err(Problem::WrongForm),
    };
    // A task of its own: a reader who closes the page does not end it half way.
    let doing = web.clone();
    let did = tokio::spawn(async move { carry_out(&doing, id, act).await }).await??;
    offer_page(web, id, Some(did)).await
}

fn id(web: &Web, token: Token) -> Result<i64, Problem> {
    let Path(token) = token.map_err(|_| Problem::InvalidLink)?;
    token::verify_id(&web.keyring, Purpose::Offer, &token).ok_or(Problem::InvalidLink)
}

async fn carry_out(web: &Web, id: i64, act: Act) -> Result<Did, WaitlistError> {
    let (mut conn, now) = (web.db.pool.acquire().await?, web.clock.now());
    Ok(match act {
        Act::Accept => match offer::accept(&mut conn, id, now).await? {
            Acceptance::Accepted | Acceptance::AlreadyAccepted => Did::Done,
            Acceptance::Full => Did::Full,
            Acceptance::Over(_) => Did::TooLate,
        },
        Act::Decline => match offer::decline(&mut conn, id, now).await? {
            Refusal::Declined | Refusal::Over(offer::Over::Declined) => Did::Done,
            Refusal::Accepted | Refusal::Over(_) => Did::TooLate,
        },
    })
}

async fn look(web: &Web, id: i64, now: Timestamp) -> Result<(Offer, Standing), Problem> {
    let mut conn = web.db.pool.acquire().await?;
    let offer = match offer::show(&mut conn, id, now).await {
        Err(WaitlistError::Unknown { .. }) => return Err(Problem::InvalidLink),
        offer => offer?,
    };
    let standing = standing::of_entry(&mut conn, offer.entry_id, now).await?.ok_or(Problem::InvalidLink)?;
    Ok((offer, standing))
}

async fn offer_page(web: &Web, id: i64, did: Option<Did>) -> Result<Response, Problem> {
    let now = web.clock.now();
    let (offer, standing) = look(web, id, now).await?;
    let mut conn = web.db.pool.acquire().await?;
    let program = program::find(&mut conn, &offer.slug).await?;
    // Whoever has joined again since has another place now.
    let now_hers = match standing.again {
        Some(again) => standing::of_entry(&mut conn, again, now).await?.unwrap_or(standing),
        None => standing,
    };
    let frame = Frame::of(web);
    let shown = Page {
        said: said(&offer, frame.publisher),
        held: (offer.state == OfferState::Open).then(|| held(&offer, now)),
        place: place::told(&now_hers, frame.publisher),
        place_link: place::link(&web.keyring, &now_hers.slug, now_hers.entry_id),
        program: &program,
        offer: &offer,
        did,
        frame,
    };
    Ok(page(StatusCode::OK, &shown))
}

// What the offer is, or how it ended.
fn said(offer: &Offer, publisher: &str) -> String {
    let program = &offer.program;
    let until = offer.expires_at.map(|at| format!(" It could be answered until {}.", moment(at, Some(&offer.zone)))).unwrap_or_default();
    match (offer.state, offer.reason.as_deref().unwrap_or_default()) {
        (OfferState::Open, _) => format!("{publisher} offers you a seat in “{program}”."),
        (OfferState::Accepted, _) if offer.given_back => format!("You had taken this seat in “{program}”, and gave it back."),
        (OfferState::Accepted, _) => format!("Your seat in “{program}” is certain."),
        (OfferState::Declined, LEFT) => format!("You left the waitlist of “{program}”, and this offer ended with it."),
        (OfferState::Declined, _) => format!("You declined this seat in “{program}”. It goes to the next in the line."),
        (OfferState::Expired, _) => {
            format!("Nobody answered this offer of a seat in “{program}” in time, so the seat goes to the next in the line.{until}")
        }
        (OfferState::Revoked, "the opening was closed" | "the program was closed") => {
            format!("The opening of “{program}” was closed before this offer was answered, so it holds no longer. We are sorry.")
        }
        (OfferState::Revoked, why) if why.starts_with("suppressed") => {
            format!("This offer of a seat in “{program}” holds no longer, because mail to your address is stopped.")
        }
        (OfferState::Revoked, why) if why.is_empty() || why.starts_with("undeliverable") => {
            format!("This offer of a seat in “{program}” holds no longer, because our mail about it did not reach you in time.")
        }
        (OfferState::Revoked, _) => format!("{publisher} took this offer of a seat in “{program}” back."),
    }
}

// Until when, and how it is held. The clock starts when the mail is handed over: before that there is no end to be told.
fn held(offer: &Offer, now: Timestamp) -> String {
    let until = offer.expires_at.map(|at| (moment(at, Some(&offer.zone)), span(at.duration_since(now))));
    match (offer.mode, until) {
        (Mode::LastCall, Some((until, left))) => {
            format!("This is a last call: no seat is held for you, and whoever answers first gets it. It ends on {until}, in {left}.")
        }
        (Mode::LastCall, None) => "This is a last call: no seat is held for you, and whoever answers first gets it.".to_owned(),
        (_, Some((until, left))) => format!("The seat is held for you until {until}: that is {left} from now."),
        (_, None) => "The seat is held for you. Until when, the mail says that is on its way to you.".to_owned(),
    }
}

impl Page<'_> {
    fn heading(&self) -> String {
        let program = &self.offer.program;
        match self.offer.state {
            OfferState::Open if self.offer.mode == Mode::LastCall => format!("Last call: a seat in “{program}”"),
            OfferState::Open => format!("A seat in “{program}” for you"),
            OfferState::Accepted if self.offer.given_back => "You gave this seat back".to_owned(),
            OfferState::Accepted => "The seat is yours".to_owned(),
            OfferState::Declined if self.offer.reason.as_deref() == Some(LEFT) => "You left the waitlist".to_owned(),
            OfferState::Declined => "You declined this seat".to_owned(),
            OfferState::Expired => "This offer has ended".to_owned(),
            OfferState::Revoked => "This offer holds no longer".to_owned(),
        }
    }

    fn is_seat(&self) -> bool {
        self.offer.state == OfferState::Accepted && !self.offer.given_back
    }

    /// What the operator tells whoever has a seat.
    fn next_steps(&self) -> Vec<&str> {
        self.program.next_text.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
    }

    /// She pressed something that was not to be had any more.
    fn note(&self) -> Option<&'static str> {
        match (self.did?, self.is_seat()) {
            (Did::Full, _) => {
                Some("At this moment every seat is taken. If one is given back before this offer ends, you can still have it.")
            }
            (Did::TooLate, true) => Some("You had accepted this seat already. If you cannot come, give it back on your page."),
            (Did::TooLate, false) => Some("That could not be done any more: this is how it stands."),
            (Did::Done, _) => None,
        }
    }
}
