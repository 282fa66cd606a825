//! The feeder keeps the stock filled: transactional deliveries first, then the running editions in turn.
//!
//! It looks once a second, when the bell rings, and as soon as there is room again.

use super::{
    super::ledger::{
        claim::{self, Claimed},
        look,
    },
    Bell, Setup,
    lease::Lease,
    line::{Line, within},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A claimed delivery and when it was claimed, by the monotonic clock.
pub(super) struct Held {
    pub(super) claimed: Claimed,
    pub(super) since: Instant,
}

pub(super) async fn run(
    setup: Arc<Setup>,
    lease: Lease,
    stock: mpsc::Sender<Held>,
    bell: Bell,
    hungry: Arc<AtomicBool>,
    mut halted: watch::Receiver<bool>,
) {
    let mut line = Line::new();
    let mut told = false;
    while !*halted.borrow() {
        let fed = match lease.is_fresh() {
            true => feed(&setup, &lease, &mut line, &stock, &hungry).await,
            false => Ok(false),
        };
        let again = match fed {
            Ok(fed) => {
                if std::mem::take(&mut told) {
                    tracing::info!("the database answers again: sending goes on");
                }
                fed
            }
            Err(error) => {
                line.cut();
                if !std::mem::replace(&mut told, true) {
                    tracing::error!(%error, "the database does not answer: nothing is claimed until it does");
                }
                false
            }
        };
        tokio::select! {
            _ = halted.wait_for(|halted| *halted) => return,
            // Half the stock is free again: enough for a claim that is worth its statements.
            permits = stock.reserve_many((stock.max_capacity() / 2).max(1)), if again => drop(permits),
            () = bell.heard(), if !again => {}
            () = tokio::time::sleep(LOOK_AGAIN), if !again => {}
        }
    }
}

// Whether anything was claimed, so that it is worth looking again as soon as there is room.
async fn feed(setup: &Setup, lease: &Lease, line: &mut Line, stock: &mpsc::Sender<Held>, hungry: &AtomicBool) -> sqlx::Result<bool> {
    let now = setup.clock.now();
    let mut fed = false;
    let conn = line.get(setup).await?;
    let claim = within(claim::transactional(conn, lease.worker, now, room(stock))).await?;
    fed |= put(stock, claim.taken).await;
    within(look::start_due(line.get(setup).await?, now)).await?;
    let due = within(look::editions_due(line.get(setup).await?, now)).await?;
    // Set before the claims: an answer recorded in between must ring.
    hungry.store(!due.is_empty(), Ordering::Release);
    for edition in due {
        let room = room(stock);
        if room == 0 {
            return Ok(true);
        }
        let claim = within(claim::edition(line.get(setup).await?, lease.worker, edition, now, room)).await?;
        fed |= claim.ended > 0;
        fed |= put(stock, claim.taken).await;
    }
    Ok(fed)
}

fn room(stock: &mpsc::Sender<Held>) -> i64 {
    i64::try_from(stock.capacity()).unwrap_or(i64::MAX)
}

async fn put(stock: &mpsc::Sender<Held>, taken: Vec<Claimed>) -> bool {
    let any = !taken.is_empty();
    let since = Instant::now();
    for claimed in taken {
        // Err: every connection ended; what is not taken is given back when the worker leaves.
        if stock.send(Held { claimed, since }).await.is_err() {
            break;
        }
    }
    any
}
