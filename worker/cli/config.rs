//! `tidings config check`: the effective settings, secrets hidden, and what is missing before mail can be sent.

use super::Context;

/// What to do with the settings.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Print the effective settings with secrets hidden; unknown keys and bad values are named
    Check,
}

/// Loading has checked every key; what is left is to show them.
pub(crate) fn run(command: &Command, ctx: &Context) -> anyhow::Result<()> {
    let Command::Check = command;
    println!("{}", ctx.config.shown());
    if let Err(missing) = ctx.config.ready_to_send() {
        eprintln!("note: {missing}");
    }
    Ok(())
}
