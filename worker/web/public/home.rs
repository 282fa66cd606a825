//! `/`: who writes from here, what there is to subscribe to and to wait for, and where to go on.

use crate::{
    signup::{self, OpenTopic},
    waitlist::{
        program::{self, Program},
        states::ProgramState,
    },
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
    programs: Vec<Program>,
}

/// The page.
pub(in crate::web) async fn show(State(web): State<Web>) -> Response {
    answer(&web, shown(&web).await)
}

async fn shown(web: &Web) -> Result<Response, Problem> {
    let mut conn = web.db.pool.acquire().await?;
    let topics = signup::open_topics(&mut conn).await?;
    let programs = program::list(&mut conn).await?.into_iter().filter(|program| program.state == ProgramState::Open).collect();
    Ok(page(StatusCode::OK, &Page { frame: Frame::of(web), topics, programs }))
}
