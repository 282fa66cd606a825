//! What happens to people between mails: people leave by one click, and an operator is asked to leave someone alone.
//!
//! Each goes the way it goes in earnest: over HTTP from the header of a caught mail, or by the stop that the command line calls.

use super::{
    catcher::{Entry, Query},
    http,
    people::a_few,
    screen::Screen,
    stage::Stage,
    weeks::latest,
};
use crate::{
    audience::suppression::Kind,
    base::{address::EmailAddress, time::civil_to_db},
    people::stop::{self, Source, Whom},
};
use anyhow::Context;

const FEW: usize = 10;

/// While the mails of an edition wait: of those who are due last, one leaves and, in the second edition, one is suppressed.
pub(super) async fn after_planning(stage: &Stage, screen: &Screen) -> anyhow::Result<()> {
    let waiting = waiting(stage).await?;
    if waiting.len() < FEW {
        return Ok(());
    }
    let mut mailed_before = waiting.iter().filter_map(|address| newest(stage, address));
    let Some(leaver) = mailed_before.next() else { return Ok(()) };
    if leave(stage, &leaver, screen).await? {
        screen.line("          one leaves while this week's mail to her waits: it is skipped");
    }
    if editions(stage).await? == 2
        && let Some(address) = mailed_before.next().and_then(|mail| mail.to.into_iter().next())
    {
        suppress(stage, &address).await?;
        screen.line("          one asks the operator to be left alone: `tidings suppress add`");
    }
    Ok(())
}

/// After an edition: a few of those who got it leave.
pub(super) async fn after_sending(stage: &Stage, screen: &Screen) -> anyhow::Result<()> {
    let since = latest(stage).await?.starts_at;
    let all = stage.catcher.mailbox.search(&Query::default());
    let mails: Vec<&Entry> = all.iter().take_while(|mail| mail.at >= since).collect();
    // Of so few nobody may leave every week, or soon there is nobody.
    if mails.len() < FEW {
        return Ok(());
    }
    let wanted = a_few(u32::try_from(mails.len()).unwrap_or(u32::MAX)) as usize;
    let apart = mails.len() / (wanted + 1);
    let mut left = 0;
    for mail in mails.iter().skip(apart).step_by(apart).take(wanted) {
        left += usize::from(leave(stage, mail, screen).await?);
    }
    if left > 0 {
        screen.line(format_args!("          {left} {} by one click, out of this week's mail", if left == 1 { "leaves" } else { "leave" }));
    }
    Ok(())
}

async fn leave(stage: &Stage, mail: &Entry, screen: &Screen) -> anyhow::Result<bool> {
    let original = stage.catcher.mailbox.raw(mail.id)?;
    // A confirmation has none: who signed up meanwhile, by hand, is left alone.
    let Some(link) = http::unsubscribe_link(&original) else { return Ok(false) };
    match http::one_click(&link).await {
        Ok(()) => Ok(true),
        // A mail of an earlier run, whose port was taken in this one.
        Err(_) if !link.starts_with(&stage.pages) => {
            screen.line("note: a link of an earlier run leads nowhere, since its port was taken");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

async fn suppress(stage: &Stage, address: &str) -> anyhow::Result<()> {
    let address = EmailAddress::parse(address).context("an address of the demo")?;
    let reason = "asked by telephone to be left alone";
    let (pool, keyring) = (&stage.db().pool, &stage.app.setup.keyring);
    stop::suppress(pool, keyring, Whom::Address(&address), Kind::Manual, reason, Source::Operator, stage.now()).await?;
    Ok(())
}

// Those who wait longest for their mail of the latest edition, in time zones far to the west.
async fn waiting(stage: &Stage) -> anyhow::Result<Vec<String>> {
    let edition = latest(stage).await?.key;
    let addresses = sqlx::query_scalar!(
        r#"SELECT s.address AS "address!" FROM deliveries d JOIN subscribers s ON s.id = d.subscriber_id
        WHERE d.period = $1 AND d.edition_id = $2 AND d.state = 'queued' AND s.address IS NOT NULL ORDER BY d.due_at DESC, d.id LIMIT 20"#,
        civil_to_db(edition.period),
        edition.id
    );
    Ok(addresses.fetch_all(&stage.db().pool).await?)
}

fn newest(stage: &Stage, address: &str) -> Option<Entry> {
    let found = stage.catcher.mailbox.search(&Query { to: address.to_owned(), ..Query::default() });
    found.into_iter().find(|mail| mail.to.iter().any(|to| to == address))
}

/// How many editions there are.
pub(super) async fn editions(stage: &Stage) -> anyhow::Result<i64> {
    Ok(sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM editions"#).fetch_one(&stage.db().pool).await?)
}
