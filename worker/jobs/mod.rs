//! Waking the workers: apalis carries a few coarse jobs, cron lines drive the fixed ticks, and a worker process is all of it
//! together with the pump.
//!
//! `queue` wires apalis and supervises it, `tick` enqueues what the clock demands, `process` is a worker's life; each job has a
//! small function here or a file of its own. A job may run twice, late or in two places: what is to be done stands in our tables.

mod feeds;
mod process;
mod prune;
mod queue;
mod sweep;
mod tick;

pub use process::{is_idle, run, run_until_idle};
pub use sweep::{plan, sweep};

use crate::{
    base::{address::EmailAddress, clock::Clock, config::Config, database::Db, fetch::reach::Reach, keys::Keyring, wake::Job},
    delivery::{
        dkim::Signer,
        message::Mailbox,
        pace::Pace,
        pump::{Bell, Outlet, Setup},
        relay::{Relay, RelayUrl},
        versions::Versions,
    },
    people,
    signup::{self, Desk},
    waitlist,
};
use anyhow::Context;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use secrecy::ExposeSecret;
use std::sync::{Arc, Mutex, Once};

static SIGNING: Once = Once::new();

/// What the jobs and the pump of one process share.
#[derive(Debug, Clone)]
pub struct App {
    /// The settings.
    pub config: Arc<Config>,
    /// The pump's surroundings: database, clock, keys, relays.
    pub setup: Arc<Setup>,
    /// Wakes the pump's feeder.
    pub bell: Bell,
    /// Where feeds may be fetched from.
    pub reach: Reach,
    rota: Arc<feeds::Rota>,
}

impl App {
    /// Everything that sending needs, from the settings; an error names the setting that is missing or wrong.
    pub fn new(config: Arc<Config>, db: Db, keyring: Keyring, clock: Arc<dyn Clock>, seed: [u8; 32]) -> anyhow::Result<Self> {
        config.ready_to_send()?;
        let outlets = outlets(&config)?;
        let app = Self::with_outlets(config, db, keyring, clock, seed, outlets)?;
        warn_of_signing(&app.setup);
        Ok(app)
    }

    /// The same with relays made by the caller.
    pub fn with_outlets(
        config: Arc<Config>,
        db: Db,
        keyring: Keyring,
        clock: Arc<dyn Clock>,
        seed: [u8; 32],
        outlets: Vec<Arc<Outlet>>,
    ) -> anyhow::Result<Self> {
        let from = Mailbox::parse(&config.mail.from)
            .context("mail.from (TIDINGS_MAIL__FROM) says whom mails come from, such as `Example Press <tips@example.org>`")?;
        let return_path = match config.mail.return_path.as_str() {
            "" => from.address.clone(),
            address => EmailAddress::parse(address).context("mail.return_path")?,
        };
        let signer = Signer::from_config(&config.dkim)?;
        let setup = Setup {
            db,
            clock,
            keyring,
            delivery: config.delivery.clone(),
            site_url: config.site.url.clone(),
            from,
            return_path,
            templates: Versions::of(&config)?,
            signer,
            outlets,
            pace: Pace::new(&config),
            random: Mutex::new(ChaCha8Rng::from_seed(seed)),
            name: format!("{}-{}", host(), std::process::id()),
        };
        let rota = Arc::new(feeds::Rota::new(&config));
        Ok(Self { config, setup: Arc::new(setup), bell: Bell::default(), reach: Reach::public(), rota })
    }

    /// What sign-ups are tended with.
    fn desk(&self) -> Desk<'_> {
        Desk { pool: &self.setup.db.pool, keyring: &self.setup.keyring, rules: &self.config.signup, publisher: &self.config.site.name }
    }
}

// Once: a process that makes several of these would say it several times.
fn warn_of_signing(setup: &Setup) {
    let domain = setup.from.address.domain();
    SIGNING.call_once(|| match &setup.signer {
        None => tracing::warn!("mails go unsigned: set dkim.domain, dkim.selector and dkim.key_file (`tidings dkim new` makes a key)"),
        Some(signer) if !signer.is_aligned(domain) => tracing::warn!(
            "dkim.domain `{}` is not aligned with the domain of mail.from, `{domain}`: receivers' DMARC checks will not count the signature",
            signer.domain()
        ),
        Some(_) => {}
    });
}

fn outlets(config: &Config) -> anyhow::Result<Vec<Arc<Outlet>>> {
    let helo = match config.mail.helo.as_str() {
        "" => host(),
        name => name.to_owned(),
    };
    let outlet = |(name, relay): (&String, &crate::base::config::Relay)| {
        let url = RelayUrl::parse(relay.url.expose_secret()).with_context(|| format!("relays.{name}.url"))?;
        let made = Relay::new(&url, &helo).with_context(|| format!("relays.{name}.url"))?;
        Ok(Arc::new(Outlet::of(name, made, relay)))
    };
    config.relays.iter().map(outlet).collect()
}

fn host() -> String {
    gethostname::gethostname().to_string_lossy().into_owned()
}

/// Does one job. Errors are for the log: what a job leaves undone, the next sweep finds again.
pub async fn handle(app: &App, job: Job) -> anyhow::Result<()> {
    let now = app.setup.clock.now();
    let pool = &app.setup.db.pool;
    match job {
        Job::Sweep => sweep(app).await?,
        Job::PlanEdition { edition_id } => sweep::plan(app, edition_id).await?,
        Job::Send => app.bell.ring(),
        Job::SuppressRefused { period, delivery_id } => {
            people::stop::refused(pool, &app.setup.keyring, period, delivery_id, now).await?;
        }
        Job::AdvanceWaitlist { program_id } => sweep::advance_waitlist(app, program_id).await?,
        Job::ImportFeeds => feeds::bring_in(app).await?,
        Job::Prune => {
            prune::prune(app, now).await?;
            // What nobody confirmed on a waitlist first: whoever asked for nothing else is forgotten with it.
            let kept = jiff::SignedDuration::try_from(app.config.signup.keep_unconfirmed)?;
            waitlist::entry::forget_unconfirmed(&mut *pool.acquire().await?, now - kept, now).await?;
            signup::tend::prune(&app.desk(), now).await?;
        }
        Job::Partitions => sweep::partitions(app).await?,
    }
    Ok(())
}
