//! `tidings serve`: web pages, scheduler and worker in one process.

use super::{Context, app};
use crate::{
    base::{config::Config, database, postgres},
    jobs, web,
};
use anyhow::Context as _;
use std::path::PathBuf;
use tokio::net::TcpListener;

/// What to serve from.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Run a Postgres of its own, with its data in database.data_folder, instead of DATABASE_URL's
    #[arg(long)]
    embedded: bool,
}

pub(super) async fn run(args: &Args, ctx: &Context) -> anyhow::Result<()> {
    let embedded = match args.embedded {
        true => Some(start_embedded(ctx).await?),
        false => None,
    };
    let db = ctx.db().await?;
    let app = app::app(ctx, db.clone()).await?;
    let stop = app::stop_signal()?;

    let at = (ctx.config.web.host.as_str(), ctx.config.web.port);
    let listener = TcpListener::bind(at)
        .await
        .with_context(|| format!("cannot listen on {}:{}: is the port taken? set PORT or web.port", at.0, at.1))?;
    eprintln!("tidings serves http://{}", listener.local_addr()?);
    let pages = web::Web::new(db, app.setup.keyring.clone(), &ctx.config, ctx.clock.clone())?;
    let mut web_stop = stop.clone();
    let serving = tokio::spawn(web::serve(listener, pages, async move {
        let _ = web_stop.wait_for(|stop| *stop).await;
    }));
    let worked = match &embedded {
        None => jobs::run(app, stop).await,
        Some(server) => tokio::select! {
            worked = jobs::run(app, stop) => worked,
            gone = server.gone() => Err(gone.into()),
        },
    };
    serving.abort();
    if let Some(server) = embedded {
        server.stop().await;
    }
    worked
}

/// Starts the embedded Postgres of the settings and makes its database the one of this run.
async fn start_embedded(ctx: &Context) -> anyhow::Result<postgres::EmbeddedPostgres> {
    let folder = match ctx.config.database.data_folder.as_str() {
        "" => Config::user_data("postgres")?,
        folder => PathBuf::from(folder),
    };
    let bin_folder = Some(&ctx.config.database.bin_folder).filter(|b| !b.is_empty()).map(PathBuf::from);
    let options = postgres::Options { bin_folder, fetch: ctx.config.database.fetch, ..postgres::Options::default() };
    let server = postgres::EmbeddedPostgres::start(&folder, &options).await?;
    if let Some(wanted) = server.moved_from() {
        eprintln!("note: Postgres cannot work in {}: its data is in {}", wanted.display(), server.folder().display());
    }
    server.ensure_database("tidings").await?;
    ctx.use_db(database::connect(&server.url("tidings"), ctx.config.database.connections).await?);
    Ok(server)
}
