//! `tidings import list|undo|ask`: what was imported, taking it back, and asking those who came in unconfirmed.

use super::{
    Context,
    table::{minute, table},
};
use crate::audience::import::record;

/// How the list is printed.
#[derive(clap::Args)]
pub(super) struct ListArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Lists the imports, the latest first.
pub(super) async fn list(args: &ListArgs, ctx: &Context) -> anyhow::Result<()> {
    let db = ctx.db().await?;
    let imports = record::list(&mut *db.pool.acquire().await?).await?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&imports)?);
        return Ok(());
    }
    let mut table =
        table(["Import", "Began (UTC)", "File", "Topic", "State", "Rows", "New", "Changed", "Refused", "Left alone", "Confirmed because"]);
    for import in &imports {
        table.add_row([
            import.id.to_string(),
            minute(import.started_at),
            import.file.clone(),
            import.topic.clone().unwrap_or_default(),
            import.state.to_owned(),
            import.counts.rows.to_string(),
            import.counts.new.to_string(),
            import.counts.changed.to_string(),
            import.counts.refused.to_string(),
            import.counts.left_alone.to_string(),
            import.because.clone().unwrap_or_else(|| "(unconfirmed)".to_owned()),
        ]);
    }
    match imports.len() {
        0 => println!("No imports."),
        _ => println!("{table}"),
    }
    Ok(())
}
