//! The demo: everything on this machine, from articles to an inbox, with a clock that is turned through weeks.
//!
//! Owns its data folder, the mail catcher, the sample articles and their subscribers. What is sent is sent by the real worker,
//! over real SMTP, out of a real Postgres; only the clock and the people are made up. Called by `cli`.

mod articles;
pub mod catcher;
mod dkim;
mod folder;
mod happenings;
mod http;
mod newcomers;
mod people;
mod screen;
mod stage;
mod summary;
mod waitlist;
mod weeks;

use crate::base::{clock::ManualClock, postgres::Fetch};
use anyhow::anyhow;
use folder::Folder;
use jiff::{SignedDuration, Timestamp};
use screen::Screen;
use stage::Stage;
use std::{path::PathBuf, time::Duration};
use tokio::{sync::watch, time::Instant};

/// The campaign that the demo turns.
const CAMPAIGN: &str = "weekly tips";
/// Its subscribers, where nobody says how many.
const SUBSCRIBERS: u32 = 300;

/// What the demo is asked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where its data are; none: in the user's data folder.
    pub folder: Option<PathBuf>,
    /// Where Postgres' programs are; none: searched.
    pub bin_folder: Option<PathBuf>,
    /// Whether npm may bring them.
    pub fetch: Fetch,
    /// How many weeks to turn the clock through.
    pub weeks: u32,
    /// How many subscribers there are to be; none: 300 at first, and no more later.
    pub subscribers: Option<u32>,
    /// Forget what is there and start over.
    pub fresh: bool,
    /// End when the weeks are over, instead of serving the inbox and the pages.
    pub once: bool,
    /// Print the summary as JSON, and nothing else on standard output.
    pub json: bool,
}

/// Plays the weeks, prints the summary and, unless it is to end by itself, serves inbox and pages until `stop` says true.
pub async fn run(options: &Options, now: Timestamp, stop: watch::Receiver<bool>) -> anyhow::Result<()> {
    let screen = Screen::new();
    let folder = Folder::open(options.folder.as_deref(), options.fresh, &screen).await?;
    screen.line(format_args!("data      {}", folder.path().display()));
    let stage = Stage::set(folder, options, now, &screen).await?;
    let mut ended = tokio::select! {
        played = play(&stage, options, &screen) => played,
        () = told(stop.clone()) => Err(anyhow!("ended before the weeks were over: run it again, and it goes on where it was")),
        trouble = stage.trouble() => Err(trouble),
    };
    if ended.is_ok() && !options.once {
        ended = tokio::select! {
            () = told(stop) => Ok(()),
            trouble = stage.trouble() => Err(trouble),
            never = run_on(&stage.clock) => never,
        };
    }
    let cleared = stage.clear().await;
    ended.and(cleared)
}

async fn play(stage: &Stage, options: &Options, screen: &Screen) -> anyhow::Result<()> {
    people::gather(stage, options.subscribers, screen).await?;
    weeks::turn(stage, options.weeks, screen).await?;
    if options.weeks > 0 {
        waitlist::fill(stage, screen).await?;
    }
    summary::print(stage, options.json, options.once).await
}

/// From the last turn on the clock goes as fast as any, so that what is done on the pages has its time.
async fn run_on(clock: &ManualClock) -> anyhow::Result<()> {
    let mut before = Instant::now();
    loop {
        // The beat of the demo's clock.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = Instant::now();
        clock.advance(SignedDuration::try_from(now - before)?);
        before = now;
    }
}

async fn told(mut stop: watch::Receiver<bool>) {
    // Err: whoever could tell is gone, and nobody ends the demo any more but the system.
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending().await
    }
}
