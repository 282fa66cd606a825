//! What a supervisor asks: does the process live, and can it do its work?

use super::Web;
use crate::base::database;
use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(3);

/// `/healthz`: the process answers.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// `/readyz`: the database answers and its schema is the one that this binary knows; else 503 and the reason in a word.
pub(super) async fn ready(State(web): State<Web>) -> Response {
    match tokio::time::timeout(PATIENCE, schema_is_current(&web)).await {
        Ok(Ok(true)) => "ready\n".into_response(),
        Ok(Ok(false)) => not_ready("the database's schema is not up to date: run `tidings migrate`"),
        Ok(Err(error)) => {
            tracing::warn!(error = format!("{error:#}"), "not ready");
            not_ready("the database does not answer as it should")
        }
        Err(_) => not_ready("the database does not answer in time"),
    }
}

async fn schema_is_current(web: &Web) -> anyhow::Result<bool> {
    let mut conn = web.db.pool.acquire().await?;
    Ok(database::is_current(&mut conn).await?)
}

fn not_ready(why: &str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")).into_response()
}
