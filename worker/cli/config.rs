//! `tidings config check`: the effective settings, secrets hidden, and what is missing before mail can be sent.

use super::Context;

/// What to do with the settings.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Print the effective settings with secrets hidden; unknown keys and bad values are named
    Check {
        /// Print JSON: `settings`, and `missing` before mail can be sent, if anything is
        #[arg(long)]
        json: bool,
    },
}

/// Loading has checked every key; what is left is to show them.
pub(crate) fn run(command: &Command, ctx: &Context) -> anyhow::Result<()> {
    let Command::Check { json } = command;
    if *json {
        let settings: toml::Table = toml::from_str(&ctx.config.shown())?;
        let missing = ctx.config.ready_to_send().err().map(|missing| missing.to_string());
        println!("{}", serde_json::to_string_pretty(&serde_json::json!({ "settings": settings, "missing": missing }))?);
        return Ok(());
    }
    println!("{}", ctx.config.shown());
    if let Err(missing) = ctx.config.ready_to_send() {
        eprintln!("note: {missing}");
    }
    Ok(())
}
