//! `tidings subscriber add|list|show`: people, as an operator adds them and looks at them.
//!
//! Whole addresses are printed: this is the operator's own terminal. Logs mask them.

use super::{
    Context,
    table::{Array, day, minute, table, unless_unread},
};
use crate::{
    audience::{
        listing,
        subscriber::NewSubscriber,
        subscription::{self, Outcome},
        suppression::Suppression,
        topic,
    },
    base::address::EmailAddress,
    people::person::{self, Person},
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
    /// Show what is known of one person: standing, consents, suppressions, deliveries
    Show {
        /// Her address
        email: String,
        /// How many of the latest deliveries are shown
        #[arg(long, value_name = "N", default_value_t = 20)]
        deliveries: u32,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs one of them.
pub(super) async fn run(command: Command, ctx: &Context) -> anyhow::Result<()> {
    match command {
        Command::Add { email, topic, name, zone, stage_date, confirmed_because, json } => {
            let person = NewSubscriber::read(&email, &name, &zone, &stage_date).with_context(|| format!("`{email}` was not added"))?;
            add(ctx, person, &topic, &confirmed_because, json).await
        }
        Command::List { topic, limit, json } => list(ctx, topic.as_deref(), limit, json).await,
        Command::Show { email, deliveries, json } => show(ctx, &email, deliveries, json).await,
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
        _ => println!("{total} subscribers."),
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

async fn show(ctx: &Context, email: &str, deliveries: u32, json: bool) -> anyhow::Result<()> {
    let address = EmailAddress::parse(email).with_context(|| format!("`{email}`"))?;
    let db = ctx.db().await?;
    let keyring = ctx.keyring(&db).await?;
    let found = person::find(&mut *db.pool.acquire().await?, &keyring, &address, deliveries.into()).await?;
    let Some(person) = found else { bail!("{} is no subscriber, and nothing stands against the address", address.as_given()) };
    if json {
        println!("{}", serde_json::to_string_pretty(&person)?);
    } else {
        print_person(&person);
    }
    Ok(())
}

fn print_person(person: &Person) {
    match &person.subscriber {
        None => println!("{}: no subscriber", person.email),
        Some(subscriber) => {
            println!("{}{}", person.email, subscriber.name.as_ref().map(|n| format!(" ({n})")).unwrap_or_default());
            let zone = subscriber.zone.as_deref().unwrap_or("the campaign's");
            let stage = subscriber.stage_date.map_or("none".to_owned(), |d| d.to_string());
            println!("subscriber since {}, zone: {zone}, stage date: {stage}", day(subscriber.since));
            if let Some(until) = subscriber.paused_until {
                println!("paused until {}", minute(until));
            }
        }
    }
    if person.subscriber.is_some() {
        print_standing(person);
    }
    let suppressions = person.suppressions.iter().map(|s| {
        let lifted = s.lifted_at.map(|at| format!("{}: {}", minute(at), s.lifted_reason.clone().unwrap_or_default()));
        [minute(s.since), s.kind.clone(), s.reason.clone(), lifted.unwrap_or_else(|| "stands".to_owned())]
    });
    section("Suppressions", ["Since", "Kind", "Reason", "Lifted"], suppressions);
    if person.subscriber.is_some() {
        print_deliveries(person);
    }
}

fn print_standing(person: &Person) {
    let topics = person.topics.iter().map(|t| [t.topic.clone(), t.standing.clone(), minute(t.since)]);
    section("Topics", ["Topic", "Standing", "Since"], topics);
    let consents = person.consents.iter().map(|c| {
        let topic = c.topic.clone().unwrap_or_else(|| "everything".to_owned());
        [minute(c.at), c.act.clone(), topic, c.source.clone(), c.wording.clone().unwrap_or_default()]
    });
    section("Consents", ["When", "Act", "Topic", "From", "Words"], consents);
}

fn print_deliveries(person: &Person) {
    let deliveries = person.deliveries.iter().map(|d| {
        let edition = [d.campaign.as_deref(), d.edition.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(" ");
        let why = [d.reason.as_deref(), d.reply.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(": ");
        [minute(d.due_at), edition, d.subject.clone().unwrap_or_default(), d.state.clone(), why]
    });
    section("Latest deliveries", ["Due (UTC)", "Edition", "Subject", "State", "Reason"], deliveries);
}

fn section<const N: usize>(title: &str, header: [&str; N], rows: impl Iterator<Item = [String; N]>) {
    let mut table = table(header);
    table.add_rows(rows);
    match table.is_empty() {
        true => println!("\n{title}: none"),
        false => println!("\n{title}\n{table}"),
    }
}
