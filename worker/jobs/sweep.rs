//! The sweep: what time alone makes due. Campaigns open their next edition, the dead are buried, sign-ups are reminded of or end,
//! what is done is finished.
//!
//! Every statement claims what it changes, so that any number of sweeps may run at once.

use super::App;
use crate::{
    base::{
        database::is_to_be_retried,
        time::{civil_to_db, period_of},
        wake::{self, Job},
    },
    campaigns::{due, weekly},
    delivery::{ledger::lease, pump},
    signup::tend,
    waitlist::{WaitlistError, opening},
};

/// Opens what is due and has it planned, settles what the dead left, finishes what is done.
pub async fn sweep(app: &App) -> anyhow::Result<()> {
    let now = app.setup.clock.now();
    let mut conn = app.setup.db.pool.acquire().await?;
    pump::check_clocks(&app.setup, &mut conn).await?;
    lease::bury(&mut conn, app.setup.delivery.lease, now).await?;
    due::open_due(&mut conn, now).await?;
    due::start_due(&mut conn, now).await?;
    let minute = now.as_second() / 60;
    for edition_id in due::plannable(&mut conn).await? {
        // One wake-up a minute for each: enough to heal, not enough to pile up while it is being planned.
        wake::enqueue_once(&mut conn, &Job::PlanEdition { edition_id }, &format!("plan:{edition_id}:{minute}")).await?;
    }
    due::finish(&mut conn, now).await?;
    drop(conn);
    tend::sweep(&app.desk(), now).await?;
    tend_waitlists(app, now).await?;
    app.bell.ring();
    Ok(())
}

/// Plans an edition to its end, slice by slice; mails of a running one leave in between.
pub async fn plan(app: &App, edition_id: i64) -> anyhow::Result<()> {
    let mut conn = app.setup.db.pool.acquire().await?;
    loop {
        let progress = weekly::plan_slice(&mut conn, edition_id, app.setup.clock.now()).await?;
        app.bell.ring();
        if progress.done {
            return Ok(());
        }
    }
}

/// Plans every edition that wants it, here and now.
pub(super) async fn plan_all(app: &App) -> anyhow::Result<()> {
    let plannable = due::plannable(&mut *app.setup.db.pool.acquire().await?).await?;
    for edition_id in plannable {
        plan(app, edition_id).await?;
    }
    Ok(())
}

// What no wake-up told, or what a wake-up that was lost would have told. One program that fails keeps no other waiting.
async fn tend_waitlists(app: &App, now: jiff::Timestamp) -> anyhow::Result<()> {
    let programs = opening::due(&mut *app.setup.db.pool.acquire().await?, now).await?;
    for program_id in programs {
        if let Err(error) = advance_waitlist(app, program_id).await {
            tracing::error!(program = program_id, error = format!("{error:#}"), "a waitlist could not be advanced");
        }
    }
    Ok(())
}

/// Offers what seats of a program are free, and settles what its time has ended.
pub(super) async fn advance_waitlist(app: &App, program_id: i64) -> anyhow::Result<()> {
    let mut races = 0;
    loop {
        let advanced = opening::advance(&mut *app.setup.db.pool.acquire().await?, program_id, app.setup.clock.now()).await;
        match advanced {
            Err(WaitlistError::Database(error)) if is_to_be_retried(&error) && races < 5 => races += 1,
            Err(error) => return Err(error.into()),
            Ok(_) => {
                app.bell.ring();
                return Ok(());
            }
        }
    }
}

/// Makes the partitions of this month and the next.
pub(super) async fn partitions(app: &App) -> anyhow::Result<()> {
    let this = period_of(app.setup.clock.now());
    for month in [this, this.saturating_add(jiff::Span::new().months(1))] {
        sqlx::query!("SELECT ensure_deliveries_partition($1)", civil_to_db(month)).fetch_one(&app.setup.db.pool).await?;
    }
    Ok(())
}
