//! `tidings completions`: what a shell needs to complete the commands, made out of the same tree that reads them.

use clap_complete::Shell;

/// For which shell.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The shell that is to complete
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "tidings", &mut script);
    super::table::unless_unread(super::man::print(&script))
}
