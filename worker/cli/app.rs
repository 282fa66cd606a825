//! What `worker`, `serve` and the demo run: the application of the settings, and the signals that end it.

use super::Context;
use crate::{base::database::Db, jobs::App};
use ring::rand::SecureRandom;
use std::sync::Arc;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// The application on `db`, with chance from the system.
pub(super) async fn app(ctx: &Context, db: Db) -> anyhow::Result<Arc<App>> {
    ctx.config.ready_to_send()?;
    let keyring = ctx.keyring(&db).await?;
    let mut seed = [0; 32];
    ring::rand::SystemRandom::new().fill(&mut seed).map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?;
    let config = Arc::new(ctx.config.clone());
    Ok(Arc::new(App::new(config, db, keyring, ctx.clock.clone(), seed)?))
}

/// Becomes true at the first SIGTERM or SIGINT; the second ends the process at once.
pub(super) fn stop_signal() -> anyhow::Result<watch::Receiver<bool>> {
    let (stop, stopped) = watch::channel(false);
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        for first in [true, false] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            match first {
                true => {
                    tracing::info!("ending: what is in flight may finish; a second signal ends at once");
                    stop.send_replace(true);
                }
                false => std::process::exit(130),
            }
        }
    });
    Ok(stopped)
}
