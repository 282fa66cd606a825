//! The API for programs: JSON in, JSON out, an operator's key on every request, and no page of another site may call it.
//!
//! Owns what all its routes share: reading a body and the form of an error. What is done is done by the same functions that
//! the pages call.

pub(super) mod subscriptions;
pub(super) mod waitlist;

use super::Web;
use crate::signup::{
    FieldError,
    keys::{self, Found, Scope},
};
use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

/// The one body of an answer to a wish that was taken, whoever's address it was.
const TAKEN: &str = "{\"taken\":true}\n";

/// Why a request is not taken.
#[derive(Debug)]
pub(super) enum Refusal {
    /// No key, none that we gave out, or one that was revoked.
    NoKey,
    /// A key, but one for something else.
    OtherScope(Scope),
    /// The body is not declared as JSON.
    WrongType,
    /// It is larger than any request of ours.
    TooLarge,
    /// It is no JSON object.
    NoObject(String),
    /// A field cannot be taken: its name, and what is wrong with it. There may be more than one.
    Fields(Vec<(String, String)>),
    /// What its path names is not there.
    NotThere(&'static str),
    /// What its path names takes nothing any more.
    Closed(&'static str),
    /// Too much was asked for within the hour.
    TooMany,
    /// Something failed on our side.
    Failed(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Refusal {
    /// Fields that cannot be taken, as the sign-up names them.
    pub(super) fn of_fields(problems: Vec<FieldError>) -> Self {
        Self::Fields(problems.into_iter().map(|problem| (problem.field.to_owned(), problem.problem)).collect())
    }
}

/// The answer to a wish that was taken.
pub(super) fn taken() -> Response {
    (StatusCode::ACCEPTED, [(header::CONTENT_TYPE, "application/json")], TAKEN).into_response()
}

/// A field that is a text; null says that nothing was given.
pub(super) fn text(value: Value) -> Result<String, &'static str> {
    match value {
        Value::String(text) => Ok(text),
        Value::Null => Ok(String::new()),
        _ => Err("a text was expected"),
    }
}

/// The id of the key that a request brings along, if it may be used for `scope`.
pub(super) async fn key(web: &Web, headers: &HeaderMap, scope: Scope) -> Result<i64, Refusal> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (scheme, secret) = given.and_then(|given| given.trim().split_once(' ')).ok_or(Refusal::NoKey)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refusal::NoKey);
    }
    let mut conn = web.db.pool.acquire().await?;
    match keys::look_up(&mut conn, secret.trim(), scope, web.clock.now()).await? {
        Found::Key(id) => Ok(id),
        Found::WrongScope => Err(Refusal::OtherScope(scope)),
        Found::Nothing => Err(Refusal::NoKey),
    }
}

/// The JSON object of a body.
pub(super) async fn object(request: Request) -> Result<Map<String, Value>, Refusal> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(Refusal::WrongType);
    }
    let body = Bytes::from_request(request, &()).await.map_err(|_| Refusal::TooLarge)?;
    match serde_json::from_slice(&body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Refusal::NoObject("it is not an object".to_owned())),
        // Its message says where in the body, and repeats nothing of it but a letter.
        Err(error) => Err(Refusal::NoObject(error.to_string())),
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::NoKey => {
                let problem = "a key was expected, as `Authorization: Bearer …`; `tidings key create NAME --scope subscribe` makes one";
                with(header::WWW_AUTHENTICATE, "Bearer", refused(StatusCode::UNAUTHORIZED, problem))
            }
            Self::OtherScope(wanted) => {
                refused(StatusCode::FORBIDDEN, &format!("a key for `{}` was expected; this one is for something else", wanted.as_str()))
            }
            Self::WrongType => refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "a body of `Content-Type: application/json` was expected"),
            Self::TooLarge => refused(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 16 KB, or did not arrive whole"),
            Self::NoObject(why) => refused(StatusCode::BAD_REQUEST, &format!("a JSON object was expected: {why}")),
            Self::Fields(problems) => wrong_fields(&problems),
            Self::NotThere(problem) => refused(StatusCode::NOT_FOUND, problem),
            Self::Closed(problem) => refused(StatusCode::CONFLICT, problem),
            Self::TooMany => {
                let problem = "more was asked for within the hour than is taken; try again when Retry-After has passed";
                with(header::RETRY_AFTER, "3600", refused(StatusCode::TOO_MANY_REQUESTS, problem))
            }
            Self::Failed(error) => {
                tracing::error!(error = format!("{error:#}"), "a request of the API failed");
                refused(StatusCode::SERVICE_UNAVAILABLE, "something failed on our side; try again in a few minutes")
            }
        }
    }
}

fn refused(status: StatusCode, problem: &str) -> Response {
    (status, Json(json!({ "error": { "problem": problem } }))).into_response()
}

// The first in `error`, as everywhere; whoever shows a form to people finds the others in `also`.
fn wrong_fields(problems: &[(String, String)]) -> Response {
    let mut told = problems.iter().map(|(field, problem)| json!({ "field": field, "problem": problem }));
    let mut body = json!({ "error": told.next() });
    let also: Vec<Value> = told.collect();
    if !also.is_empty() {
        body["also"] = also.into();
    }
    (StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response()
}

fn with(name: HeaderName, value: &'static str, mut response: Response) -> Response {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
    response
}
