//! `tidings campaign test`: one mail of a campaign to any address, marked `[Test]` and counted nowhere.

use anyhow::{Context as _, bail};
use serde_json::json;
use sqlx::PgConnection;

use super::super::Context;
use super::answer;
use crate::audience::store;
use crate::base::address::EmailAddress;
use crate::base::database::Db;
use crate::campaigns::test_mail;
use crate::delivery::ledger::look;

/// Which campaign, and to whom.
#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// Its name
    name: String,
    /// Where the mail goes
    #[arg(long, value_name = "ADDRESS")]
    to: String,
    /// Make it as this subscriber would get it next: her address, or her number
    #[arg(long = "as", value_name = "SUBSCRIBER")]
    as_subscriber: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(conn: &mut PgConnection, args: &Args, ctx: &Context, db: &Db) -> anyhow::Result<()> {
    let to = EmailAddress::parse(&args.to).with_context(|| format!("`{}`", args.to))?;
    let subscriber = match &args.as_subscriber {
        Some(text) => Some(subscriber(conn, text).await?),
        None => None,
    };
    let keyring = ctx.keyring(db).await?;
    let queued = test_mail::send(conn, &keyring, &args.name, &to, subscriber, ctx.clock.now()).await?;
    let worker = look::is_a_worker_there(conn).await?;
    let who = if worker { "a worker sends it now" } else { "no worker is running: start `tidings worker` within a day" };
    let sentence =
        format!("Queued “[Test] {}” to {}: {who}. It is counted nowhere, and its links do nothing.", queued.subject, to.as_given());
    let value =
        json!({ "campaign": args.name, "delivery": queued.delivery, "tip": queued.tip, "subject": queued.subject, "worker": worker });
    answer(args.json, value, &sentence)
}

async fn subscriber(conn: &mut PgConnection, text: &str) -> anyhow::Result<i64> {
    if let Ok(number) = text.parse::<i64>() {
        let known = sqlx::query_scalar!("SELECT id FROM subscribers WHERE id = $1 AND erased_at IS NULL", number);
        return known
            .fetch_optional(conn)
            .await?
            .with_context(|| format!("there is no subscriber {number}: give her address or her number"));
    }
    let address = EmailAddress::parse(text).with_context(|| format!("`{text}`"))?;
    match store::subscribers_by_key(conn, &[address.key()]).await?.pop() {
        Some((_, id)) => Ok(id),
        None => bail!("{text} is no subscriber: `tidings subscriber list` shows who is"),
    }
}
