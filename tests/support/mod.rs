//! What the tests stand on: databases of their own, an application with a clock turned by hand, and waiting without sleeping.
//!
//! Called by every story in this test binary.

#![expect(dead_code, reason = "each story uses its part of it")]

mod app;
pub(crate) mod certificate;
mod databases;
pub(crate) mod door;
pub(crate) mod https;
pub(crate) mod relay;
mod served;
pub(crate) mod server;
pub(crate) mod story;
mod worker;

use std::time::Duration;

pub(crate) use app::TestApp;
pub(crate) use served::Served;
pub(crate) use worker::Worker;

/// Lets everything that is planned leave unchecked, for stories that plan and claim without a worker: pre-flight has its own.
pub(crate) async fn let_pass(conn: &mut sqlx::PgConnection) {
    let all = "UPDATE editions SET cleared_up_to = 9223372036854775807, checked_at = coalesce(checked_at, created_at)";
    sqlx::query(all).execute(conn).await.expect("editions");
}

/// Waits until something outside this process has come about; fails the test when it has not within a minute.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            // Between two looks: another process, or a socket, tells us nothing by itself. The minute below is the limit.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap_or_else(|_| panic!("in vain: {what}"));
}
