//! The sweep: what time alone makes due. Campaigns open their next edition, the dead are buried, what is done is finished.
//!
//! Every statement claims what it changes, so that any number of sweeps may run at once.

use super::App;
use crate::{
    base::{
        time::{civil_to_db, period_of},
        wake::{self, Job},
    },
    campaigns,
    delivery::ledger::{lease, look},
};

/// Opens what is due and has it planned, settles what the dead left, finishes what is done.
pub async fn sweep(app: &App) -> anyhow::Result<()> {
    let now = app.setup.clock.now();
    let pool = &app.setup.db.pool;
    {
        let mut conn = pool.acquire().await?;
        lease::bury(&mut conn, app.setup.delivery.lease, now).await?;
    }
    campaigns::open_due(pool, now).await?;
    look::start_due(&mut *pool.acquire().await?, now).await?;
    let minute = now.as_second() / 60;
    for edition_id in campaigns::to_plan(pool).await? {
        // One wake-up a minute for each: enough to heal, not enough to pile up while it is being planned.
        let mut conn = pool.acquire().await?;
        wake::enqueue_once(&mut conn, &Job::PlanEdition { edition_id }, &format!("plan:{edition_id}:{minute}")).await?;
    }
    campaigns::finish(pool, now).await?;
    app.bell.ring();
    Ok(())
}

/// Plans an edition to its end, slice by slice; mails of a running one leave in between.
pub async fn plan(app: &App, edition_id: i64) -> anyhow::Result<()> {
    loop {
        let progress = campaigns::plan_slice(&app.setup.db.pool, edition_id, app.setup.clock.now()).await?;
        app.bell.ring();
        if progress.done {
            return Ok(());
        }
    }
}

/// Plans every edition that wants it, here and now.
pub(super) async fn plan_all(app: &App) -> anyhow::Result<()> {
    for edition_id in campaigns::to_plan(&app.setup.db.pool).await? {
        plan(app, edition_id).await?;
    }
    Ok(())
}

/// Makes the partitions of this month and the next.
pub(super) async fn partitions(app: &App) -> anyhow::Result<()> {
    let this = period_of(app.setup.clock.now());
    for month in [this, this.saturating_add(jiff::Span::new().months(1))] {
        sqlx::query!("SELECT ensure_deliveries_partition($1)", civil_to_db(month)).fetch_one(&app.setup.db.pool).await?;
    }
    Ok(())
}
