//! Rows 6 to 9: an edition of a million beside one of ten or a hundred thousand.

use std::time::Duration;

use jiff::Unit;
use tidings::{
    base::clock::{Clock, SystemClock},
    campaigns::edition,
};

use crate::{
    anchor::Sink,
    ground::{Field, Ground},
    row::{Row, median},
};

const CONNECTIONS: usize = 50;
const MILLION: i64 = 1_000_000;
const HUNDREDTH: i64 = 10_000;
/// A large edition is sent so long; then its processor time for each mail is known.
const ENOUGH: Duration = Duration::from_secs(8);

/// Measures them; of what takes a minute each, three rounds are enough.
pub(crate) async fn measure(ground: &Ground, rounds: usize) -> anyhow::Result<Vec<Row>> {
    let rounds = rounds.clamp(1, 3);
    let sink = Sink::start().await?;
    let large = ground.field(MILLION).await?;
    let (mut planning, mut linear, mut first, mut memory, mut grown, mut spent) = (vec![], vec![], vec![], vec![], vec![], vec![]);
    for _ in 0..rounds {
        let tenth = ground.field(MILLION / 10).await?;
        let small = tenth.plan().await?.as_secs_f64();
        ground.drop(tenth).await?;
        let million = large.plan().await?.as_secs_f64();
        planning.push(million);
        linear.push(million / (10.0 * small));
        let hundredth = ground.field(HUNDREDTH).await?;
        hundredth.plan().await?;
        let few = spent_for_each(&hundredth, &sink, None).await?;
        ground.drop(hundredth).await?;
        spent.push(spent_for_each(&large, &sink, Some(ENOUGH)).await? / few);
        put_away(&large).await?;
        let hundredth = ground.field(HUNDREDTH).await?;
        let (_, little) = whole_way(&hundredth, &sink).await?;
        ground.drop(hundredth).await?;
        let (waited, much) = whole_way(&large, &sink).await?;
        put_away(&large).await?;
        first.push(waited);
        memory.push(much);
        grown.push(much / little);
    }
    ground.drop(large).await?;
    let said = format!("{:.1} × that at 10,000", median(&grown));
    let memory = Row::at_most(
        8,
        "worker's peak memory, planning, checking and sending 1,000,000",
        memory,
        " MB",
        (64.0, "<= 64 MB, <= 1.1 × at 10,000"),
    );
    let reached = memory.reached && median(&grown) <= 1.1;
    Ok(vec![
        Row::at_most(6, "planning 1,000,000, each with her own tip", planning, " s", (30.0, "<= 30 s, stretch 15")),
        Row::at_most(6, "planning 1,000,000 ÷ 10 × planning 100,000", linear, "", (1.3, "<= 1.3")),
        Row::at_most(7, "due time to first hand-over, 1,000,000, nothing planned before", first, " s", (2.0, "<= 2 s")),
        Row { reached, ..memory }.remarking(&said),
        Row::at_most(9, "processor time for each mail, 1,000,000 ÷ 10,000", spent, "", (1.2, "<= 1.2")),
    ])
}

// Processor seconds for each mail that a worker sends, in a while or until nothing is left.
async fn spent_for_each(field: &Field, sink: &Sink, lasting: Option<Duration>) -> anyhow::Result<f64> {
    let since = SystemClock.now();
    let worker = field.worker(&sink.url(), CONNECTIONS, &[], lasting.is_none())?;
    if let Some(time) = lasting {
        // The length of the measurement.
        tokio::time::sleep(time).await;
        worker.terminate();
    }
    let seen = worker.ended().await?;
    let sent = field.sent_since(since).await?;
    Ok(seen.seconds_between(sent.from, sent.to) / sent.mails)
}

// Has a waiting worker open, plan, check and send an edition: seconds to the first hand-over, and the most memory until all was planned.
async fn whole_way(field: &Field, sink: &Sink) -> anyhow::Result<(f64, f64)> {
    let worker = field.worker(&sink.url(), CONNECTIONS, &[], false)?;
    // It is to be up and waiting, as in service.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let due = SystemClock.now();
    edition::run(&mut *field.db.pool.acquire().await?, "weekly", true, due).await?;
    loop {
        let left: i64 =
            sqlx::query_scalar("SELECT count(*) FROM editions WHERE state IN ('planning', 'scheduled', 'running') AND planned IS NULL")
                .fetch_one(&field.db.pool)
                .await?;
        if left == 0 {
            break;
        }
        // Between two looks, while a million is planned.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    worker.terminate();
    let seen = worker.ended().await?;
    let sent = field.sent_since(due).await?;
    Ok(((sent.from - due).total(Unit::Second)?, seen.peak))
}

// Keeps what is left of an edition from being sent in the next measure.
async fn put_away(field: &Field) -> anyhow::Result<()> {
    sqlx::query("UPDATE editions SET state = 'held', resume_to = 'running', reason = 'measured' WHERE state IN ('planning', 'scheduled', 'running')")
        .execute(&field.db.pool)
        .await?;
    Ok(())
}
