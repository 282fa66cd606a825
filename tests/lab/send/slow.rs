//! Rows 4, 5, 10 and 11: relays that are far, that refuse, that trickle. An answer at once would hide what waiting costs.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    ground::Ground,
    row::{Row, median},
    support::relay::{Act, FaultyRelay, Offer, Point},
};

/// Each write of the far relay comes so much later.
const ROUND_TRIP: Duration = Duration::from_millis(50);
/// The same for rows 10 and 11, whose rate is to hang on the connections and not on the processor.
const NEAR: Duration = Duration::from_millis(10);

/// Rows 4 and 5: one, two and four workers, fifty connections each, a mail taking two round trips.
pub(crate) async fn far(ground: &Ground, rounds: usize) -> anyhow::Result<Vec<Row>> {
    let (mut of_possible, mut two, mut four) = (vec![], vec![], vec![]);
    for _ in 0..rounds.max(1) {
        let one = far_rate(ground, 1).await?;
        of_possible.push(one * 2.0 * ROUND_TRIP.as_secs_f64() / 50.0);
        two.push(far_rate(ground, 2).await? / one);
        four.push(far_rate(ground, 4).await? / one);
    }
    Ok(vec![
        Row::at_least(4, "50 ms away: rate × 2 RTT ÷ connections", of_possible, (0.90, ">= 0.90")),
        Row::at_least(5, "50 ms away: 2 workers ÷ 1", two, (1.9, ">= 1.9")),
        Row::at_least(5, "50 ms away: 4 workers ÷ 1", four, (3.6, ">= 3.6")),
    ])
}

async fn far_rate(ground: &Ground, workers: i64) -> anyhow::Result<f64> {
    let relay = FaultyRelay::with(Offer { latency: ROUND_TRIP, ..Offer::default() }).await;
    let field = ground.field(4_000 * workers).await?;
    field.plan().await?;
    let mut running = Vec::new();
    for _ in 0..workers {
        running.push(field.worker(&relay.url(), 50, &[], true)?);
    }
    for worker in running {
        anyhow::ensure!(worker.ended().await?.well, "a worker failed");
    }
    ground.drop(field).await?;
    // Between the start of the last worker and the end of the first: all of them at work.
    let mut ended: Vec<Instant> = relay.bodies().iter().filter_map(|body| body.ended).collect();
    ended.sort();
    let (from, to) = (ended.len() / 5, ended.len() * 7 / 10);
    Ok((to - from) as f64 / (ended[to] - ended[from]).as_secs_f64())
}

/// Row 10: every twentieth recipient is refused.
pub(crate) async fn refusing(ground: &Ground, rounds: usize) -> anyhow::Result<Row> {
    let mut kept = vec![];
    let mut opened = 0;
    for _ in 0..rounds.max(1) {
        let (clean, _) = refused_rate(ground, false).await?;
        let (refused, connections) = refused_rate(ground, true).await?;
        kept.push(refused / clean);
        opened = opened.max(connections);
    }
    let row = Row::at_least(10, "5 % refused: rate ÷ the clean rate, 10 connections", kept, (0.90, ">= 0.90, 10 connections"));
    let reached = row.reached && opened <= 10;
    Ok(Row { reached, ..row }.remarking(&format!("{opened} connections opened")))
}

async fn refused_rate(ground: &Ground, refusing: bool) -> anyhow::Result<(f64, usize)> {
    let relay = FaultyRelay::with(Offer { latency: NEAR, ..Offer::default() }).await;
    relay.behave(move |seen| match refusing && seen.point == Point::Rcpt && number(seen.recipient).is_some_and(|n| n % 20 == 0) {
        // No refusal of the address as such, which would also suppress it.
        true => Act::Say("550 5.2.1 mailbox disabled".into()),
        false => Act::Go,
    });
    let field = ground.field(3_000).await?;
    field.plan().await?;
    let (sent, seen) = field.send(&relay.url(), 10, &[]).await?;
    anyhow::ensure!(seen.well && sent.mails == 3_000.0, "{} of 3000 mails were answered", sent.mails);
    ground.drop(field).await?;
    Ok((sent.rate(), relay.opened()))
}

fn number(recipient: &str) -> Option<u64> {
    recipient.trim_start_matches('<').strip_prefix("person-")?.split('@').next()?.parse().ok()
}

/// Row 11: the first of ten connections gets a byte a second.
pub(crate) async fn tarpit(ground: &Ground, rounds: usize) -> anyhow::Result<Row> {
    let (mut kept, mut rates) = (vec![], vec![]);
    for _ in 0..rounds.max(1) {
        let clean = others_rate(ground, false).await?;
        let beside = others_rate(ground, true).await?;
        kept.push(beside / clean);
        rates.push(beside);
    }
    let said = format!("{:.0}/s", median(&rates));
    Ok(Row::at_least(11, "tarpit on 1 of 10 connections: rate of the other 9 ÷ clean", kept, (0.90, ">= 0.90")).remarking(&said))
}

async fn others_rate(ground: &Ground, tarpit: bool) -> anyhow::Result<f64> {
    let relay = FaultyRelay::with(Offer { latency: NEAR, ..Offer::default() }).await;
    relay.behave(move |seen| match tarpit && seen.connection == 0 {
        true => Act::Trickle(Duration::from_secs(1)),
        false => Act::Go,
    });
    let field = ground.field(4_000).await?;
    field.plan().await?;
    let worker = field.worker(&relay.url(), 10, &[], true)?;
    let others = || relay.bodies().iter().filter(|body| body.accepted && body.connection != 0).count();
    while others() < 300 {
        // Between two looks, until all are at work.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (before, began) = (others(), Instant::now());
    // The length of the measurement.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let rate = (others() - before) as f64 / began.elapsed().as_secs_f64();
    // Killed: what is in the tarpit would take minutes.
    drop(worker);
    ground.drop(field).await?;
    Ok(rate)
}
