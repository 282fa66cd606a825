//! `tidings offer`: a seat offered by hand, or an offer taken back.

use super::{Context, entry::find};
use crate::waitlist::offer;
use serde_json::json;

/// What to do with offers.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Offer somebody a free seat out of her turn; all else is checked as always
    Give {
        /// The program
        program: String,
        /// The entry's number, or the address of whoever waits
        entry: String,
        /// The opening; the latest, when it is left out
        #[arg(long, value_name = "NUMBER")]
        opening: Option<i32>,
        /// Why: it is recorded
        #[arg(long, value_name = "WORDS")]
        reason: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Take an open offer back; her place is kept, and nothing is offered to her until `entry readmit` or `offer give`
    Revoke {
        /// The offer's number
        offer: i64,
        /// Why: it is recorded
        #[arg(long, value_name = "WORDS")]
        reason: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs one of them.
pub(super) async fn run(command: Command, ctx: &Context) -> anyhow::Result<()> {
    let db = ctx.db().await?;
    let conn = &mut *db.pool.acquire().await?;
    let now = ctx.clock.now();
    let (json, value, sentence) = match command {
        Command::Give { program, entry, opening, reason, json } => {
            let entry = find(conn, &entry, Some(&program)).await?;
            let offer = offer::give(conn, &program, opening, entry, &reason, now).await?;
            (json, json!({ "offer": offer, "entry": entry }), format!("Offer {offer} is made to entry {entry}; its mail goes at once."))
        }
        Command::Revoke { offer, reason, json } => {
            offer::revoke(conn, offer, &reason, now).await?;
            (
                json,
                json!({ "offer": offer, "state": "revoked" }),
                format!("Offer {offer} is revoked. A seat that is free goes to the next."),
            )
        }
    };
    println!("{}", if json { value.to_string() } else { sentence });
    Ok(())
}
