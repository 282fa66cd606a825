//! The sweep: what time alone makes due. Campaigns open their next edition, the dead are buried, sign-ups are reminded of or end,
//! waitlists go on and everyone is told of an opening, feeds are looked at, what is done is finished.
//!
//! Every statement claims what it changes, so that any number of sweeps may run at once.

use super::{App, feeds};
use crate::{
    base::{
        time::{civil_to_db, period_of},
        wake::{self, Job},
    },
    campaigns::{
        broadcast::{self, Terms},
        due, planning, preflight,
        states::Late,
    },
    delivery::{
        ledger::lease,
        pump::{self, letter::Letters},
        versions::{Change, REST, store as versions},
    },
    signup::tend,
    waitlist::opening,
};
use anyhow::ensure;
use jiff::{SignedDuration, Timestamp};
use sqlx::PgConnection;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// So long a folder of templates that is being written keeps a job waiting.
const PATIENCE: Duration = Duration::from_secs(6);

/// Opens what is due and has it planned, settles what the dead left, finishes what is done.
pub async fn sweep(app: &App) -> anyhow::Result<()> {
    let now = app.setup.clock.now();
    let mut conn = app.setup.db.pool.acquire().await?;
    pump::check_clocks(&app.setup, &mut conn).await?;
    look_at_templates(app).await;
    let tips = tend_tips(app, &mut conn, now).await;
    drop(conn);
    let signups = tend::sweep(&app.desk(), now).await;
    // Whatever befell the others: an offer that ran out holds a seat until somebody looks.
    let waitlists = tend_waitlists(app, now).await;
    let news = announce(app, now).await;
    let feeds = feeds::wake(app, now).await;
    app.bell.ring();
    let mut errors = [tips, signups.map_err(Into::into), waitlists, news, feeds].into_iter().filter_map(Result::err);
    let first = errors.next();
    errors.for_each(|error| tracing::error!(error = format!("{error:#}"), "more than one part of a sweep failed"));
    first.map_or(Ok(()), Err)
}

async fn tend_tips(app: &App, conn: &mut PgConnection, now: Timestamp) -> anyhow::Result<()> {
    lease::bury(conn, app.setup.delivery.lease, now).await?;
    due::open_due(conn, now).await?;
    due::start_due(conn, now).await?;
    let minute = now.as_second() / 60;
    let unplanned = due::plannable(conn).await?;
    let unchecked = preflight::unchecked(conn).await?;
    for edition_id in unplanned.into_iter().chain(unchecked) {
        // One wake-up a minute for each: enough to heal, not enough to pile up while it is being planned.
        wake::enqueue_once(conn, &Job::PlanEdition { edition_id }, &format!("plan:{edition_id}:{minute}")).await?;
    }
    due::finish(conn, now).await?;
    Ok(())
}

async fn look_at_templates(app: &App) {
    if app.setup.templates.is_watched() {
        blocking_look(app).await;
    }
}

// Compiling what has changed takes a while, and others want this thread.
async fn blocking_look(app: &App) -> Change {
    let setup = app.setup.clone();
    tokio::task::spawn_blocking(move || setup.templates.look()).await.unwrap_or_else(|error| {
        tracing::error!(%error, "the folder of templates could not be looked at");
        Change::None
    })
}

// An edition keeps the templates that it begins with: whoever corrected one and had it planned anew means what stands there now, and all
// of it. No connection is held meanwhile; the sweep wakes those again that were not begun.
async fn until_templates_rest(app: &App, edition_id: i64) -> anyhow::Result<()> {
    let pool = &app.setup.db.pool;
    if !app.setup.templates.is_watched() || versions::of_edition(&mut *pool.acquire().await?, edition_id).await?.is_some() {
        return Ok(());
    }
    let began = Instant::now();
    while blocking_look(app).await == Change::Restless {
        ensure!(
            began.elapsed() < PATIENCE,
            "edition {edition_id} is not begun while its templates are being written: {} (templates.folder) was to stand still for {} s, \
             and did not within {} s; it is looked at again each minute",
            app.config.templates.folder,
            REST.as_secs(),
            PATIENCE.as_secs()
        );
        // Nothing tells that a folder stands still but time.
        tokio::time::sleep(REST / 10).await;
    }
    Ok(())
}

/// Plans an edition to its end, slice by slice, and checks the mails of each; those of a running one leave in between.
pub async fn plan(app: &App, edition_id: i64) -> anyhow::Result<()> {
    until_templates_rest(app, edition_id).await?;
    let mut conn = app.setup.db.pool.acquire().await?;
    // Before its first mail can be made: from here on every worker renders it with this version.
    app.setup.templates.begin(&mut conn, edition_id, app.setup.clock.now()).await?;
    let letters = Arc::new(Letters::new(app.setup.clone()));
    loop {
        let progress = planning::plan_slice(&mut conn, edition_id, app.setup.clock.now()).await?;
        while !preflight::check_portion(&mut conn, &letters, edition_id, app.setup.clock.now()).await? {
            app.bell.ring();
        }
        app.bell.ring();
        if progress.done {
            return Ok(());
        }
    }
}

/// Plans and checks every edition that wants it, here and now.
pub(super) async fn plan_all(app: &App) -> anyhow::Result<()> {
    let mut conn = app.setup.db.pool.acquire().await?;
    let mut wanting = due::plannable(&mut conn).await?;
    wanting.extend(preflight::unchecked(&mut conn).await?);
    wanting.dedup();
    drop(conn);
    // One that fails keeps no other waiting; the first failure is told when all had their turn.
    let mut failed = None;
    for edition_id in wanting {
        if let Err(error) = plan(app, edition_id).await {
            tracing::error!(edition = edition_id, error = format!("{error:#}"), "an edition could not be planned");
            failed = failed.or(Some(error));
        }
    }
    failed.map_or(Ok(()), Err)
}

// An opening that tells everyone at once has opened: its broadcast is made, and wakes the next sweep.
async fn announce(app: &App, now: Timestamp) -> anyhow::Result<()> {
    let terms = Terms {
        late: Late::Ask,
        tolerance: SignedDuration::try_from(app.config.delivery.tolerance)?,
        deadline: SignedDuration::try_from(app.config.delivery.deadline)?,
    };
    let conn = &mut *app.setup.db.pool.acquire().await?;
    for campaign in broadcast::tell_of_openings(conn, &app.setup.templates.newest(), terms, now).await? {
        tracing::info!(campaign, "everyone who waits is told of an opening");
    }
    Ok(())
}

// What no wake-up told, or what a wake-up that was lost would have told. One program that fails keeps no other waiting.
async fn tend_waitlists(app: &App, now: Timestamp) -> anyhow::Result<()> {
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
    let mut conn = app.setup.db.pool.acquire().await?;
    // By a clock that is wrong offers would run out before their time, and hours come that have not.
    pump::check_clocks(&app.setup, &mut conn).await?;
    opening::advance(&mut conn, program_id, app.setup.clock.now()).await?;
    app.bell.ring();
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
