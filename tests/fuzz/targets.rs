//! The targets: readers of articles, the segmenter, CSV, tokens, templates, replies of relays, addresses.
//!
//! Reports of bounces and of complaints get theirs when Tidings reads them. Called by the story of the seeds.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;

use tidings::audience::csv::Rows;
use tidings::audience::import::{Map, Table};
use tidings::base::address::EmailAddress;
use tidings::base::cron_line::CronLine;
use tidings::base::keys::Keyring;
use tidings::base::token::{Purpose, unsubscribe, verify_id, verify_unsubscribe};
use tidings::campaigns::schedule::Rule;
use tidings::content::{self, Format, Hints, Settings};
use tidings::delivery::render::{Files, Origin, Templates, files, samples};
use tidings::delivery::reply::{KEPT, Phase, Reply, outcome, recorded};

/// A target: whatever the bytes are, it comes back.
pub(crate) type Target = fn(&[u8]);

/// All of them by name.
pub(crate) const TARGETS: [(&str, Target); 7] = [
    ("articles", articles),
    ("segments", segments),
    ("csv", csv),
    ("tokens", tokens),
    ("templates", templates),
    ("replies", replies),
    ("addresses", addresses),
];

/// Bytes of any form, as a file, a feed or an export: read, or refused; and what was read is kept in a form that is read again.
fn articles(data: &[u8]) {
    let (hints, settings) = (Hints { name: "article".to_owned(), url: None }, Settings::default());
    for found in content::articles(data, None, &hints, &settings).into_iter().flatten() {
        if found.article.is_ok() {
            let _ = content::prepare(&found.source, None, &Hints { name: found.name, url: None }, &settings);
        }
    }
}

/// A text in the form that the first byte says: cut into segments, each of which is a tip with a text.
fn segments(data: &[u8]) {
    let Some((first, text)) = data.split_first() else { return };
    let format = [Format::Markdown, Format::Text, Format::Html][usize::from(first % 3)];
    let hints = Hints { name: "article".to_owned(), url: None };
    let Ok(article) = content::prepare(text, Some(format), &hints, &Settings::default()) else { return };
    for tip in &article.tips {
        assert!(!tip.markdown.trim().is_empty(), "a tip without a text");
        let _ = (content::markdown_to_html(&tip.markdown), content::markdown_to_text(&tip.markdown));
    }
}

/// A file of subscribers: its rows come in order, and its form is found out or refused.
fn csv(data: &[u8]) {
    let Some((first, file)) = data.split_first() else { return };
    let mut rows = Rows::new(Cursor::new(file), [b',', b';', b'\t', b'|'][usize::from(first % 4)]);
    let mut line = 0;
    while let Some(row) = rows.next_row().expect("bytes in memory can be read") {
        assert!(row.line > line, "line {} after line {line}", row.line);
        line = row.line;
    }
    let _ = Table::open(Cursor::new(file), "people.csv", Map::default());
}

/// Whatever opens as a token is the very text that we make for what it says.
fn tokens(data: &[u8]) {
    let keyring = Keyring::of_secret([7; 32]);
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(token) = verify_unsubscribe(&keyring, text) {
        assert_eq!(unsubscribe(&keyring, token), text);
    }
    for purpose in [Purpose::Confirm, Purpose::Preferences] {
        if let Some(id) = verify_id(&keyring, purpose, text) {
            assert_eq!(tidings::base::token::of_id(&keyring, purpose, id), text);
        }
    }
}

/// A text in place of one of the files of the mails: refused with a typed error, or all samples are rendered.
fn templates(data: &[u8]) {
    let Some((first, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let parts: Vec<&str> = files::templates().into_iter().flat_map(|(_, parts)| parts).collect();
    let part = parts[usize::from(*first) % parts.len()];
    let changed = BTreeMap::from([(part.to_owned(), text.to_owned())]);
    let files = Files::over_built_in(changed, &Origin::Folder("/own".into()));
    if let Ok(templates) = Templates::of(samples::site().expect("a site"), Arc::new(files)) {
        let _ = samples::findings(&templates);
    }
}

/// A reply of a relay: always an outcome or none, and what is kept is short, plain, and names nobody.
fn replies(data: &[u8]) {
    let [phase, high, low, text @ ..] = data else { return };
    let phases = [Phase::Connect, Phase::Hello, Phase::Auth, Phase::Mail, Phase::Rcpt, Phase::Data, Phase::Body];
    let code = u16::from_be_bytes([*high, *low]) % 1000;
    let reply = Reply { code, text: String::from_utf8_lossy(text).into_owned() };
    let _ = outcome(phases[usize::from(*phase) % phases.len()], &reply);
    let recipient = EmailAddress::parse("ana.berg@example.org").expect("an address");
    let kept = recorded(&reply, &recipient);
    let shown = kept.to_string();
    assert!(shown.chars().count() <= KEPT && !shown.chars().any(char::is_control), "{shown:?}");
    assert!(!shown.to_lowercase().contains("ana.berg@example.org"), "{shown:?}");
}

/// An address that is taken has one key, which is the key of its own key; a cron line is read or refused, and soon.
fn addresses(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(address) = EmailAddress::parse(text) {
        let again = EmailAddress::parse(address.as_given()).expect("as it was given");
        assert_eq!(again.key(), address.key());
        let (envelope, local) = (address.envelope(), address.local_part());
        assert!(!envelope.contains(['\r', '\n', ' ']) && !address.domain().contains(['<', '>', '"']), "{envelope:?}");
        // Within quotes alone may brackets stand, and then no quote ends them early (RFC 5321, 4.1.2).
        match local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            None => assert!(!local.contains(['<', '>', '"']), "{envelope:?}"),
            Some(inside) => assert!(!inside.replace(r"\\", "").replace(r#"\""#, "").contains('"'), "{envelope:?}"),
        }
    }
    let _ = (CronLine::parse(text, "Europe/Berlin"), Rule::cron(text));
}
