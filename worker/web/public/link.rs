//! `/preferences` without a token: a person who lost her link has it mailed to her, and nobody learns whether there was one to mail.

use super::{
    form::{Fields, Filled},
    person::sentence,
    subscribe::{OnceMore, WHERE_IT_IS, message, too_many},
};
use crate::{
    base::address::EmailAddress,
    signup::{self, Answer, Origin},
    web::{
        Web,
        error::{Problem, answer},
        origin::Host,
        pages::{Frame, page},
        stamp,
    },
};
use askama::Template;
use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};

#[derive(Template)]
#[template(path = "web/link.html")]
struct Page<'a> {
    frame: Frame<'a>,
    stamp: String,
    email: &'a str,
    problem: Option<String>,
}

/// The page.
pub(in crate::web) async fn show(State(web): State<Web>) -> Response {
    form_page(&web, StatusCode::OK, "", None)
}

/// Its form.
pub(in crate::web) async fn act(State(web): State<Web>, host: Host, request: Request) -> Response {
    answer(&web, acted(&web, host, request).await)
}

async fn acted(web: &Web, host: Host, request: Request) -> Result<Response, Problem> {
    let fields = Fields::read(request).await?;
    let filled = fields.filled(web);
    if filled == Filled::ByProgram {
        return Ok(thanks(web));
    }
    let email = fields.get("email");
    let address = match EmailAddress::parse(email) {
        Ok(address) => address,
        Err(error) => return Ok(form_page(web, StatusCode::UNPROCESSABLE_ENTITY, email, Some(sentence(&error.to_string())))),
    };
    let frame = Frame::of(web);
    if let Filled::Unclear(stamp) = filled {
        let once_more = OnceMore { frame, stamp, carried: vec![("email", email.to_owned())], wording: None, button: "Mail me my link" };
        return Ok(page(StatusCode::OK, &once_more));
    }
    match signup::mail_link(&web.desk(), &address, Origin::Host(host.0), web.clock.now()).await? {
        Answer::Taken => Ok(thanks(web)),
        Answer::TooMany => Ok(too_many(web)),
    }
}

fn thanks(web: &Web) -> Response {
    let first = "If letters from us go to the address that you gave, a mail with your link is on its way to it.";
    message(web, StatusCode::OK, "Look into your inbox", &[first, WHERE_IT_IS])
}

fn form_page(web: &Web, status: StatusCode, email: &str, problem: Option<String>) -> Response {
    let stamp = stamp::of(&web.keyring, web.clock.now());
    page(status, &Page { frame: Frame::of(web), stamp, email, problem })
}
