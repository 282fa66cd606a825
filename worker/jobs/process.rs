//! A worker's life: the pump, the queue and the ticks together, until it is told to end or until nothing is left to do.

use super::{App, queue, sweep, tick};
use crate::{
    campaigns::due,
    delivery::{
        ledger::look,
        pump::{self, PumpError},
    },
};
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, time::Instant};

/// How often a worker that is to end when nothing is left looks for what only time makes due.
const SWEEP: Duration = Duration::from_secs(1);

/// Works until `stop` says true.
pub async fn run(app: Arc<App>, stop: watch::Receiver<bool>) -> anyhow::Result<()> {
    sweep::partitions(&app).await?;
    let queue = tokio::spawn(queue::run(app.clone(), boot_name(&app)));
    let ticks = tokio::spawn(tick::run(app.clone()));
    let pumped = pump_on(&app, stop).await;
    ticks.abort();
    queue.abort();
    Ok(pumped?)
}

/// Works until nothing is due in a running or plannable edition and nothing is claimed or being handed over anywhere; deferred
/// deliveries, and editions held or paused, are not waited for.
pub async fn run_until_idle(app: Arc<App>, mut told: watch::Receiver<bool>) -> anyhow::Result<()> {
    sweep::partitions(&app).await?;
    let (stop, stopped) = watch::channel(false);
    let boot = boot_name(&app);
    let queue = tokio::spawn(queue::run(app.clone(), boot.clone()));
    let mut pump = tokio::spawn({
        let app = app.clone();
        async move { pump_on(&app, stopped).await }
    });
    let mut outlook = app.setup.db.outage.outlook();
    let mut swept = None;
    let ended = loop {
        match look_when_due(&app, &boot, &mut swept).await {
            Ok(true) => break Ok(()),
            Ok(false) => outlook.well(),
            Err(error) if matches!(error.downcast_ref(), Some(PumpError::ClocksApart(_))) => break Err(error),
            Err(error) => outlook.failed(&format!("{error:#}")),
        }
        tokio::select! {
            ended = &mut pump => break ended?.map_err(Into::into),
            _ = told.wait_for(|told| *told) => break Ok(()),
            // Between two looks at the ledger, which other processes work on too.
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
        }
    };
    let _ = stop.send(true);
    if !pump.is_finished() {
        pump.await??;
    }
    queue.abort();
    // The last deliveries may have ended after the last look.
    if ended.is_ok() {
        due::finish(&mut *app.setup.db.pool.acquire().await?, app.setup.clock.now()).await?;
    }
    ended
}

/// Whether nothing is left to do at this instant, for whoever turns the clock by hand; what the next tick would do is done at once.
pub async fn is_idle(app: &App) -> anyhow::Result<bool> {
    let idle = look_once(app, "").await?;
    if idle {
        // The last deliveries may have ended after the sweep.
        due::finish(&mut *app.setup.db.pool.acquire().await?, app.setup.clock.now()).await?;
    }
    Ok(idle)
}

// While mails leave, what a sweep asks would take time from them: it is done as often as the ticks do it, and before the end.
async fn look_when_due(app: &App, boot: &str, swept: &mut Option<Instant>) -> anyhow::Result<bool> {
    let lately = swept.is_some_and(|at| at.elapsed() < SWEEP);
    if lately && look::is_busy(&mut *app.setup.db.pool.acquire().await?, app.setup.clock.now()).await? {
        return Ok(false);
    }
    *swept = Some(Instant::now());
    look_once(app, boot).await
}

// Whether nothing is left. What a job would do at its next tick is done here at once.
async fn look_once(app: &App, boot: &str) -> anyhow::Result<bool> {
    sweep(app).await?;
    sweep::plan_all(app).await?;
    let now = app.setup.clock.now();
    let mut conn = app.setup.db.pool.acquire().await?;
    let idle = look::is_idle(&mut conn, now).await? && !due::anything_due(&mut conn, now).await?;
    drop(conn);
    Ok(idle && queue::is_empty(app, boot).await?)
}

// The pump ends when it is taken for dead, or when a part of it fails: then another one is started, under another boot id.
async fn pump_on(app: &App, stop: watch::Receiver<bool>) -> Result<(), PumpError> {
    let mut wait = Duration::from_millis(500);
    loop {
        match pump::run(app.setup.clone(), app.bell.clone(), stop.clone()).await {
            Ok(()) => return Ok(()),
            Err(error @ PumpError::ClocksApart(_)) => return Err(error),
            Err(error @ PumpError::ClaimInDoubt) => tracing::info!(%error, "the pump starts anew"),
            Err(error) => tracing::error!(%error, "the pump ended and starts anew"),
        }
        let mut stop = stop.clone();
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
            // Back-off before another pump is started.
            () = tokio::time::sleep(wait) => wait = (wait * 2).min(Duration::from_secs(10)),
        }
    }
}

fn boot_name(app: &App) -> String {
    format!("{}-{}", app.setup.name, uuid::Uuid::new_v4().simple())
}
