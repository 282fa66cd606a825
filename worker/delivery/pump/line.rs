//! A connection to the database of a task's own, made anew after any error.
//!
//! Not from the pool: after a time-out a connection may hang for ever, and here it is simply thrown away.

use super::Setup;
use crate::base::database::let_go_when_frozen;
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use std::{future::Future, time::Duration};

/// How long any statement of the pump may take before its connection is given up.
const PATIENCE: Duration = Duration::from_secs(20);

/// Ways of the planner that read more than what is asked for. All that the pump asks is found by a key, or taken in the order of an index;
/// but a plan that was made while a month was nearly empty, or before its statistics were new, would go on reading the whole of it when
/// it is full.
const UNWANTED: [&str; 6] =
    ["enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin", "enable_material", "enable_sort"];

pub(super) struct Line {
    conn: Option<PgConnection>,
}

impl Line {
    pub(super) fn new() -> Self {
        Self { conn: None }
    }

    /// The connection, made if there is none.
    pub(super) async fn get(&mut self, setup: &Setup) -> sqlx::Result<&mut PgConnection> {
        if self.conn.is_none() {
            let by_key_alone = UNWANTED.into_iter().chain(["jit"]).map(|way| (way, "off"));
            // Postgres gives up too, or what was given up here would go on there and keep its locks from the next try.
            let patience = [("statement_timeout", PATIENCE.as_millis().to_string())];
            let options = PgConnectOptions::clone(&setup.db.pool.connect_options()).options(by_key_alone).options(patience);
            let mut conn = within(PgConnection::connect_with(&options)).await?;
            // Long before a lease is over, so that whoever buries a frozen worker finds its rows free.
            let idle = (setup.delivery.lease / 3).min(Duration::from_secs(10));
            within(let_go_when_frozen(&mut conn, idle)).await?;
            self.conn = Some(conn);
        }
        self.conn.as_mut().ok_or(sqlx::Error::PoolClosed)
    }

    /// Throws the connection away: what it was doing is in doubt.
    pub(super) fn cut(&mut self) {
        self.conn = None;
    }
}

/// Runs a statement with the pump's patience.
pub(super) async fn within<T>(work: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}
