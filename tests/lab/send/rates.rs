//! Rows 1 to 3: mails a second and processor time against a relay that answers at once.

use crate::{
    anchor::Sink,
    ground::Ground,
    null,
    row::{Row, median},
};

const CONNECTIONS: usize = 50;
const MAILS: i64 = 20_000;

/// Measures them in rounds of: the anchor, the null ledger, the worker.
pub(crate) async fn measure(ground: &Ground, rounds: usize) -> anyhow::Result<Vec<Row>> {
    let sink = Sink::start().await?;
    let (mut to_source, mut to_null, mut spent, mut rates, mut sources) = (vec![], vec![], vec![], vec![], vec![]);
    let mut bytes = 12_000.0;
    for round in 0..=rounds {
        let field = ground.field(MAILS).await?;
        field.plan().await?;
        let null = null::measure(&field, &sink.url(), CONNECTIONS).await?;
        ground.drop(field).await?;
        bytes = null.bytes;
        let source = sink.source(MAILS as usize, CONNECTIONS, bytes as usize).await?;
        let field = ground.field(MAILS).await?;
        field.plan().await?;
        let (sent, seen) = field.send(&sink.url(), CONNECTIONS, &[]).await?;
        anyhow::ensure!(sent.mails == MAILS as f64, "{} of {MAILS} mails were answered", sent.mails);
        ground.drop(field).await?;
        // The first round warms everything up.
        if round > 0 || rounds == 0 {
            to_source.push(sent.rate() / source);
            to_null.push(sent.rate() / null.rate);
            spent.push(seen.seconds_between(sent.from, sent.to) / sent.mails * 1000.0);
            rates.push(sent.rate());
            sources.push(source);
        }
    }
    let said = format!("{:.0}/s; smtp-source {:.0}/s; mails of {:.1} kB", median(&rates), median(&sources), bytes / 1000.0);
    Ok(vec![
        Row::at_least(1, "rate ÷ smtp-source's, 50 connections, unsigned", to_source, (0.50, ">= 0.50, stretch 0.65")).remarking(&said),
        Row::at_least(2, "rate with the ledger ÷ without", to_null, (0.80, ">= 0.80")),
        Row::at_most(3, "processor seconds for 1,000 mails, unsigned", spent, " s", (0.18, "<= 0.18 s")),
    ])
}
