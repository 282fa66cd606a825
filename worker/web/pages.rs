//! What every page is framed by and may do, the style sheet in the publisher's colours, and the one script.

use super::Web;
use crate::delivery::render::FIXED;
use askama::Template;
use axum::{
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};

const ZONE_SCRIPT: &str = include_str!("../../templates/web/zone.js");

/// What the layout of a page shows of the publisher.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    pub(super) lang: &'a str,
    pub(super) publisher: &'a str,
    pub(super) postal_address: &'a str,
    pub(super) has_logo: bool,
}

impl<'a> Frame<'a> {
    /// The frame of the publisher's pages.
    pub(super) fn of(web: &'a Web) -> Self {
        let site = &web.site;
        let publisher = if site.name.is_empty() { "Tidings" } else { &site.name };
        Self { lang: &site.lang, publisher, postal_address: &site.postal_address, has_logo: web.logo.is_some() }
    }
}

/// Whether a page brings a script of ours along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scripts {
    /// None: no script runs on it, whatever gets into it.
    None,
    /// Our own.
    Own,
}

/// What a page may do: carry our style sheet and our picture, and post to us. No frames, nothing from elsewhere.
pub(super) fn policy(web: &Web, scripts: Scripts) -> HeaderValue {
    let mut policy = "default-src 'none'; style-src 'self'; ".to_owned();
    if web.logo.is_some() {
        policy.push_str("img-src 'self'; ");
    }
    if scripts == Scripts::Own {
        policy.push_str("script-src 'self'; ");
    }
    policy.push_str("form-action 'self'; base-uri 'none'; frame-ancestors 'none'");
    HeaderValue::from_str(&policy).expect("the policy is plain ASCII")
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

/// `/zone.js`: the one script, with which a form finds the zone that a browser is set to.
pub(super) async fn zone_script() -> Response {
    let headers = [(header::CONTENT_TYPE, "text/javascript; charset=utf-8"), (header::CACHE_CONTROL, "public, max-age=3600")];
    (headers, ZONE_SCRIPT).into_response()
}

/// `/robots.txt`: the links in letters are for the people who got them.
pub(super) async fn robots() -> &'static str {
    "User-agent: *\nDisallow: /u/\nDisallow: /confirm/\nDisallow: /preferences/\nDisallow: /offers/\nDisallow: /waitlist/*/\n"
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
