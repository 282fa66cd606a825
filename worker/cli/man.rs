//! `tidings man`: the manual's pages, one for each command, made out of the same tree that reads the command line.

use anyhow::Context as _;
use clap::Command;
use clap_mangen::Man;
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Which pages, and where to.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Write a page for each command into this folder, such as ~/.local/share/man/man1; without it tidings' own page is printed
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    // A page for `tidings help campaign` would say what that for `tidings campaign` says.
    let mut root = super::command().disable_help_subcommand(true);
    root.build();
    let Some(folder) = &args.to else { return super::table::unless_unread(print(&page(&root)?)) };
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made: expected a folder for the pages", folder.display()))?;
    let written = write(&root, folder)?;
    super::table::unless_unread(print(format!("Wrote {written} pages into {}.\n", folder.display()).as_bytes()))
}

/// Writes to standard output.
pub(super) fn print(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    Ok(out.flush()?)
}

fn write(command: &Command, folder: &Path) -> anyhow::Result<usize> {
    let path = folder.join(format!("{}.1", command.get_display_name().unwrap_or_else(|| command.get_name())));
    fs::write(&path, page(command)?).with_context(|| format!("{} cannot be written", path.display()))?;
    command.get_subcommands().try_fold(1, |written, sub| Ok(written + write(sub, folder)?))
}

fn page(command: &Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command.clone()).source(concat!("tidings ", env!("CARGO_PKG_VERSION"))).manual("Tidings").render(&mut page)?;
    Ok(page)
}
