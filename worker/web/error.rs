//! What people see when a page cannot be what they asked for: a kind page, with the cause in the log and nowhere else.
//!
//! One same page for every invalid link, so that guessing tells nothing.

use super::{
    Web,
    pages::{Frame, Message, page},
};
use axum::{extract::State, http::StatusCode, response::Response};

/// Why a page cannot be what was asked for.
#[derive(Debug)]
pub(super) enum Problem {
    /// The link was not made by us, or what it leads to is gone.
    InvalidLink,
    /// There is nothing at this address.
    NoPage,
    /// The form is none of ours; nothing was changed.
    WrongForm,
    /// Something failed on our side.
    Failed(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Problem {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// The answer, or the page that says what was wrong with the question.
pub(super) fn answer(web: &Web, result: Result<Response, Problem>) -> Response {
    let (status, heading, paragraphs) = match result {
        Ok(response) => return response,
        Err(Problem::NoPage) => return message(web, StatusCode::NOT_FOUND, NO_PAGE.0, &[NO_PAGE.1]),
        Err(Problem::InvalidLink) => (
            StatusCode::NOT_FOUND,
            "This link does not work",
            ["It may have been cut off on its way. Please open it again from the letter, the whole of it.", "Nothing was changed."],
        ),
        Err(Problem::WrongForm) => (
            StatusCode::BAD_REQUEST,
            "That was not understood",
            ["Please go back, open the page or the letter’s link once more, and press the button there.", "Nothing was changed."],
        ),
        Err(Problem::Failed(error)) => {
            tracing::error!(error = format!("{error:#}"), "a page failed");
            return message(web, StatusCode::SERVICE_UNAVAILABLE, "Something failed on our side", &FAILED);
        }
    };
    message(web, status, heading, &paragraphs)
}

const FAILED: [&str; 2] =
    ["Please try again in a few minutes.", "If you were unsubscribing: open the link again then, and the page will show how it stands."];

const NO_PAGE: (&str, &str) = ("There is no such page", "Please look at the address once more.");

/// The page for every path that there is not.
pub(super) async fn no_page(State(web): State<Web>) -> Response {
    answer(&web, Err(Problem::NoPage))
}

/// The page for a request of a kind that a path does not take.
pub(super) async fn no_method(State(web): State<Web>) -> Response {
    message(&web, StatusCode::METHOD_NOT_ALLOWED, "This page cannot do that", &["Nothing was changed."])
}

/// The page after a fault of ours that ended a request.
pub(super) fn panicked(web: &Web) -> Response {
    tracing::error!("a page panicked");
    message(web, StatusCode::INTERNAL_SERVER_ERROR, "Something failed on our side", &FAILED)
}

fn message(web: &Web, status: StatusCode, heading: &str, paragraphs: &[&str]) -> Response {
    let paragraphs = paragraphs.iter().map(|paragraph| (*paragraph).to_owned()).collect();
    page(status, &Message { frame: Frame::of(web), heading: heading.to_owned(), paragraphs })
}
