//! The scribe writes for all connections: their results and their next marks, in one commit after another.
//!
//! Whoever asks while a commit is under way shares the next one. When the database cannot be written, no mark is given and so
//! sending stops; results wait here until they can be written.

use super::{
    super::{
        Key,
        ledger::mark::{self, Mark, Record, Writer},
    },
    Bell, Setup,
    failures::Failures,
    lease::Lease,
    line::{Line, within},
    pressure::Pressure,
};
use crate::base::outage::Outlook;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::Instant,
};

/// The most results and marks in one commit.
const AT_ONCE: usize = 500;

/// Leave to hand a delivery over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marked {
    /// The fence under which the result is to be recorded.
    pub(super) fence: i32,
    /// The body must begin before this instant.
    pub(super) begin_body_before: Instant,
}

struct Request {
    record: Option<Record>,
    mark: Option<(Mark, oneshot::Sender<Option<Marked>>)>,
}

/// The way to the scribe.
#[derive(Clone)]
pub(super) struct Scribe(mpsc::Sender<Request>);

impl Scribe {
    /// Hands in the last result and asks for a mark, which is answered later; `None`: this delivery must not be handed over.
    pub(super) async fn exchange(&self, record: Option<Record>, mark: Mark) -> Option<oneshot::Receiver<Option<Marked>>> {
        let (answer, answered) = oneshot::channel();
        self.0.send(Request { record, mark: Some((mark, answer)) }).await.ok()?;
        Some(answered)
    }

    /// Hands in a result; it is written soon.
    pub(super) async fn record(&self, record: Record) {
        if self.0.send(Request { record: Some(record), mark: None }).await.is_err() {
            tracing::error!("a result could not be recorded: its delivery becomes unconfirmed");
        }
    }
}

/// Starts the scribe; it ends when every [`Scribe`] is dropped and all is written.
pub(super) fn start(setup: Arc<Setup>, lease: Lease, around: Surroundings) -> (Scribe, JoinHandle<()>) {
    let (requests, inbox) = mpsc::channel(AT_ONCE);
    (Scribe(requests), tokio::spawn(run(setup, lease, inbox, around)))
}

/// What the scribe tells, and whom.
pub(super) struct Surroundings {
    /// Rings when results were recorded,
    pub(super) bell: Bell,
    /// and somebody waits for that.
    pub(super) hungry: Arc<AtomicBool>,
    /// How long commits take.
    pub(super) pressure: Pressure,
}

async fn run(setup: Arc<Setup>, lease: Lease, mut inbox: mpsc::Receiver<Request>, around: Surroundings) {
    let mut failures = Failures::new(setup.delivery.failure_rate);
    let mut batch = Vec::with_capacity(AT_ONCE);
    let mut pen =
        Pen { line: Line::new(), outlook: setup.db.outage.outlook(), writer: Writer::new(lease.worker, lease.length()), setup, lease };
    while inbox.recv_many(&mut batch, around.pressure.of(AT_ONCE)).await > 0 {
        let mut records = Vec::new();
        let mut marks = Vec::new();
        let mut answers = Vec::new();
        for request in batch.drain(..) {
            records.extend(request.record);
            if let Some((mark, answer)) = request.mark {
                marks.push(mark);
                answers.push((mark, answer));
            }
        }
        records.iter_mut().for_each(|record| failures.look(record));
        let began = Instant::now();
        let marked = pen.write(&records, &marks).await;
        around.pressure.took(began.elapsed());
        let begin_body_before = began + pen.lease.body_begins_within();
        let mut unheard = Vec::new();
        for (mark, answer) in answers {
            let granted = marked.get(&mark.key).map(|&fence| Marked { fence, begin_body_before });
            if answer.send(granted).is_err() && granted.is_some() {
                unheard.push(mark);
            }
        }
        // Their connections were ended while they waited, so no byte of them leaves.
        if pen.try_take_back(&unheard).await.is_err() {
            pen.settle_later(&[], &unheard).await;
        }
        if !records.is_empty() && around.hungry.load(Ordering::Acquire) {
            around.bell.ring();
        }
    }
}

// What the scribe writes with.
struct Pen {
    setup: Arc<Setup>,
    lease: Lease,
    line: Line,
    outlook: Outlook,
    writer: Writer,
}

impl Pen {
    // Never gives up on results. Marks are asked for once: when that fails, their commit is in doubt, so they are taken back.
    async fn write(&mut self, records: &[Record], marks: &[Mark]) -> HashMap<Key, i32> {
        match self.try_write(records, if self.lease.is_fresh() { marks } else { &[] }).await {
            Ok(marked) => {
                let refused: Vec<Mark> = marks.iter().filter(|m| !marked.contains_key(&m.key)).copied().collect();
                if refused.is_empty() || self.try_take_back(&refused).await.is_ok() {
                    return marked;
                }
                // These were not marked, and are settled with the rest when the database answers again.
                self.settle_later(&[], &refused).await;
                // The others' time runs on; those whose turn came too late are given up by their connections.
                marked
            }
            Err(error) => {
                self.outlook.failed(&error);
                self.settle_later(records, marks).await;
                HashMap::new()
            }
        }
    }

    async fn settle_later(&mut self, records: &[Record], marks: &[Mark]) {
        let mut wait = Duration::from_millis(100);
        loop {
            self.line.cut();
            // Back-off from a database that cannot be written.
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(2));
            match self.try_settle(records, marks).await {
                Ok(()) => return self.outlook.well(),
                Err(error) => self.outlook.failed(&error),
            }
        }
    }

    async fn try_settle(&mut self, records: &[Record], marks: &[Mark]) -> sqlx::Result<()> {
        self.try_write(records, &[]).await?;
        self.try_take_back(marks).await
    }

    async fn try_write(&mut self, records: &[Record], marks: &[Mark]) -> sqlx::Result<HashMap<Key, i32>> {
        if records.is_empty() && marks.is_empty() {
            return Ok(HashMap::new());
        }
        let now = self.setup.clock.now();
        let marks = if self.lease.is_lost() { &[] } else { marks };
        let conn = self.line.get(&self.setup).await?;
        let done = within(self.writer.write(conn, now, records, marks)).await;
        if done.is_err() {
            self.line.cut();
        }
        done
    }

    async fn try_take_back(&mut self, marks: &[Mark]) -> sqlx::Result<()> {
        if marks.is_empty() {
            return Ok(());
        }
        let conn = self.line.get(&self.setup).await?;
        let done = within(mark::take_back(conn, self.lease.worker, marks)).await;
        if done.is_err() {
            self.line.cut();
        }
        done
    }
}
