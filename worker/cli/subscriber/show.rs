//! `tidings subscriber show`: what is known of one person, as tables or JSON.

use super::{
    super::{
        Context,
        table::{day, minute, table},
    },
    read,
};
use crate::{
    campaigns::outlook::{self, Coming},
    people::person::{self, Person},
};
use anyhow::bail;
use serde::Serialize;

/// Whom to show.
#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// Her address
    email: String,
    /// How many of the latest deliveries are shown
    #[arg(long, value_name = "N", default_value_t = 20)]
    deliveries: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    person: Person,
    coming: Vec<Coming>,
}

/// Prints what is known of the address.
pub(in crate::cli) async fn run(args: &Args, ctx: &Context) -> anyhow::Result<()> {
    let address = read(&args.email)?;
    let db = ctx.db().await?;
    let keyring = ctx.keyring(&db).await?;
    let conn = &mut *db.pool.acquire().await?;
    let Some(person) = person::find(conn, &keyring, &address, args.deliveries.into()).await? else {
        bail!("{} is no subscriber, and nothing stands against the address", address.as_given())
    };
    let coming = match &person.subscriber {
        Some(subscriber) => outlook::next_for(conn, subscriber.id, ctx.clock.now()).await?,
        None => Vec::new(),
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&Shown { person, coming })?);
    } else {
        print_person(&person);
        print_coming(&coming);
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
        print_waitlists(person);
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

// Of a waitlist that she was never on nothing is said.
fn print_waitlists(person: &Person) {
    if person.waitlists.is_empty() {
        return;
    }
    let entries = person.waitlists.iter().map(|w| {
        let confirmed = w.confirmed_at.map_or_else(|| "never".to_owned(), minute);
        [w.entry.to_string(), w.program.clone(), w.state.clone(), minute(w.joined_at), confirmed, w.barred.clone().unwrap_or_default()]
    });
    section("Waitlists", ["Entry", "Program", "State", "In the line since", "Confirmed", "Offered nothing because"], entries);
    let offers = person.waitlists.iter().flat_map(|w| w.offers.iter().map(move |offer| (w.entry, offer))).map(|(entry, f)| {
        let state = if f.given_back_at.is_some() { "given back" } else { &f.state };
        let until = f.expires_at.map_or_else(String::new, minute);
        [f.offer.to_string(), entry.to_string(), state.to_owned(), minute(f.offered_at), until, f.reason.clone().unwrap_or_default()]
    });
    section("Offers", ["Offer", "Entry", "State", "Made", "Until", "Reason"], offers);
    let events = person.waitlists.iter().flat_map(|w| w.events.iter().map(move |event| (w.entry, event))).map(|(entry, e)| {
        let priority = e.priority.map(|priority| format!("{priority}: ")).unwrap_or_default();
        [
            minute(e.at),
            entry.to_string(),
            e.what.replace('_', " "),
            e.by.clone(),
            format!("{priority}{}", e.reason.clone().unwrap_or_default()),
        ]
    });
    section("What happened on them", ["When (UTC)", "Entry", "What", "By", "Reason"], events);
}

fn print_deliveries(person: &Person) {
    let deliveries = person.deliveries.iter().map(|d| {
        let edition = match (&d.campaign, &d.edition) {
            (Some(campaign), Some(edition)) => format!("{campaign} {edition}"),
            _ => d.mail.replace('_', " "),
        };
        let why = [d.reason.as_deref(), d.reply.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(": ");
        [minute(d.due_at), edition, d.subject.clone().unwrap_or_default(), d.state.clone(), why]
    });
    section("Latest deliveries", ["Due (UTC)", "Edition or mail", "Subject", "State", "Reason"], deliveries);
}

// Nothing for an address that is no subscriber's, and for one that is subscribed to no series.
fn print_coming(coming: &[Coming]) {
    if coming.is_empty() {
        return;
    }
    let rows = coming.iter().map(|c| {
        let next = match (&c.why_not, c.next_at) {
            (Some(why_not), _) => why_not.clone(),
            (None, Some(at)) => format!("{} UTC", minute(at)),
            (None, None) => String::new(),
        };
        let how_far = format!("{}: {} of {}", c.series, c.had, c.approved);
        [c.campaign.clone(), how_far, next, c.next_subject.clone().unwrap_or_default()]
    });
    section("What comes next", ["Campaign", "Tips of the series", "Next", "Subject"], rows);
}

fn section<const N: usize>(title: &str, header: [&str; N], rows: impl Iterator<Item = [String; N]>) {
    let mut table = table(header);
    table.add_rows(rows);
    match table.is_empty() {
        true => println!("\n{title}: none"),
        false => println!("\n{title}\n{table}"),
    }
}
