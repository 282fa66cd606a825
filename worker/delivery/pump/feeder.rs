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
    let mut outlook = setup.db.outage.outlook();
    let mut claiming = false;
    while !*halted.borrow() {
        // The commit of a claim may be done though its answer was lost: what it took is in nobody's hands, and is given back
        // when this worker leaves. So the pump ends as soon as that can be written, and another one begins.
        if claiming && line.get(&setup).await.is_ok() {
            return;
        }
        let again = match feed(&setup, &lease, &mut line, &stock, &hungry, &mut claiming).await {
            Ok(None) => false,
            Ok(Some(fed)) => {
                outlook.well();
                fed
            }
            Err(error) => {
                line.cut();
                outlook.failed(&error);
                false
            }
        };
        tokio::select! {
            _ = halted.wait_for(|halted| *halted) => return,
            // Half the stock is free again: enough for a claim that is worth its statements.
            permits = stock.reserve_many((stock.max_capacity() / 2).max(1)), if again => drop(permits),
            () = bell.heard(), if !again => {}
            // What only time makes due rings no bell.
            () = tokio::time::sleep(LOOK_AGAIN), if !again => {}
        }
    }
}

// Whether anything was claimed, so that it is worth looking again as soon as there is room; `None`: nothing may be claimed
// now. `claiming` is true while a claim is under way, and stays so when its answer is lost.
async fn feed(
    setup: &Setup,
    lease: &Lease,
    line: &mut Line,
    stock: &mpsc::Sender<Held>,
    hungry: &AtomicBool,
    claiming: &mut bool,
) -> sqlx::Result<Option<bool>> {
    if *claiming || !lease.is_fresh() {
        return Ok(None);
    }
    let now = setup.clock.now();
    let mut fed = false;
    let conn = line.get(setup).await?;
    *claiming = true;
    let claim = settled(claiming, within(claim::transactional(conn, lease.worker, now, room(stock))).await)?;
    fed |= put(stock, claim.taken).await;
    within(look::start_due(line.get(setup).await?, now)).await?;
    let due = within(look::editions_due(line.get(setup).await?, now)).await?;
    // Set before the claims: an answer recorded in between must ring.
    hungry.store(!due.is_empty(), Ordering::Release);
    let editions = i64::try_from(due.len()).unwrap_or(i64::MAX);
    for (edition, left) in due.into_iter().zip((1..=editions).rev()) {
        // Each its share: a big edition that a slow relay keeps busy must not make the next one late.
        let room = (room(stock) / left).max(1);
        let conn = line.get(setup).await?;
        *claiming = true;
        let claim = settled(claiming, within(claim::edition(conn, lease.worker, edition, now, room)).await)?;
        fed |= claim.ended > 0;
        fed |= put(stock, claim.taken).await;
    }
    Ok(Some(fed))
}

// A refusal by the server itself is no lost answer, for it did not commit; but being ended by it (57P01 and its like) may come
// between the commit and the answer.
fn is_refusal(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|e| e.code()).is_some_and(|code| !code.starts_with("57P"))
}

fn settled<T>(claiming: &mut bool, done: sqlx::Result<T>) -> sqlx::Result<T> {
    *claiming = done.as_ref().is_err_and(|error| !is_refusal(error));
    done
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
