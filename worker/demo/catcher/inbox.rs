//! The catcher's web inbox: a list with search, one mail in its views, its original, and the same as JSON.
//!
//! Owns its pages and their headers. A mail's own HTML is shown in a sandboxed frame under a policy that loads nothing and runs nothing.
//! Called by `Catcher::start`.

use std::net::SocketAddr;
use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query as InQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Json, Response};
use axum::routing::get;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::json;

use super::mailbox::{Entry, Found, Mailbox, Query};
use super::reading::{self, Piece, Reading};
use crate::demo::http::encoded;

const STYLE: &str = include_str!("../../../templates/web/catcher.css");
const PER_PAGE: usize = 50;
const MOST_PER_PAGE: usize = 1000;

const PAGE_POLICY: &str =
    "default-src 'none'; style-src 'self'; frame-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// `sandbox` here holds even when somebody opens the frame's address by itself.
const MAIL_POLICY: &str = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; frame-ancestors 'self'";

/// The pages.
pub(super) fn router(mailbox: Arc<Mailbox>, smtp: SocketAddr) -> Router {
    Router::new()
        .route("/", get(list))
        .route("/mails/{id}", get(mail))
        .route("/mails/{id}/html", get(html))
        .route("/mails/{id}/raw", get(raw))
        .route("/api/mails", get(list_json))
        .route("/api/mails/{id}", get(mail_json))
        .route("/catcher.css", get(style))
        .fallback(missing)
        .with_state(Inbox { mailbox, smtp })
}

#[derive(Clone, Debug)]
struct Inbox {
    mailbox: Arc<Mailbox>,
    smtp: SocketAddr,
}

#[derive(Template)]
#[template(path = "web/catcher_inbox.html")]
struct InboxPage {
    query: Query,
    found: Found,
    smtp: SocketAddr,
    is_search: bool,
    in_all: usize,
}

impl InboxPage {
    fn range(&self) -> (usize, usize) {
        let first = (self.found.page - 1) * PER_PAGE + 1;
        (first, first + self.found.entries.len().saturating_sub(1))
    }

    /// The day above an entry, where it differs from that of the entry before.
    fn new_day(&self, index: &usize) -> Option<String> {
        let day = |entry: &Entry| long_day(entry.at);
        let own = day(&self.found.entries[*index]);
        let before = index.checked_sub(1).map(|before| day(&self.found.entries[before]));
        (before.as_ref() != Some(&own)).then_some(own)
    }

    fn page_link(&self, page: usize) -> String {
        format!("/?to={}&subject={}&page={page}", encoded(&self.query.to), encoded(&self.query.subject))
    }
}

#[derive(Template)]
#[template(path = "web/catcher_mail.html")]
struct MailPage {
    entry: Entry,
    newer: Option<u64>,
    older: Option<u64>,
    view: View,
    narrow: bool,
    reading: Reading,
    pieces: Vec<Piece>,
}

#[derive(Template)]
#[template(path = "web/catcher_missing.html")]
struct MissingPage;

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum View {
    #[default]
    Html,
    Text,
    Source,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Look {
    view: Option<View>,
    width: String,
}

async fn list(State(inbox): State<Inbox>, InQuery(query): InQuery<Query>) -> Response {
    let found = inbox.mailbox.find(&query, PER_PAGE);
    let is_search = !query.to.trim().is_empty() || !query.subject.trim().is_empty();
    page(&InboxPage { found, is_search, in_all: inbox.mailbox.len(), smtp: inbox.smtp, query })
}

async fn mail(State(inbox): State<Inbox>, Path(id): Path<u64>, InQuery(look): InQuery<Look>) -> Response {
    let (Some((entry, newer, older)), Some(bytes)) = (inbox.mailbox.entry(id), original(&inbox, id).await) else { return missing().await };
    let reading = reading::read(&bytes);
    let view = look.view.unwrap_or(if reading.html.is_some() { View::Html } else { View::Text });
    let pieces = reading::pieces(reading.text.as_deref().unwrap_or_default());
    page(&MailPage { entry, newer, older, view, narrow: look.width == "phone", reading, pieces })
}

async fn html(State(inbox): State<Inbox>, Path(id): Path<u64>) -> Response {
    let Some(html) = original(&inbox, id).await.and_then(|bytes| reading::read(&bytes).html) else { return missing().await };
    (headers("text/html; charset=utf-8", MAIL_POLICY), reading::framed(&html)).into_response()
}

async fn raw(State(inbox): State<Inbox>, Path(id): Path<u64>) -> Response {
    let Some(bytes) = original(&inbox, id).await else { return missing().await };
    let mut headers = headers("message/rfc822", MAIL_POLICY);
    let name = HeaderValue::from_str(&format!("attachment; filename=\"mail-{id}.eml\""));
    headers.extend(name.map(|name| (header::CONTENT_DISPOSITION, name)));
    (headers, bytes).into_response()
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ListOf {
    #[serde(flatten)]
    words: std::collections::HashMap<String, String>,
}

impl ListOf {
    fn word(&self, name: &str) -> String {
        self.words.get(name).cloned().unwrap_or_default()
    }

    fn number(&self, name: &str) -> Option<usize> {
        self.words.get(name)?.parse().ok()
    }
}

async fn list_json(State(inbox): State<Inbox>, InQuery(asked): InQuery<ListOf>) -> Response {
    let query = Query { to: asked.word("to"), subject: asked.word("subject"), page: asked.number("page").unwrap_or(1) };
    let found = inbox.mailbox.find(&query, asked.number("per_page").unwrap_or(PER_PAGE).clamp(1, MOST_PER_PAGE));
    Json(json!({ "total": found.total, "page": found.page, "pages": found.pages, "mails": found.entries })).into_response()
}

async fn mail_json(State(inbox): State<Inbox>, Path(id): Path<u64>) -> Response {
    let (Some((entry, ..)), Some(bytes)) = (inbox.mailbox.entry(id), original(&inbox, id).await) else {
        return (StatusCode::NOT_FOUND, Json(json!({ "error": format!("there is no mail {id}") }))).into_response();
    };
    let Reading { html, text, headers, .. } = reading::read(&bytes);
    Json(json!({ "mail": entry, "headers": headers, "text": text, "html": html })).into_response()
}

async fn style() -> Response {
    (headers("text/css; charset=utf-8", PAGE_POLICY), STYLE).into_response()
}

async fn missing() -> Response {
    (StatusCode::NOT_FOUND, page(&MissingPage)).into_response()
}

async fn original(inbox: &Inbox, id: u64) -> Option<Vec<u8>> {
    let mailbox = Arc::clone(&inbox.mailbox);
    tokio::task::spawn_blocking(move || mailbox.raw(id)).await.ok()?.ok()
}

fn page(template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => (headers("text/html; charset=utf-8", PAGE_POLICY), Html(text)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page of the mail catcher cannot be shown");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn headers(kind: &'static str, policy: &'static str) -> HeaderMap {
    HeaderMap::from_iter([
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ])
}

fn long_day(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%A %-d %B %Y").to_string()
}

fn hour(at: &Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%H:%M").to_string()
}

fn size(bytes: &u64) -> String {
    if *bytes < 1024 { format!("{bytes} bytes") } else { format!("{:.1} KiB", *bytes as f64 / 1024.0) }
}
