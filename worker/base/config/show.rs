//! The effective settings as TOML for an operator's eyes: every key, secrets hidden; it loads again.

use super::{Config, Disposable, Rate};
use jiff::civil::Date;
use secrecy::ExposeSecret;
use std::fmt::Write;

#[expect(clippy::too_many_lines, reason = "one line for each key")]
pub(super) fn shown(config: &Config) -> String {
    let mut out = String::new();
    let text = |value: &str| toml::Value::from(value).to_string();
    let time = |value: std::time::Duration| text(&format!("{:#}", jiff::SignedDuration::try_from(value).unwrap_or_default()));
    let mut section = |name: &str, keys: &[(&str, String)]| {
        let _ = writeln!(out, "[{name}]");
        for (key, value) in keys {
            let _ = writeln!(out, "{key} = {value}");
        }
        out.push('\n');
    };
    let c = config;
    section(
        "site",
        &[
            ("url", text(&c.site.url)),
            ("name", text(&c.site.name)),
            ("postal_address", text(&c.site.postal_address)),
            ("disclaimer", text(&c.site.disclaimer)),
            ("colour", text(&c.site.colour)),
            ("language", text(&c.site.language)),
            ("languages", toml::Value::from(c.site.languages.clone()).to_string()),
            ("logo", text(&c.site.logo)),
        ],
    );
    section("mail", &[("from", text(&c.mail.from)), ("return_path", text(&c.mail.return_path)), ("helo", text(&c.mail.helo))]);
    section(
        "database",
        &[
            ("url", text(&without_password(c.database.url.expose_secret()))),
            ("connections", c.database.connections.to_string()),
            ("bin_folder", text(&c.database.bin_folder)),
            ("fetch", text(c.database.fetch.as_str())),
            ("data_folder", text(&c.database.data_folder)),
        ],
    );
    let proxies = toml::Value::from(c.web.trusted_proxies.clone()).to_string();
    section("web", &[("host", text(&c.web.host)), ("port", c.web.port.to_string()), ("trusted_proxies", proxies)]);
    let keys = c.key_file().map(|p| p.display().to_string()).unwrap_or_default();
    section("keys", &[("file", text(&keys))]);
    section("templates", &[("folder", text(&c.templates.folder))]);
    section(
        "signup",
        &[
            ("minimum_fill", time(c.signup.minimum_fill)),
            ("expires", time(c.signup.expires)),
            ("remind_after", time(c.signup.remind_after)),
            ("keep_unconfirmed", time(c.signup.keep_unconfirmed)),
            ("mails_per_day", c.signup.mails_per_day.to_string()),
            ("mails_per_quarter", c.signup.mails_per_quarter.to_string()),
            ("host_per_hour", c.signup.host_per_hour.to_string()),
            ("network_per_hour", c.signup.network_per_hour.to_string()),
            ("key_per_hour", c.signup.key_per_hour.to_string()),
            ("all_per_hour", c.signup.all_per_hour.to_string()),
            ("disposable", text(if c.signup.disposable == Disposable::Refuse { "refuse" } else { "warn" })),
            ("stage_question", text(&c.signup.stage_question)),
        ],
    );
    section("retention", &[("deliveries", time(c.retention.deliveries))]);
    for (name, relay) in &c.relays {
        let mut keys = vec![
            ("url", text(&without_password(relay.url.expose_secret()))),
            ("connections", relay.connections.to_string()),
            ("weight", relay.weight.to_string()),
            ("priority", relay.priority.to_string()),
            ("topics", toml::Value::from(relay.topics.clone()).to_string()),
            ("transactional", relay.transactional.to_string()),
            ("only", relay.only.to_string()),
            ("fall_back", relay.fall_back.to_string()),
        ];
        keys.extend(relay.messages_per_connection.map(|messages| ("messages_per_connection", messages.to_string())));
        keys.extend(pace(relay.rate, &relay.warm_up, relay.warm_up_from));
        section(&format!("relays.{name}"), &keys);
    }
    for (name, group) in &c.pace {
        let mut keys = Vec::new();
        if !group.domains.is_empty() {
            keys.push(("domains", toml::Value::from(group.domains.clone()).to_string()));
        }
        keys.extend(group.connections.map(|connections| ("connections", connections.to_string())));
        keys.extend(pace(group.rate, &group.warm_up, group.warm_up_from));
        section(&format!("pace.{name}"), &keys);
    }
    section(
        "delivery",
        &[
            ("pretend", c.delivery.pretend.to_string()),
            ("lease", time(c.delivery.lease)),
            ("deadline", time(c.delivery.deadline)),
            ("tolerance", time(c.delivery.tolerance)),
            ("first_retry", time(c.delivery.first_retry)),
            ("last_retry", time(c.delivery.last_retry)),
            ("messages_per_connection", c.delivery.messages_per_connection.to_string()),
            ("claim", c.delivery.claim.to_string()),
            ("failure_rate", c.delivery.failure_rate.to_string()),
            ("slow_database", time(c.delivery.slow_database)),
        ],
    );
    section(
        "dkim",
        &[
            ("domain", text(&c.dkim.domain)),
            ("selector", text(&c.dkim.selector)),
            ("key_file", text(&c.dkim.key_file)),
            ("ed25519_selector", text(&c.dkim.ed25519_selector)),
            ("ed25519_key_file", text(&c.dkim.ed25519_key_file)),
        ],
    );
    for (name, feed) in &c.feeds {
        section(
            &format!("feeds.{name}"),
            &[
                ("url", text(&feed.url)),
                ("series", text(&feed.series)),
                ("cron", text(&feed.cron)),
                ("zone", text(&feed.zone)),
                ("approve", feed.approve.to_string()),
            ],
        );
    }
    section(
        "fetch",
        &[
            ("megabytes", c.fetch.megabytes.to_string()),
            ("connect_timeout", time(c.fetch.connect_timeout)),
            ("timeout", time(c.fetch.timeout)),
        ],
    );
    section(
        "jobs",
        &[
            ("sweep", text(&c.jobs.sweep)),
            ("prune", text(&c.jobs.prune)),
            ("partitions", text(&c.jobs.partitions)),
            ("keep_jobs", time(c.jobs.keep_jobs)),
        ],
    );
    section("log", &[("format", text(&c.log.format))]);
    out.trim_end().to_owned()
}

// Only what is set: without it there is no limit.
fn pace(rate: Option<Rate>, warm_up: &[u32], from: Option<Date>) -> Vec<(&'static str, String)> {
    let text = |value: String| toml::Value::from(value).to_string();
    let plan = (!warm_up.is_empty()).then(|| ("warm_up", format!("{warm_up:?}")));
    let rate = rate.map(|rate| ("rate", text(rate.to_string())));
    rate.into_iter().chain(plan).chain(from.map(|from| ("warm_up_from", text(from.to_string())))).collect()
}

// user:password@ becomes user:***@; the last @ before the path ends the credentials.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let hidden = match rest[..end].rsplit_once('@') {
        Some((credentials, host)) => {
            let user = credentials.split(':').next().unwrap_or_default();
            format!("{user}:***@{host}{}", &rest[end..])
        }
        None => rest.to_owned(),
    };
    match hidden.split_once('?') {
        Some((before, query)) if query.contains("password") => format!("{scheme}://{before}?***"),
        _ => format!("{scheme}://{hidden}"),
    }
}
