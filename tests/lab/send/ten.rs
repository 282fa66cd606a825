//! Ten editions one after another: whether the tenth is planned and sent as fast as the first, and what they leave behind.
//!
//! Between two of them a week passes, or the second would skip everyone: what was sent is made a week older, and the table vacuumed, as by
//! autovacuum within a week. Ageing writes every row once more, so the table grows somewhat more than in service.

use crate::{anchor::Sink, ground::Ground, row::Row};

/// Sends ten editions to `people` people each.
pub(crate) async fn measure(ground: &Ground, people: i64) -> anyhow::Result<Vec<Row>> {
    let sink = Sink::start().await?;
    let field = ground.field_of_newcomers(people).await?;
    let (mut planned, mut rates, mut spent) = (vec![], vec![], vec![]);
    for number in 1..=10 {
        let since = tidings::base::clock::Clock::now(&tidings::base::clock::SystemClock);
        let took = field.plan().await?.as_secs_f64();
        let (_, seen) = field.send(&sink.url(), 50, &[]).await?;
        let sent = field.sent_since(since).await?;
        anyhow::ensure!(sent.mails as i64 == people, "edition {number}: {} of {people} mails were answered", sent.mails);
        planned.push(took);
        rates.push(sent.rate());
        spent.push(seen.seconds_between(sent.from, sent.to) / sent.mails * 1000.0);
        eprintln!(
            "edition {number}: planned in {took:.1} s, {:.0} mails/s, {:.3} s for 1,000; {}",
            sent.rate(),
            spent[number - 1],
            field.bloat().await?
        );
        field.let_a_week_pass().await?;
    }
    let ratio = |values: &[f64]| vec![values[9] / values[0]];
    Ok(vec![
        Row::at_most(6, "tenth edition ÷ first: planning", ratio(&planned), "", (1.3, "<= 1.3")),
        Row::at_least(1, "tenth edition ÷ first: mails a second", ratio(&rates), (0.7, ">= 0.7")),
        Row::at_most(3, "tenth edition ÷ first: processor time for each mail", ratio(&spent), "", (1.3, "<= 1.3")),
    ])
}
