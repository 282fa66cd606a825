//! Keeping the pace while the pump runs: what is not used is given back, what backs off is written down and learned.
//!
//! A task of its own with a connection of its own, made only when there is something to write.

use super::{
    Setup,
    line::{Line, within},
};
use crate::delivery::{ledger::claim::Claimed, pace::Mail};
use jiff::Timestamp;
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

const TICK: Duration = Duration::from_secs(1);
/// What backs off is read once in so many ticks.
const LEARN: u32 = 5;

/// Tends the pace once a second, until the pump ends.
pub(super) async fn keep(setup: Arc<Setup>, mut halted: watch::Receiver<bool>) {
    let mut line = Line::new();
    for tick in 0_u32.. {
        let ends = tokio::time::timeout(TICK, halted.wait_for(|halted| *halted)).await.is_ok();
        let done = async {
            let now = setup.clock.now();
            if let Some(chores) = setup.pace.chores(ends, now) {
                within(setup.pace.tend(line.get(&setup).await?, chores, now, reckoned(&setup, now))).await?;
            }
            if tick % LEARN == 0 && setup.pace.is_on() {
                within(setup.pace.learn(line.get(&setup).await?, now)).await?;
            }
            Ok(())
        };
        let done: sqlx::Result<()> = done.await;
        if let Err(error) = done {
            line.cut();
            tracing::debug!(%error, "the pace is tended later");
        }
        if ends {
            return;
        }
    }
}

/// A claimed delivery as the pace knows it.
pub(super) fn mail(claimed: &Claimed) -> Mail<'_> {
    Mail { address: &claimed.address, urgent: claimed.edition_id.is_none() }
}

/// Gets permits for what was claimed. When that fails, what is limited waits a little, and the rest goes.
pub(super) async fn prepare<'a>(setup: &Setup, line: &mut Line, relays: &[&str], mails: impl Iterator<Item = Mail<'a>>, now: Timestamp) {
    let asked = async {
        let conn = line.get(setup).await?;
        within(setup.pace.prepare(conn, relays, mails, now, reckoned(setup, now))).await
    };
    if let Err(error) = asked.await {
        line.cut();
        tracing::debug!(%error, "no permits could be had");
    }
}

/// The instant that permits are reckoned by: the database's own, unless the clock is turned by hand.
fn reckoned(setup: &Setup, now: Timestamp) -> Option<Timestamp> {
    setup.clock.is_manual().then_some(now)
}
