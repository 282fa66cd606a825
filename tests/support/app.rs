//! `TestApp`: the application on a database of its own, with a clock turned by hand and dice that always fall the same way.
//!
//! Owns its database, its folder and its keys; they go with it. Dropping it fails a test that left deliveries in a worker's hands.

use std::collections::HashMap;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use tidings::base::clock::{Clock, ManualClock};
use tidings::base::config::Config;
use tidings::base::database::{self, Db};
use tidings::base::keys::Keyring;

use super::databases::TestDatabase;

/// A Monday morning, a week without a change of the clocks anywhere.
const BEGINNING: &str = "2026-01-12T06:00:00Z";
const CONNECTIONS: u32 = 20;

/// The application as a test sees it.
pub(crate) struct TestApp {
    /// Its migrated database.
    pub(crate) db: Db,
    /// Its clock, which stands still until the test turns it.
    pub(crate) clock: ManualClock,
    /// The settings, those of the defaults but for the names of example.org.
    pub(crate) config: Config,
    /// Its keys, the same in every run.
    pub(crate) keyring: Keyring,
    database: TestDatabase,
    folder: tempfile::TempDir,
    may_leave_work: bool,
}

impl TestApp {
    /// An application on a fresh database, at a Monday morning.
    pub(crate) async fn new() -> TestApp {
        TestApp::at(BEGINNING).await
    }

    /// An application whose clock shows `instant` (RFC 3339).
    pub(crate) async fn at(instant: &str) -> TestApp {
        TestApp::with(instant, &[]).await
    }

    /// An application with settings of its own, by their names in the environment (`TIDINGS_DELIVERY__LEASE`).
    pub(crate) async fn with(instant: &str, settings: &[(&str, &str)]) -> TestApp {
        let database = TestDatabase::new().await;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let environment = environment(&database.url, folder.path(), settings);
        TestApp {
            db: database::connect(&database.url, CONNECTIONS).await.expect("the test's database"),
            clock: ManualClock::new(instant.parse().expect("an instant")),
            config: Config::load(None, &environment).expect("settings"),
            keyring: Keyring::of_secret([7; 32]),
            database,
            folder,
            may_leave_work: false,
        }
    }

    /// The instant that the clock shows.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Turns the clock on.
    pub(crate) fn wait(&self, by: SignedDuration) {
        self.clock.advance(by);
    }

    /// Dice seeded by a name: the same throws in every run, others for every name.
    pub(crate) fn dice(&self, name: &str) -> ChaCha8Rng {
        let mut seed = [0; 32];
        seed.iter_mut().zip(name.bytes()).for_each(|(place, byte)| *place = byte);
        ChaCha8Rng::from_seed(seed)
    }

    /// The address of its database, for a second process or a connection of one's own.
    pub(crate) fn database_url(&self) -> &str {
        &self.database.url
    }

    /// A folder that goes with the application.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The real binary on this database and nothing else of this process's environment but PATH.
    pub(crate) fn binary(&self) -> assert_cmd::Command {
        let mut command = assert_cmd::Command::from_std(self.process());
        command.timeout(std::time::Duration::from_secs(120));
        command
    }

    /// The same, for tests that let it run and kill it.
    pub(crate) fn process(&self) -> std::process::Command {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tidings"));
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.envs(environment(&self.database.url, self.folder.path(), &[])).current_dir(self.folder.path());
        command
    }

    /// For tests that kill a worker: that deliveries are left in its hands is what they look at.
    pub(crate) fn may_leave_work(&mut self) {
        self.may_leave_work = true;
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        let undone = self.database.end();
        if !std::thread::panicking() && !self.may_leave_work {
            assert!(undone.is_empty(), "work was left undone: {}", undone.join(", "));
        }
    }
}

fn environment(url: &str, folder: &Path, settings: &[(&str, &str)]) -> HashMap<String, String> {
    let key_file = folder.join("keys").display().to_string();
    let ours = [
        ("DATABASE_URL", url),
        ("TIDINGS_KEYS__FILE", &key_file),
        ("TIDINGS_SITE__URL", "https://tips.example.org"),
        ("TIDINGS_SITE__NAME", "Example Press"),
        ("TIDINGS_SITE__POSTAL_ADDRESS", "1 Example Street, Exampleton"),
        ("TIDINGS_MAIL__FROM", "Example Press <tips@example.org>"),
    ];
    ours.iter().chain(settings).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}
