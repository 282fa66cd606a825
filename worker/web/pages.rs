//! What every page is framed by, the page that names the publisher, and the style sheet in the publisher's colours.

use super::Web;
use crate::delivery::render::{FIXED, Site};
use askama::Template;
use axum::{
    extract::State,
    http::{HeaderName, StatusCode, header},
    response::{Html, IntoResponse, Response},
};

/// What the layout of a page shows of the publisher.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    pub(super) lang: &'a str,
    pub(super) publisher: &'a str,
    pub(super) postal_address: &'a str,
}

impl<'a> Frame<'a> {
    /// The frame of the publisher's pages.
    pub(super) fn of(site: &'a Site) -> Self {
        let publisher = if site.name.is_empty() { "Tidings" } else { &site.name };
        Self { lang: &site.lang, publisher, postal_address: &site.postal_address }
    }
}

/// A page of a heading and a few paragraphs.
#[derive(Template)]
#[template(path = "web/message.html")]
pub(super) struct Message<'a> {
    pub(super) frame: Frame<'a>,
    pub(super) heading: String,
    pub(super) paragraphs: Vec<String>,
}

#[derive(Template)]
#[template(path = "web/style.css", escape = "none")]
struct Style<'a> {
    paper: (&'a str, &'a str),
    sheet: (&'a str, &'a str),
    ink: (&'a str, &'a str),
    quiet: (&'a str, &'a str),
    rule: (&'a str, &'a str),
    edge: (&'a str, &'a str),
    accent: (&'a str, &'a str),
}

/// `/`: who writes from here.
pub(super) async fn home(State(web): State<Web>) -> Response {
    let frame = Frame::of(&web.site);
    let publisher = frame.publisher.to_owned();
    let paragraphs = vec![
        format!("Letters from {publisher} are sent from here, to people who asked for them."),
        "Every letter carries a link at its end with which you can stop it. That works at once, and needs no login.".to_owned(),
    ];
    page(StatusCode::OK, &Message { heading: format!("Letters from {publisher}"), paragraphs, frame })
}

/// `/style.css`
pub(super) async fn style(State(web): State<Web>) -> Response {
    let fixed = |name: &str| FIXED.iter().find(|(known, ..)| *known == name).map_or(("", ""), |(_, day, night)| (*day, *night));
    let palette = &web.site.palette;
    let style = Style {
        paper: fixed("paper"),
        sheet: fixed("sheet"),
        ink: fixed("ink"),
        quiet: fixed("quiet"),
        rule: fixed("rule"),
        edge: fixed("edge"),
        accent: (&palette.accent, &palette.dark_accent),
    };
    let headers: [(HeaderName, &str); 2] =
        [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "public, max-age=3600")];
    match style.render() {
        Ok(css) => (headers, css).into_response(),
        Err(error) => failed(&error),
    }
}

/// `/robots.txt`: the links in letters are for the people who got them.
pub(super) async fn robots() -> &'static str {
    "User-agent: *\nDisallow: /u/\n"
}

/// Renders a page.
pub(super) fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => failed(&error),
    }
}

fn failed(error: &askama::Error) -> Response {
    tracing::error!(%error, "a page could not be rendered");
    (StatusCode::INTERNAL_SERVER_ERROR, "This page could not be made. Please try again.").into_response()
}
