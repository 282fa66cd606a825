//! `/`: who writes from here, what there is to subscribe to, and where to go on.

use crate::{
    signup::{self, OpenTopic},
    web::{
        Web,
        error::{Problem, answer},
        pages::{Frame, page},
    },
};
use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};

#[derive(Template)]
#[template(path = "web/home.html")]
struct Page<'a> {
    frame: Frame<'a>,
    topics: Vec<OpenTopic>,
}

/// The page.
pub(in crate::web) async fn show(State(web): State<Web>) -> Response {
    answer(&web, shown(&web).await)
}

async fn shown(web: &Web) -> Result<Response, Problem> {
    let topics = signup::open_topics(&mut *web.db.pool.acquire().await?).await?;
    Ok(page(StatusCode::OK, &Page { frame: Frame::of(web), topics }))
}
