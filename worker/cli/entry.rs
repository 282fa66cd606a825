//! `tidings entry`: the people who wait for a program.

use super::{
    Context,
    table::{minute, table},
};
use crate::{
    base::address::EmailAddress,
    waitlist::{entry, program, states::EntryState},
};
use anyhow::Context as _;
use serde_json::json;
use sqlx::PgConnection;

/// What to do with entries.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// List those who wait for a program, in the order of the line
    List {
        /// The program
        program: String,
        /// Only those in this state: unconfirmed, waiting, offered, seated, withdrawn, removed
        #[arg(long)]
        state: Option<String>,
        /// How many; 0: all
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Move somebody before those of a lower priority; everybody has 0, the higher goes first
    Prioritise {
        #[command(flatten)]
        whom: Whom,
        /// From -1000 to 1000
        #[arg(allow_hyphen_values = true)]
        priority: i16,
        /// Why: it is recorded
        #[arg(long, value_name = "WORDS")]
        reason: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Take somebody out of the line; an offer is revoked, a seat goes on
    Remove {
        #[command(flatten)]
        whom: Whom,
        /// Why: it is recorded
        #[arg(long, value_name = "WORDS")]
        reason: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Let somebody be offered seats again whose offer was revoked or could not be delivered
    Readmit {
        #[command(flatten)]
        whom: Whom,
        /// Why: it is recorded
        #[arg(long, value_name = "WORDS")]
        reason: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Whose entry is meant.
#[derive(clap::Args)]
pub(super) struct Whom {
    /// The entry's number, or the address of whoever waits
    #[arg(value_name = "ENTRY")]
    entry: String,
    /// The program, where an address waits for several
    #[arg(long, value_name = "PROGRAM")]
    program: Option<String>,
}

impl Whom {
    async fn find(&self, conn: &mut PgConnection) -> anyhow::Result<i64> {
        if let Some(slug) = &self.program {
            program::find(conn, slug).await?;
        }
        find(conn, &self.entry, self.program.as_deref()).await
    }
}

/// The entry of a number or of an address.
pub(super) async fn find(conn: &mut PgConnection, text: &str, program: Option<&str>) -> anyhow::Result<i64> {
    if let Ok(number) = text.trim().parse() {
        return Ok(number);
    }
    let no_entry = || format!("`{}` is no entry: expected its number or an address", text.escape_debug());
    let address = EmailAddress::parse(text).with_context(no_entry)?;
    Ok(entry::of_address(conn, &address, program).await?)
}

/// Runs one of them.
pub(super) async fn run(command: Command, ctx: &Context) -> anyhow::Result<()> {
    let db = ctx.db().await?;
    let conn = &mut *db.pool.acquire().await?;
    let now = ctx.clock.now();
    let (json, value, sentence) = match command {
        Command::List { program, state, limit, json } => {
            let program = program::find(conn, &program).await?;
            let state = state.as_deref().map(read_state).transpose()?;
            let limit = if limit == 0 { i64::MAX } else { i64::from(limit) };
            let listed = entry::list(conn, program.id, state, limit).await?;
            if !json {
                return print(&listed);
            }
            println!("{}", serde_json::to_string_pretty(&listed)?);
            return Ok(());
        }
        Command::Prioritise { whom, priority, reason, json } => {
            let entry = whom.find(conn).await?;
            entry::prioritise(conn, entry, priority, &reason, now).await?;
            (json, json!({ "entry": entry, "priority": priority }), format!("Entry {entry} has priority {priority} now."))
        }
        Command::Remove { whom, reason, json } => {
            let entry = whom.find(conn).await?;
            let left = entry::remove(conn, entry, &reason, now).await?;
            let sentence = match (left.changed, left.freed) {
                (false, _) => format!("Entry {entry} was out already; nothing was changed."),
                (true, true) => format!("Entry {entry} is removed. A seat that is free goes to the next."),
                (true, false) => format!("Entry {entry} is removed."),
            };
            (json, json!({ "entry": entry, "removed": left.changed, "freed": left.freed }), sentence)
        }
        Command::Readmit { whom, reason, json } => {
            let entry = whom.find(conn).await?;
            let readmitted = entry::readmit(conn, entry, &reason, now).await?;
            let sentence = match readmitted {
                true => format!("Entry {entry} is offered seats again, at her place."),
                false => format!("Nothing kept entry {entry} from offers; nothing was changed."),
            };
            (json, json!({ "entry": entry, "readmitted": readmitted }), sentence)
        }
    };
    println!("{}", if json { value.to_string() } else { sentence });
    Ok(())
}

fn read_state(text: &str) -> anyhow::Result<EntryState> {
    let all = EntryState::ALL;
    let known =
        || format!("`{text}` is no state of an entry: expected one of {}", all.iter().map(|s| s.as_str()).collect::<Vec<_>>().join(", "));
    all.iter().copied().find(|state| state.as_str() == text).with_context(known)
}

fn print(listed: &[entry::Listed]) -> anyhow::Result<()> {
    if listed.is_empty() {
        println!("Nobody.");
        return Ok(());
    }
    let mut table = table(["Entry", "Address", "State", "Place", "Priority", "Since (UTC)", "Passed over"]);
    for line in listed {
        table.add_row([
            line.entry.to_string(),
            line.email.clone().unwrap_or_else(|| "(erased)".to_owned()),
            line.state.to_string(),
            line.place.map_or_else(String::new, |place| place.to_string()),
            line.priority.to_string(),
            minute(line.joined_at),
            line.passed_over.clone().unwrap_or_default(),
        ]);
    }
    println!("{table}");
    Ok(())
}
