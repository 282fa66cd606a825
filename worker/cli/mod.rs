//! The operator's command line: one file for each command, all of them over the same functions as the web pages.
//!
//! Exit codes: 0 done, 1 it failed (a sentence on standard error), 2 the command line was wrong.

mod app;
mod article_outcome;
mod ask;
mod campaign;
mod completions;
mod config;
mod context;
mod delivery;
mod demo;
mod dkim;
mod entry;
mod export;
mod feed;
mod import_article;
mod import_feed;
mod import_record;
mod import_subscribers;
mod key;
mod keys;
mod logging;
mod man;
mod migrate;
mod moment;
mod offer;
mod opening;
mod pace;
mod program;
mod refusals;
mod relay;
mod serve;
mod subscriber;
mod suppress;
mod table;
mod template;
mod tip;
mod topic;
mod worker;

pub use context::Context;

use clap::{CommandFactory, Parser, Subcommand};
use std::{path::PathBuf, process::ExitCode};

/// Newsletters and email campaigns: articles become tips, one a week, and every mail is accounted for.
#[derive(Parser)]
#[command(name = "tidings", version, arg_required_else_help = true)]
struct Cli {
    /// A TOML file with settings; tidings.toml in this folder is read when there is one
    #[arg(long, global = true, value_name = "FILE", env = "TIDINGS_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Try it all on this machine: weeks of a campaign in seconds, with an inbox to look at
    Demo(demo::Args),
    /// Serve the pages, schedule and send, all in one process
    Serve(serve::Args),
    /// Plan what is due and send it
    Worker(worker::Args),
    /// Bring the database's schema up to date
    Migrate,
    /// Show and check the settings
    #[command(subcommand)]
    Config(config::Command),
    /// Make keys that sign mails
    #[command(subcommand)]
    Dkim(dkim::Command),
    /// The keys that sign links and hash addresses: list, add
    #[command(subcommand)]
    Keys(keys::Command),
    /// Templates of mails: list, copy, check
    #[command(subcommand)]
    Template(template::Command),
    /// Campaigns: create, watch, pause, resume, cancel, run
    #[command(subcommand)]
    Campaign(campaign::Command),
    /// People: add, list, show, export, prove, erase
    #[command(subcommand)]
    Subscriber(subscriber::Command),
    /// Addresses that must not be mailed: add, list, remove
    #[command(subcommand)]
    Suppress(suppress::Command),
    /// Topics: list them, describe them, open and close them
    #[command(subcommand)]
    Topic(topic::Command),
    /// Keys of the API: create, list, revoke
    #[command(subcommand)]
    Key(key::Command),
    /// Programs with a waitlist: create, list, show, edit, close
    #[command(subcommand)]
    Program(program::Command),
    /// Openings of a program: create, seats, close, report
    #[command(subcommand)]
    Opening(opening::Command),
    /// Those who wait for a program: list, prioritise, remove, readmit
    #[command(subcommand)]
    Entry(entry::Command),
    /// Offers of a seat: give one by hand, revoke one
    #[command(subcommand)]
    Offer(offer::Command),
    /// Relays: which there are, and which are down
    #[command(subcommand)]
    Relay(relay::Command),
    /// Single deliveries: list them, say what became of unconfirmed ones
    #[command(subcommand)]
    Delivery(delivery::Command),
    /// How fast relays and providers of recipients are given mail, and what backs off
    Pace(pace::Args),
    /// Feeds of articles: how each fares, and which are forgotten
    #[command(subcommand)]
    Feed(feed::Command),
    /// Import articles, feeds or subscribers; list and undo imports of subscribers
    #[command(subcommand)]
    Import(Import),
    /// Export subscribers
    #[command(subcommand)]
    Export(export::Command),
    /// Tips: list, show, approve, edit, retire, move
    #[command(subcommand)]
    Tip(tip::Command),
    /// Print what a shell needs to complete these commands
    Completions(completions::Args),
    /// Print the manual's page, or write those of all commands
    Man(man::Args),
}

#[derive(Subcommand)]
enum Import {
    /// Import articles: they become draft tips of a series
    Article(import_article::Args),
    /// Import what is new or changed in a feed: RSS, Atom, or an export of WordPress
    Feed(import_feed::Args),
    /// Import subscribers from a CSV file
    Subscribers(import_subscribers::Args),
    /// List the imports of subscribers
    List(import_record::ListArgs),
    /// Take an import of subscribers back; what they did themselves since stands
    Undo(import_record::UndoArgs),
    /// Ask those who came in unconfirmed, by a mail each, so many in an hour
    Ask(import_record::AskArgs),
}

/// The whole tree of commands.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the program and gives its exit code.
pub fn main() -> ExitCode {
    end_quietly_when_nobody_reads();
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("tidings: the runtime could not start: {e}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("tidings: {e:#}");
            ExitCode::FAILURE
        }
    }
}

// `tidings … | head` closes our output early; println! panics then, and a trace of the stack helps nobody.
fn end_quietly_when_nobody_reads() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let said = panic.payload().downcast_ref::<String>().map_or("", String::as_str);
        if said.starts_with("failed printing to stdout") && said.contains("Broken pipe") {
            std::process::exit(0);
        }
        before(panic);
    }));
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    match &cli.command {
        // These ask for no settings, and so are not kept back by wrong ones.
        Command::Dkim(command) => return dkim::run(command),
        Command::Completions(args) => return completions::run(args),
        Command::Man(args) => return man::run(args),
        _ => {}
    }
    if matches!(cli.command, Command::Demo(_)) {
        logging::start_quietly();
    }
    let ctx = Context::load(cli.config)?;
    match cli.command {
        Command::Demo(args) => demo::run(args, &ctx).await,
        Command::Serve(args) => serve::run(&args, &ctx).await,
        Command::Worker(args) => worker::run(&args, &ctx).await,
        Command::Relay(command) => relay::run(command, &ctx).await,
        Command::Delivery(command) => delivery::run(command, &ctx).await,
        Command::Migrate => migrate::run(&ctx).await,
        Command::Config(command) => config::run(&command, &ctx),
        Command::Dkim(_) | Command::Completions(_) | Command::Man(_) => Ok(()),
        Command::Keys(command) => keys::run(&command, &ctx).await,
        Command::Template(command) => template::run(&command, &ctx),
        Command::Campaign(command) => campaign::run(command, &ctx).await,
        Command::Subscriber(command) => subscriber::run(command, &ctx).await,
        Command::Suppress(command) => suppress::run(command, &ctx).await,
        Command::Topic(command) => topic::run(command, &ctx).await,
        Command::Key(command) => key::run(command, &ctx).await,
        Command::Program(command) => program::run(command, &ctx).await,
        Command::Opening(command) => opening::run(command, &ctx).await,
        Command::Entry(command) => entry::run(command, &ctx).await,
        Command::Offer(command) => offer::run(command, &ctx).await,
        Command::Import(Import::Article(args)) => import_article::run(args, &ctx).await,
        Command::Import(Import::Feed(args)) => import_feed::run(&args, &ctx).await,
        Command::Tip(command) => tip::run(command, &ctx).await,
        Command::Import(Import::Subscribers(args)) => import_subscribers::run(args, &ctx).await,
        Command::Import(Import::List(args)) => import_record::list(&args, &ctx).await,
        Command::Import(Import::Undo(args)) => import_record::undo(&args, &ctx).await,
        Command::Import(Import::Ask(args)) => import_record::ask(&args, &ctx).await,
        Command::Export(command) => export::run(command, &ctx).await,
        Command::Pace(args) => pace::run(&args, &ctx).await,
        Command::Feed(command) => feed::run(command, &ctx).await,
    }
}
