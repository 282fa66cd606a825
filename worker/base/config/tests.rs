use super::*;

fn load(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::load(None, &variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
}

#[test]
fn the_defaults_are_complete_and_valid() {
    let config = load(&[]).unwrap();
    assert_eq!(config.delivery.lease, Duration::from_secs(30));
    assert_eq!(config.jobs.keep_jobs, Duration::from_secs(7 * 86_400));
}

#[test]
fn the_environment_sets_keys_and_names_what_it_does_not_know() {
    let config = load(&[
        ("TIDINGS_RELAYS__MAIN__URL", "smtp://u:0123@relay.example.org:587?tls=required"),
        ("TIDINGS_RELAYS__MAIN__CONNECTIONS", "3"),
        ("TIDINGS_SITE__NAME", "007"),
        ("PORT", "9000"),
        ("TIDINGS_DELIVERY__LEASE", "2s"),
    ])
    .unwrap();
    assert_eq!(config.relays["main"].connections, 3);
    assert_eq!((config.site.name.as_str(), config.web.port), ("007", 9000));
    let shown = config.shown();
    assert!(shown.contains("smtp://u:***@relay.example.org:587") && !shown.contains("0123"), "{shown}");
    let error = load(&[("TIDINGS_SITE__NAEM", "x")]).unwrap_err().to_string();
    assert!(error.contains("naem"), "{error}");
    let error = load(&[("TIDINGS_DELIVERY__LEASE", "soon")]).unwrap_err().to_string();
    assert!(error.contains("soon"), "{error}");
}

#[test]
fn proxies_are_listed_in_a_file_or_a_variable_and_one_that_is_no_network_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "[web]\ntrusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]\n").unwrap();
    assert_eq!(Config::load(Some(file.path()), &HashMap::new()).unwrap().web.trusted_proxies, ["127.0.0.1", "10.0.0.0/8"]);
    assert_eq!(load(&[("TIDINGS_WEB__TRUSTED_PROXIES", "127.0.0.1, ::1")]).unwrap().web.trusted_proxies, ["127.0.0.1", "::1"]);
    assert!(load(&[("TIDINGS_WEB__TRUSTED_PROXIES", "")]).unwrap().web.trusted_proxies.is_empty());
    let error = load(&[("TIDINGS_WEB__TRUSTED_PROXIES", "127.0.0.1,10.0.0.0/99")]).unwrap_err().to_string();
    assert!(error.contains("web.trusted_proxies") && error.contains("`10.0.0.0/99`"), "{error}");
}

#[test]
fn a_relay_that_mails_nobody_is_refused_unless_allowed() {
    assert!(load(&[("TIDINGS_RELAYS__MAIN__URL", "memory:")]).is_err());
    assert!(load(&[("TIDINGS_RELAYS__MAIN__URL", "memory:"), ("TIDINGS_DELIVERY__PRETEND", "true")]).is_ok());
}

#[test]
fn relays_have_weights_priorities_and_pins_and_what_is_wrong_with_one_is_named() {
    let good = [
        ("TIDINGS_RELAYS__MAIN__URL", "smtp://127.0.0.1:25"),
        ("TIDINGS_RELAYS__NEWS__URL", "smtp://127.0.0.1:26"),
        ("TIDINGS_RELAYS__NEWS__TOPICS", "news, back-care"),
        ("TIDINGS_RELAYS__NEWS__WEIGHT", "3"),
        ("TIDINGS_RELAYS__NEWS__ONLY", "true"),
        ("TIDINGS_RELAYS__NEWS__MESSAGES_PER_CONNECTION", "50"),
    ];
    let config = load(&good).unwrap();
    let (main, news) = (&config.relays["main"], &config.relays["news"]);
    assert_eq!((main.weight, main.priority, main.connections, main.has_pins()), (1, 0, 10, false));
    assert_eq!((news.weight, news.only, news.messages_per_connection), (3, true, Some(50)));
    assert_eq!(news.topics, ["news", "back-care"]);
    let wrong = |key: &str, value: &str| load(&[&good[..], &[(key, value)]].concat()).unwrap_err().to_string();
    assert!(wrong("TIDINGS_RELAYS__MAIN__WEIGHT", "0").contains("relays.main.weight: it must be from 1 to 1000"));
    assert!(wrong("TIDINGS_RELAYS__MAIN__ONLY", "true").contains("relays.main.only: nothing is pinned to this relay"));
    assert!(wrong("TIDINGS_RELAYS__MAIN__FALL_BACK", "true").contains("relays.main.fall_back: nothing is pinned"));
    assert!(wrong("TIDINGS_RELAYS__MAIN__CONNECTIONS", "0").contains("relays.main.connections"));
    assert!(wrong("TIDINGS_RELAYS__NEWS__MESSAGES_PER_CONNECTION", "0").contains("relays.news.messages_per_connection"));
    assert!(wrong("TIDINGS_RELAYS__NEWS__TOPICS", "back care").contains("`back care` is no topic's slug"));
    assert!(wrong("TIDINGS_RELAYS__NEWS__WIEGHT", "2").contains("wieght"));
    assert!(wrong("TIDINGS_DELIVERY__FAILURE_RATE", "101").contains("delivery.failure_rate"));
    let all = load(&[&good[1..], &[("TIDINGS_RELAYS__NEWS__TRANSACTIONAL", "true")]].concat()).unwrap_err().to_string();
    assert!(all.contains("take `only` out of one"), "{all}");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), config.shown()).unwrap();
    assert_eq!(Config::load(Some(file.path()), &HashMap::new()).unwrap().shown(), config.shown());
}

#[test]
fn mail_is_not_sent_with_links_that_are_neither_https_nor_loopback() {
    let ready = |url| {
        load(&[
            ("TIDINGS_SITE__URL", url),
            ("TIDINGS_SITE__NAME", "n"),
            ("TIDINGS_SITE__POSTAL_ADDRESS", "p"),
            ("TIDINGS_MAIL__FROM", "a@example.org"),
            ("TIDINGS_RELAYS__MAIN__URL", "smtp://127.0.0.1:25"),
        ])
        .unwrap()
        .ready_to_send()
    };
    for good in ["https://news.example.org", "http://127.0.0.1:8080", "http://localhost", "http://[::1]:80"] {
        assert!(ready(good).is_ok(), "{good}");
    }
    for bad in ["http://news.example.org", "http://127.0.0.1.example.org", "http://localhost.example.org:80"] {
        assert!(ready(bad).unwrap_err().to_string().contains("https://"), "{bad}");
    }
}

#[test]
fn what_is_shown_loads_again() {
    let config = load(&[("TIDINGS_SITE__NAME", "A \"quoted\" name")]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shown.toml");
    std::fs::write(&file, config.shown()).unwrap();
    let again = Config::load(Some(&file), &HashMap::new()).unwrap();
    assert_eq!(again.shown(), config.shown());
}

#[test]
fn feeds_are_named_in_a_file_or_by_variables_and_one_that_is_wrong_is_named() {
    let config = load(&[
        ("TIDINGS_FEEDS__MY_BLOG__URL", "https://example.org/feed.xml"),
        ("TIDINGS_FEEDS__MY_BLOG__CRON", "30 6 * * 1-5"),
        ("TIDINGS_FEEDS__MY_BLOG__APPROVE", "true"),
    ])
    .unwrap();
    let feed = &config.feeds["my_blog"];
    assert_eq!((feed.zone.as_str(), feed.series.as_str(), feed.approve), ("UTC", "", true));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shown.toml");
    std::fs::write(&file, config.shown()).unwrap();
    assert_eq!(Config::load(Some(&file), &HashMap::new()).unwrap().feeds, config.feeds);

    let wrong = |changes: &[(&str, &str)]| {
        let good = [("TIDINGS_FEEDS__A__URL", "https://example.org/feed.xml"), ("TIDINGS_FEEDS__A__CRON", "0 6 * * *")];
        load(&[&good, changes].concat()).unwrap_err().to_string()
    };
    assert!(wrong(&[("TIDINGS_FEEDS__A__URL", "http://example.org/")]).contains("feeds.a.url: `http://example.org/` is not https"));
    assert!(wrong(&[("TIDINGS_FEEDS__A__CRON", "0 6 * *")]).contains("feeds.a.cron: cron line `0 6 * *` has 4 fields"));
    assert!(wrong(&[("TIDINGS_FEEDS__A__ZONE", "Europe/Londn")]).contains("feeds.a.zone: `Europe/Londn` is no time zone"));
    assert!(wrong(&[("TIDINGS_FEEDS__A__WHEN", "now")]).contains("when"));
    assert!(wrong(&[("TIDINGS_FETCH__TIMEOUT", "1h")]).contains("fetch.timeout: it must be 300 s or less"));
    let twice = wrong(&[("TIDINGS_FEEDS__B__URL", "https://EXAMPLE.org:443/feed.xml"), ("TIDINGS_FEEDS__B__CRON", "0 7 * * *")]);
    assert!(twice.contains("feeds.b.url: feeds.a brings the same feed"), "{twice}");
}

#[test]
fn the_pace_is_read_from_a_file_or_variables_comes_back_and_what_is_wrong_is_named() {
    let config = load(&[
        ("TIDINGS_RELAYS__MAIN__URL", "smtp://relay.example.org"),
        ("TIDINGS_RELAYS__MAIN__RATE", "1000/h"),
        ("TIDINGS_RELAYS__MAIN__WARM_UP", "500, 1000,2000"),
        ("TIDINGS_RELAYS__MAIN__WARM_UP_FROM", "2026-12-01"),
        ("TIDINGS_PACE__GMAIL__RATE", "20/s"),
        ("TIDINGS_PACE__GMAIL__CONNECTIONS", "4"),
        ("TIDINGS_PACE__DEFAULT__RATE", "60/m"),
    ])
    .unwrap();
    assert_eq!(config.pace["gmail"].domains, ["gmail.com", "googlemail.com"], "the domains are those of the defaults");
    assert_eq!(config.pace["gmail"].rate, Some(Rate { mails: 20, seconds: 1 }));
    assert_eq!(config.relays["main"].warm_up, [500, 1000, 2000]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), config.shown()).unwrap();
    let again = Config::load(Some(file.path()), &HashMap::new()).unwrap();
    assert_eq!((&again.pace, again.shown()), (&config.pace, config.shown()));

    let wrong = |changes: &[(&str, &str)]| load(changes).unwrap_err().to_string();
    for (key, value, says) in [
        ("TIDINGS_PACE__GMAIL__RATE", "fast", "`fast` is not a rate such as 20/s"),
        ("TIDINGS_PACE__GMAIL__RATE", "0/s", "`0/s` is not a rate"),
        ("TIDINGS_PACE__GMAIL__RATES", "1/s", "rates"),
        ("TIDINGS_PACE__GMAIL__CONNECTIONS", "0", "pace.gmail.connections: it must be 1 or more"),
        ("TIDINGS_PACE__GMAIL__WARM_UP", "500", "pace.gmail.warm_up_from: the plan needs its first day"),
        ("TIDINGS_PACE__GMAIL__WARM_UP_FROM", "2026-12-01", "pace.gmail.warm_up: there is a first day and no plan"),
        ("TIDINGS_PACE__GMAIL__WARM_UP_FROM", "soon", "`soon` is not a day"),
        ("TIDINGS_PACE__GMAIL__WARM_UP", "5, many", "`many` is not a number of mails"),
        ("TIDINGS_PACE__MINE__DOMAINS", "gmail.com", "`gmail.com` is in pace.gmail too"),
        ("TIDINGS_PACE__MINE__DOMAINS", "a.example,A.example", "`A.example` is named twice"),
        ("TIDINGS_PACE__MINE__DOMAINS", "not a domain", "`not a domain` is no domain"),
        ("TIDINGS_PACE__MINE__RATE", "1/s", "pace.mine.domains: it names no domains"),
        ("TIDINGS_PACE__DEFAULT__DOMAINS", "example.com", "pace.default.domains: this group is for each domain"),
    ] {
        let error = wrong(&[(key, value)]);
        assert!(error.contains(says), "{key}={value}: {error}");
    }
}
