//! `tidings delivery`: single deliveries, above all those that are unconfirmed and wait for an operator's word.

use super::Context;
use crate::{
    base::address::EmailAddress,
    delivery::{
        ledger::resolve::{self, Line, Resolution},
        message::Mailbox,
        message_id,
    },
};
use comfy_table::{Table, presets};
use serde_json::json;

/// What to do with deliveries.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// List deliveries, the latest first
    List {
        /// Only those in this state
        #[arg(long, value_parser = ["queued", "claimed", "handing_over", "sent", "deferred", "failed", "skipped", "unconfirmed", "cancelled"])]
        state: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: u32,
        /// One JSON line for each
        #[arg(long)]
        json: bool,
    },
    /// Say what became of an unconfirmed delivery
    Resolve {
        /// Its number, from the list
        id: i64,
        /// sent: it arrived; failed: it did not; again: hand it over once more
        #[arg(value_parser = ["sent", "failed", "again"])]
        as_what: String,
    },
}

pub(super) async fn run(command: Command, ctx: &Context) -> anyhow::Result<()> {
    let db = ctx.db().await?;
    let mut conn = db.pool.acquire().await?;
    match command {
        Command::List { state, limit, json } => {
            let lines = resolve::list(&mut conn, state.as_deref(), i64::from(limit)).await?;
            match json {
                true => print_json(&lines, &db.label, ctx),
                false => print_table(&lines),
            }
        }
        Command::Resolve { id, as_what } => {
            let resolution = match as_what.as_str() {
                "sent" => Resolution::Sent,
                "failed" => Resolution::Failed,
                _ => Resolution::Again,
            };
            resolve::resolve(&mut conn, id, resolution, ctx.clock.now()).await?;
            println!(
                "Delivery {id}: {}.",
                match resolution {
                    Resolution::Sent => "counted as sent",
                    Resolution::Failed => "counted as failed",
                    Resolution::Again => "queued; the worker hands it over once more",
                }
            );
        }
    }
    Ok(())
}

fn print_json(lines: &[Line], label: &str, ctx: &Context) {
    let domain = Mailbox::parse(&ctx.config.mail.from).map(|m| m.address.domain().to_owned()).unwrap_or_default();
    for line in lines {
        println!(
            "{}",
            json!({
                "id": line.key.id, "edition": line.edition, "email": line.address, "state": line.state, "reason": line.reason,
                "handing_over_at": line.handing_over_at.map(|at| at.to_string()), "reply": line.reply,
                "message_id": message_id(line.key, label, &domain),
            })
        );
    }
}

fn print_table(lines: &[Line]) {
    if lines.is_empty() {
        println!("No deliveries.");
        return;
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_header(["id", "edition", "to", "state", "reason"]);
    for line in lines {
        let address = line.address.as_deref().map_or_else(|| "(erased)".to_owned(), shown);
        table.add_row([
            &line.key.id.to_string(),
            line.edition.as_deref().unwrap_or("-"),
            &address,
            &line.state,
            line.reason.as_deref().unwrap_or(""),
        ]);
    }
    println!("{table}");
}

fn shown(address: &str) -> String {
    EmailAddress::parse(address).map_or_else(|_| "(no address)".to_owned(), |a| a.as_given().to_owned())
}
