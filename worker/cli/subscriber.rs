//! `tidings subscriber`: people, as an operator adds them, looks at them, and answers for what is kept of them.
//!
//! Whole addresses are printed: this is the operator's own terminal. Logs mask them.

mod edit;
mod erase;
mod export;
mod proof;
mod show;

use super::{
    Context,
    table::{Array, count, day, table, unless_unread},
};
use crate::{
    audience::{
        listing, store,
        subscriber::NewSubscriber,
        subscription::{self, Outcome},
        suppression::{self, Kind, Suppression},
        topic,
    },
    base::{address::EmailAddress, database::Db},
};
use anyhow::{Context as _, bail};
use serde_json::json;
use sqlx::PgConnection;

const PAGE: i64 = 1_000;

/// What to do with subscribers.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Subscribe a person to a topic, confirmed because you say so; it is recorded as your act
    Add {
        /// Her address
        email: String,
        /// The topic, by name or slug; a series' topic bears the series' name
        #[arg(long)]
        topic: String,
        /// How she is called
        #[arg(long, default_value = "", hide_default_value = true)]
        name: String,
        /// Her time zone, an IANA name such as Europe/London
        #[arg(long, default_value = "", hide_default_value = true)]
        zone: String,
        /// The date that stage windows are counted from, YYYY-MM-DD
        #[arg(long, value_name = "DATE", default_value = "", hide_default_value = true)]
        stage_date: String,
        /// How she confirmed, in your words: kept as the evidence
        #[arg(long, value_name = "WORDS", default_value = "an operator added her")]
        confirmed_because: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List subscribers in the order in which they were added
    List {
        /// Only those of this topic
        #[arg(long)]
        topic: Option<String>,
        /// How many the table shows; 0: all
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
        /// Print all of them as a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Change what a person prefers, on her behalf: name, zone, day and hour, stage date, pause
    Edit(edit::Args),
    /// Show what is known of one person: standing, consents, suppressions, deliveries, what comes next
    Show(show::Args),
    /// Print everything that is kept about one person, as JSON
    Export(export::Args),
    /// Print the history of a person's consent as a text that can be shown to whoever asks for a proof
    Proof(proof::Args),
    /// Forget a person: all that is left is a keyed hash, so that she is not mailed again, and the counts
    Erase(erase::Args),
}

/// Runs one of them.
pub(super) async fn run(command: Command, ctx: &Context) -> anyhow::Result<()> {
    match command {
        Command::Add { email, topic, name, zone, stage_date, confirmed_because, json } => {
            let person = NewSubscriber::read(&email, &name, &zone, &stage_date).with_context(|| format!("`{email}` was not added"))?;
            add(ctx, person, &topic, &confirmed_because, json).await
        }
        Command::List { topic, limit, json } => list(ctx, topic.as_deref(), limit, json).await,
        Command::Show(args) => show::run(&args, ctx).await,
        Command::Export(args) => export::run(&args, ctx).await,
        Command::Proof(args) => proof::run(&args, ctx).await,
        Command::Erase(args) => erase::run(&args, ctx).await,
        Command::Edit(args) => edit::run(&args, ctx).await,
    }
}

async fn add(ctx: &Context, person: NewSubscriber, topic: &str, because: &str, json: bool) -> anyhow::Result<()> {
    let db = ctx.db().await?;
    let keyring = ctx.keyring(&db).await?;
    let topic = topic::find(&mut *db.pool.acquire().await?, topic).await?;
    let email = person.address.as_given().to_owned();
    let outcome = subscription::add(&db.pool, &keyring, &topic, person, because, ctx.clock.now()).await?;
    let added = match outcome {
        Outcome::Added(_) => true,
        Outcome::Unchanged(_) => false,
        Outcome::Unsubscribed(at) => bail!(
            "{email} unsubscribed from `{}` on {} and was not added: only she can come back, by signing up again",
            topic.name,
            day(at)
        ),
        Outcome::Suppressed(suppression) => bail!("{email} was not added: {}", standing_against(&email, &suppression)),
    };
    match (json, added) {
        (true, _) => println!("{}", json!({ "email": email, "topic": topic.name, "added": added })),
        (false, true) => println!("{email} is subscribed to `{}`.", topic.name),
        (false, false) => println!("{email} is subscribed to `{}` already; nothing was changed.", topic.name),
    }
    Ok(())
}

fn standing_against(email: &str, suppression: &Suppression) -> String {
    let (kind, since) = (suppression.kind.as_str(), day(suppression.at));
    if suppression.kind.lifted_by_operator() {
        let reason = &suppression.reason;
        format!("the address is suppressed since {since} ({kind}: {reason}); `tidings suppress remove {email} --reason …` lifts that")
    } else {
        format!("the address is suppressed since {since} ({kind}); only she can come back, by signing up again")
    }
}

async fn list(ctx: &Context, topic: Option<&str>, limit: u32, json: bool) -> anyhow::Result<()> {
    let db = ctx.db().await?;
    let mut conn = db.pool.acquire().await?;
    let topic_id = match topic {
        Some(topic) => Some(topic::find(&mut conn, topic).await?.id),
        None => None,
    };
    if json {
        return unless_unread(list_json(&mut conn, topic_id).await);
    }
    let total = listing::count_subscribers(&mut conn, topic_id).await?;
    let limit = if limit == 0 { i64::MAX } else { i64::from(limit) };
    let listed = listing::subscribers(&mut conn, topic_id, 0, limit).await?;
    let mut table = table(["Address", "Name", "Zone", "Stage date", "Topics", "Suppressed"]);
    for person in &listed {
        table.add_row([
            person.email.clone(),
            person.name.clone().unwrap_or_default(),
            person.zone.clone().unwrap_or_default(),
            person.stage_date.map(|d| d.to_string()).unwrap_or_default(),
            person.topics.iter().map(topic_and_standing).collect::<Vec<_>>().join(", "),
            person.suppressed.join(", "),
        ]);
    }
    if !listed.is_empty() {
        println!("{table}");
    }
    match listed.len() as i64 {
        shown if shown < total => println!("{shown} of {total} subscribers; --limit 0 shows all."),
        _ => println!("{}.", count(total, "subscriber")),
    }
    Ok(())
}

async fn list_json(conn: &mut PgConnection, topic_id: Option<i64>) -> anyhow::Result<()> {
    let (mut array, mut after) = (Array::new(), Some(0));
    while let Some(last) = after {
        let page = listing::subscribers(conn, topic_id, last, PAGE).await?;
        after = page.last().map(|person| person.id);
        page.iter().try_for_each(|person| array.push(person))?;
    }
    Ok(array.end()?)
}

fn topic_and_standing(topic: &listing::ListedTopic) -> String {
    match topic.standing.as_str() {
        "confirmed" => topic.topic.clone(),
        other => format!("{} ({other})", topic.topic),
    }
}

fn read(email: &str) -> anyhow::Result<EmailAddress> {
    EmailAddress::parse(email).with_context(|| format!("`{email}`"))
}

// The id of the subscriber with this address; what is known of an address that is none's is said.
async fn find(ctx: &Context, db: &Db, address: &EmailAddress) -> anyhow::Result<i64> {
    let mut conn = db.pool.acquire().await?;
    if let Some((_, id)) = store::subscribers_by_key(&mut conn, &[address.key()]).await?.pop() {
        return Ok(id);
    }
    let keyring = ctx.keyring(db).await?;
    let standing = suppression::history(&mut conn, &keyring, address).await?.into_iter().rfind(|s| s.lifted.is_none());
    let email = address.as_given();
    match standing {
        Some(s) if s.kind == Kind::Erased => {
            bail!("{email} is no subscriber: she was erased on {}, and a keyed hash is all that is kept", day(s.at))
        }
        Some(s) => bail!(
            "{email} is no subscriber; the address is suppressed since {} ({}), and its keyed hash is all that is kept",
            day(s.at),
            s.kind.as_str()
        ),
        None => bail!("{email} is no subscriber, and nothing stands against the address"),
    }
}
