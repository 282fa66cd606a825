//! Mails as they leave: signed with keys that the program itself made, and readable by programs that are not ours.
//!
//! With `TIDINGS_PRODUCED_MAILS=FOLDER` the mails and the DNS records of their keys are written there, and
//! `tests/dkim_verify.py FOLDER` checks them with dkimpy and Python's mail parser; `.ci/run` does so.

use mail_auth::{
    AuthenticatedMessage, DkimResult, MessageAuthenticator, Parameters, ResolverCache, Txt,
    common::{parse::TxtRecordParser, verify::DomainKey},
};
use rsa::{RsaPrivateKey, pkcs1::EncodeRsaPrivateKey, pkcs8::LineEnding, rand_core::OsRng};
use std::{
    borrow::Borrow,
    collections::HashMap,
    fs,
    hash::Hash,
    path::Path,
    process::{Command, Output},
};
use tempfile::TempDir;
use tidings::{
    base::{address::EmailAddress, config},
    delivery::{
        dkim::{SIGNED, Signer},
        message::{self, ListHeaders, Mailbox, Parts},
    },
};

const SIGNED_AT: &str = "2026-02-03T09:00:00Z";

fn tidings(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidings")).args(arguments).current_dir(folder).output().expect("the program runs")
}

/// Keys made by `tidings dkim new`, and what it printed.
struct Keys {
    folder: TempDir,
    printed: String,
}

impl Keys {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let made = tidings(&["dkim", "new", "--domain", "Example.org", "--selector", "t1", "--ed25519", "--out", "keys"], folder.path());
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self { folder, printed: String::from_utf8(made.stdout).expect("text") }
    }

    /// The settings that it printed, taken as they are.
    fn signer(&self) -> Signer {
        let (_, settings) = self.printed.split_once("[dkim]\n").expect("settings");
        let dkim: config::Dkim = toml::from_str(settings).expect("settings in TOML");
        Signer::from_config(&dkim).expect("keys that can be read").expect("a signer")
    }

    /// The TXT records that it printed: name and value.
    fn records(&self) -> HashMap<String, String> {
        let lines = self.printed.lines().filter(|line| line.contains(" IN TXT "));
        lines
            .map(|line| {
                let (name, strings) = line.split_once(" IN TXT ").expect("a record");
                (name.to_owned(), strings.split('"').skip(1).step_by(2).collect())
            })
            .collect()
    }
}

fn built(number: usize, to: &str, name: Option<&str>, subject: &str, text: &str, list: bool) -> Vec<u8> {
    let from = Mailbox::parse("Ärztlich geprüft, \"weekly\" <tips@news.example.org>").expect("a sender");
    let message_id = format!("<202602.{number}.x7@news.example.org>");
    let html = format!("<!doctype html><html lang=\"en\"><body><p>{}</p></body></html>\n", text.replace('\n', "<br>\n"));
    let parts = Parts {
        message_id: &message_id,
        date: SIGNED_AT.parse().expect("an instant"),
        from: &from,
        to: &EmailAddress::parse(to).expect("an address"),
        to_name: name,
        subject,
        text,
        html: &html,
        list: list.then_some(ListHeaders { id: Some("7f3a91.news.example.org"), unsubscribe: "https://news.example.org/u/AbCd-_123" }),
        auto_submitted: false,
        language: Some("en"),
    };
    message::build(&parts).expect("a mail")
}

/// Mails of all sorts: ordinary ones, and ones that are hard to encode, fold, sign or stuff.
fn mails() -> Vec<Vec<u8>> {
    let long_word = "x".repeat(3000);
    let cases: [(&str, Option<&str>, &str, &str); 10] = [
        ("ana@example.com", Some("Ana"), "Warm water eases a stiff back", "A tip.\n\nhttps://news.example.org/u/AbCd\n"),
        ("ana@example.com", None, "Trailing spaces and tabs", "one  \ntwo\t\n \t \nthree\n\n\n\n"),
        ("ana@example.com", Some("Ümläut, Ünïcode"), "Größe, Höhe und mehr", "Straße, 東京, emoji 🤱\n= equals = signs =\n"),
        (
            "ana@example.com",
            Some("東京 花子"),
            "東京は夜の七時、そして長い件名がここで折り返されます、もっと長く、さらに長く",
            "東京は夜の七時\n",
        ),
        (
            "ana@bücher.example",
            Some("a\r\nBcc: <x@example.org>"),
            "x\r\nBcc: <x@example.org>\r\n\r\nbody",
            "From the start\n.\n..\nFrom here\n",
        ),
        ("ana@example.com", Some("=?utf-8?Q?a=0D=0Ab?="), "=?utf-8?Q?=0D=0ABcc:_x?= is no word", &long_word),
        ("\"odd>local\"@example.com", Some("\"quoted\" \\ back"), &"word ".repeat(60), "\u{feff}bom and \u{0} nul\r\rlone CR\r\n"),
        ("ana@example.com", Some(""), "", "no subject\n"),
        (
            "a-rather-long-local-part-of-an-address@a-rather-long-label.of-a-domain.and-another-label.example.com",
            Some("A name that goes on for some time, and then for some more"),
            "Short",
            "text\n",
        ),
        ("ana@example.com", Some("عربى"), "مرحبا بالعالم", "نص طويل\n"),
    ];
    let mails = cases.iter().enumerate().map(|(i, (to, name, subject, text))| built(i, to, *name, subject, text, i % 3 != 2));
    mails.collect()
}

#[test]
fn new_keys_are_private_and_never_overwritten() {
    let keys = Keys::new();
    let folder = keys.folder.path().join("keys");
    for name in ["t1.example.org.pem", "t1-ed25519.example.org.pem"] {
        let file = folder.join(name);
        assert!(fs::read_to_string(&file).expect("a key").starts_with("-----BEGIN PRIVATE KEY-----\n"));
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).expect("a file").permissions()) & 0o777, 0o600);
    }
    let before = fs::read(folder.join("t1.example.org.pem")).expect("a key");
    let again = tidings(&["dkim", "new", "--domain", "example.org", "--selector", "t1", "--out", "keys"], keys.folder.path());
    assert!(!again.status.success() && String::from_utf8_lossy(&again.stderr).contains("is not overwritten"));
    assert_eq!(fs::read(folder.join("t1.example.org.pem")).expect("a key"), before);
    let mut names: Vec<_> = keys.records().into_keys().collect();
    names.sort();
    assert_eq!(names, ["t1-ed25519._domainkey.example.org.", "t1._domainkey.example.org."]);
    for bad in [
        ["--domain", "example", "--selector", "t1"],
        ["--domain", "example.org", "--selector", "t 1"],
        ["--domain", "a/b.org", "--selector", "x"],
    ] {
        let refused = tidings(&[&["dkim", "new"], &bad[..]].concat(), keys.folder.path());
        assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("expected"), "{bad:?}");
    }
}

#[test]
fn a_key_that_is_too_short_or_none_is_refused_in_a_sentence() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = |key_file: &Path| config::Dkim {
        domain: "example.org".to_owned(),
        selector: "t1".to_owned(),
        key_file: key_file.display().to_string(),
        ed25519_selector: String::new(),
        ed25519_key_file: String::new(),
    };
    let refusal = |dkim: &config::Dkim| Signer::from_config(dkim).expect_err("no signer").to_string();
    let file = folder.path().join("key.pem");
    assert!(refusal(&settings(&file)).contains("cannot be read"));
    for (bits, refused) in [(1024, true), (2048, false)] {
        let key = RsaPrivateKey::new(&mut OsRng, bits).expect("a key");
        fs::write(&file, key.to_pkcs1_pem(LineEnding::LF).expect("PEM").as_bytes()).expect("a file");
        match refused {
            true => assert!(refusal(&settings(&file)).contains("has 1024 bits"), "{}", refusal(&settings(&file))),
            false => assert!(Signer::from_config(&settings(&file)).expect("PKCS#1 is read").is_some()),
        }
    }
    fs::write(&file, "no key at all").expect("a file");
    assert!(refusal(&settings(&file)).contains("is not an RSA key in PEM"));
    let none = config::Dkim { domain: String::new(), selector: String::new(), key_file: String::new(), ..settings(&file) };
    assert!(Signer::from_config(&none).expect("no key is fine").is_none());
    assert!(refusal(&config::Dkim { domain: "example.org".to_owned(), ..none.clone() }).contains("key_file is not"));
    assert!(refusal(&config::Dkim { ed25519_key_file: "x".to_owned(), ..none }).contains("beside it"));
    assert!(refusal(&config::Dkim { selector: "a b".to_owned(), ..settings(&file) }).contains("selector must be"));
}

/// The DNS, for mail-auth.
struct Dns(HashMap<String, String>);

impl ResolverCache<Box<str>, Txt> for Dns {
    fn get<Q: Hash + Eq + ?Sized>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
    {
        let known: HashMap<Box<str>, &String> = self.0.iter().map(|(name, value)| (name.as_str().into(), value)).collect();
        known.get(name).map(|value| Txt::DomainKey(DomainKey::parse(value.as_bytes()).expect("a key").into()))
    }

    fn remove<Q: Hash + Eq + ?Sized>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
    {
        None
    }

    fn insert(&self, _: Box<str>, _: Txt, _: std::time::Instant) {}
}

async fn verified(mail: &[u8], dns: &Dns) -> Vec<bool> {
    let authenticator = MessageAuthenticator::new_cloudflare().expect("a resolver that is never asked");
    let message = AuthenticatedMessage::parse(mail).expect("a mail");
    let parameters = Parameters::new(&message).with_txt_cache(dns);
    authenticator.verify_dkim(parameters).await.iter().map(|output| *output.result() == DkimResult::Pass).collect()
}

fn replaced(mail: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = std::str::from_utf8(mail).expect("text");
    assert!(text.contains(from), "{from} is not in the mail");
    text.replacen(from, to, 1).into_bytes()
}

#[tokio::test]
async fn signatures_hold_and_cover_what_they_should() {
    let keys = Keys::new();
    let (signer, dns) = (keys.signer(), Dns(keys.records()));
    let mut produced = Vec::new();
    for mail in mails() {
        let signed = signer.sign(&mail, SIGNED_AT.parse().expect("an instant")).expect("a signature");
        assert!(signed.ends_with(&mail));
        let text = String::from_utf8(signed.clone()).expect("text");
        assert!(text.split("\r\n").all(|line| line.len() <= 998) && !text.replace("\r\n", "").contains(['\r', '\n']));
        assert_eq!(verified(&signed, &dns).await, [true, true], "{text}");
        produced.push(signed);
    }
    let first = &produced[0];
    let head = String::from_utf8_lossy(first).split("\r\nFrom: ").next().expect("signatures").replace("\r\n\t", "").replace(' ', "");
    for tag in ["a=rsa-sha256;", "a=ed25519-sha256;", "c=relaxed/relaxed;", "d=example.org;", "t=1770109200;"] {
        assert!(head.contains(tag), "{tag} in {head}");
    }
    assert!(!head.contains(";l="), "{head}");
    let signed_headers = head.split("h=").nth(1).expect("h=").split(';').next().expect("its value").to_ascii_lowercase();
    for name in SIGNED {
        let times = signed_headers.split(':').filter(|h| *h == name.to_ascii_lowercase()).count();
        assert_eq!(times, 2, "{name} in {signed_headers}");
        // None can be changed, and none can be added, where it is and where it is not.
        let added = replaced(first, "\r\nFrom: ", &format!("\r\n{name}: x\r\nFrom: "));
        assert_eq!(verified(&added, &dns).await, [false, false], "{name} was added");
        let bare = &produced[2];
        let added = replaced(bare, "\r\nFrom: ", &format!("\r\n{name}: x\r\nFrom: "));
        assert_eq!(verified(&added, &dns).await, [false, false], "{name} was added");
    }
    for (from, to) in [("A tip.", "A top."), ("Warm water", "Cold water"), ("/u/AbCd-_123>", "/u/other>"), ("\r\n--=_", "\r\nx--=_")] {
        assert_eq!(verified(&replaced(first, from, to), &dns).await, [false, false], "{from} became {to}");
    }
    write_produced(&produced, &dns.0);
}

fn write_produced(mails: &[Vec<u8>], records: &HashMap<String, String>) {
    let Some(folder) = std::env::var_os("TIDINGS_PRODUCED_MAILS") else { return };
    let folder = Path::new(&folder);
    fs::create_dir_all(folder).expect("a folder");
    for (number, mail) in mails.iter().enumerate() {
        fs::write(folder.join(format!("{number:03}.eml")), mail).expect("a file");
    }
    fs::write(folder.join("records.json"), serde_json::to_vec_pretty(records).expect("JSON")).expect("a file");
}
