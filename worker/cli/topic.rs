//! `tidings topic list|edit`: what one can subscribe to, and what the pages say of it.

use super::{Context, table::table};
use crate::audience::topic::{self, Edit};
use anyhow::ensure;
use serde_json::json;

/// What to do with topics.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// List topics with what the sign-up page says of them
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Change what people read of a topic, and whether it is offered to them
    Edit {
        /// The topic, by name or slug
        topic: String,
        /// A new name, as people read it; the slug stays
        #[arg(long)]
        name: Option<String>,
        /// What one gets, in a sentence or two
        #[arg(long, value_name = "WORDS")]
        description: Option<String>,
        /// Offer it on the sign-up page and on the preferences page
        #[arg(long, conflicts_with = "closed")]
        open: bool,
        /// Offer it no more; those who are subscribed stay
        #[arg(long)]
        closed: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs one of them.
pub(super) async fn run(command: Command, ctx: &Context) -> anyhow::Result<()> {
    match command {
        Command::List { json } => list(ctx, json).await,
        Command::Edit { topic, name, description, open, closed, json } => {
            let open = if open || closed { Some(open) } else { None };
            let edit = Edit { name: name.as_deref(), description: description.as_deref(), open };
            ensure!(
                name.is_some() || description.is_some() || open.is_some(),
                "nothing is to be changed: say --name, --description, --open or --closed"
            );
            let changed = topic::edit(&mut *ctx.db().await?.pool.acquire().await?, &topic, edit, ctx.clock.now()).await?;
            match (json, changed) {
                (true, _) => println!("{}", json!({ "topic": topic, "changed": changed })),
                (false, true) => println!("Topic `{topic}` is changed."),
                (false, false) => println!("Topic `{topic}` is so already; nothing was changed."),
            }
            Ok(())
        }
    }
}

async fn list(ctx: &Context, json: bool) -> anyhow::Result<()> {
    let topics = topic::list(&mut *ctx.db().await?.pool.acquire().await?).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&topics)?);
        return Ok(());
    }
    if topics.is_empty() {
        println!("No topics yet: importing an article into a series makes one (`tidings import article FILE --series NAME`).");
        return Ok(());
    }
    let mut table = table(["Slug", "Name", "Offered", "Confirmed", "Description"]);
    for topic in &topics {
        let offered = if topic.open { "yes" } else { "no" };
        table.add_row([topic.slug.as_str(), topic.name.as_str(), offered, &topic.confirmed.to_string(), topic.description.as_str()]);
    }
    println!("{table}");
    Ok(())
}
