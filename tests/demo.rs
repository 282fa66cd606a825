//! The demo, as the real binary: its numbers add up, it goes on where it was, and it starts over when told to.

use assert_cmd::Command;
use serde_json::{Value, json};
use std::{
    collections::HashSet,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{self, Child, Stdio},
    time::Duration,
};

/// A folder for a demo; root's Postgres, which runs as another account, has to pass through it.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("mode 755");
    folder
}

fn process(data: &Path, args: &[&str]) -> process::Command {
    let mut command = process::Command::new(env!("CARGO_BIN_EXE_tidings"));
    // A database that nobody serves: the demo must not ask for it.
    command.env_clear().env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing");
    command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.arg("demo").args(args).arg("--data").arg(data.join("demo")).current_dir(data);
    command
}

fn once(data: &Path, args: &[&str]) -> Value {
    let mut command = Command::from_std(process(data, &[&["--once", "--json"], args].concat()));
    let output = command.timeout(Duration::from_secs(120)).assert().success().get_output().clone();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stdout)))
}

fn number(edition: &Value, key: &str) -> i64 {
    edition[key].as_i64().unwrap_or_else(|| panic!("no number `{key}` in {edition}"))
}

/// The editions' occurrences, after their numbers were added up.
fn added_up(summary: &Value) -> Vec<String> {
    let editions = summary["editions"].as_array().expect("editions");
    for edition in editions {
        let ends: i64 = ["sent", "failed", "skipped", "unconfirmed", "cancelled", "to_do"].iter().map(|key| number(edition, key)).sum();
        assert_eq!(number(edition, "planned"), ends, "{edition}");
        assert_eq!(edition["state"], "finished", "{edition}");
    }
    let sent: i64 = editions.iter().map(|edition| number(edition, "sent")).sum();
    let answers = ["signups", "waitlist"].iter().flat_map(|what| summary[*what]["mails"].as_object().expect("mails").values());
    let answers: i64 = answers.map(|count| count.as_i64().expect("a count")).sum();
    assert_eq!(summary["mails"], sent + answers, "every caught mail is a sent row of the ledger");
    editions.iter().map(|edition| edition["edition"].as_str().expect("an occurrence").to_owned()).collect()
}

#[test]
fn the_demo_adds_up_goes_on_where_it_was_and_starts_over_when_told_to() {
    let data = folder();
    let first = once(data.path(), &["--weeks", "2", "--subscribers", "30"]);
    let editions = added_up(&first);
    assert_eq!((editions.len(), &first["campaign"]), (2, &Value::from("weekly tips")));
    assert_eq!(number(&first["editions"][0], "planned"), 30);
    let reasons = &first["editions"][1]["reasons"];
    for reason in ["no tip left", "subscriber_paused", "suppressed: manual", "unsubscribed"] {
        assert_eq!(reasons[reason], 1, "{reason} in {reasons}");
    }

    assert_eq!(first["signups"], signups(1));
    opening_is_full(&first, 1);

    let second = once(data.path(), &["--weeks", "1"]);
    let more = added_up(&second);
    assert_eq!((more.len(), &more[..2]), (3, &editions[..]));
    assert_eq!(second["editions"][0], first["editions"][0]);
    assert_eq!(second["signups"], signups(2), "others sign up in every run");
    opening_is_full(&second, 2);
    assert_eq!((&second["pages"], &second["inbox"]), (&first["pages"], &first["inbox"]), "links in old mails stay good");
    mails_are_one_for_each_message_id(&data.path().join("demo/mails"));

    let fresh = once(data.path(), &["--weeks", "1", "--subscribers", "12", "--fresh"]);
    added_up(&fresh);
    assert_eq!((fresh["editions"].as_array().map(Vec::len), number(&fresh["editions"][0], "planned")), (Some(1), 12));
}

/// The opening of the run: its five seats are taken, its offers add up, and each was mailed once.
fn opening_is_full(summary: &Value, run: i64) {
    let (opening, mails) = (&summary["waitlist"]["opening"], &summary["waitlist"]["mails"]);
    assert_eq!((number(opening, "number"), &opening["state"], number(opening, "accepted")), (run, &Value::from("full"), 5), "{opening}");
    let ends: i64 = ["accepted", "declined", "expired"].iter().map(|end| number(opening, end)).sum();
    assert_eq!(number(opening, "offers"), ends, "{opening}");
    if run == 1 {
        assert_eq!((number(mails, "offer"), number(mails, "accepted"), number(mails, "expired")), (ends, 5, number(opening, "expired")));
        assert!(number(opening, "expired") > 0 && number(opening, "declined") > 0, "{opening}");
        assert_eq!(number(mails, "offer_reminder"), number(opening, "expired"), "{mails}");
    }
}

/// After so many runs: one signs up, confirms and gets her first tip, another is reminded once.
fn signups(runs: i64) -> Value {
    let mails = json!({ "confirmation": 2 * runs, "reminder": runs, "welcome": runs, "weekly_tip": runs });
    json!({ "asked": 2 * runs, "confirmed": runs, "mails": mails })
}

fn mails_are_one_for_each_message_id(mails: &Path) {
    let index = fs::read_to_string(mails.join("index.jsonl")).expect("an index");
    let mut seen = HashSet::new();
    for line in index.lines() {
        let mail: Value = serde_json::from_str(line).expect("a line of JSON");
        assert!(seen.insert(mail["message_id"].clone()), "twice: {mail}");
        assert!(!mail["to"].to_string().contains("gone."), "{mail}");
    }
}

#[test]
fn the_demo_stays_until_told_serves_inbox_and_pages_and_lets_no_second_one_in() {
    let data = folder();
    let mut staying = Staying::start(data.path(), &["--json", "--weeks", "1", "--subscribers", "8"]);
    let summary = staying.summary();
    let (inbox, pages) = (summary["inbox"].as_str().expect("an address"), summary["pages"].as_str().expect("an address"));
    assert!(get(inbox, "/").contains("example.org"));
    assert!(get(inbox, "/api/mails").contains("\"total\""));
    assert!(get(pages, "/readyz").starts_with("HTTP/1.1 200"));
    assert!(get(pages, "/subscribe").contains("<form"));
    let mail = get(inbox, "/api/mails/1");
    let link = mail.split_once(&format!("{pages}/u/")).expect("a link out").1;
    let token: String = link.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect();
    assert!(get(pages, &format!("/u/{token}")).contains("Unsubscribe"));

    let refused = process(data.path(), &["--once"]).output().expect("a second demo");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("a demo runs on") && said.lines().count() == 1, "{said}");

    assert!(staying.end().success());
    assert!(get_or_nothing(inbox, "/").is_none(), "nothing is left running");
}

/// A demo that serves until it is interrupted.
struct Staying(Child);

impl Staying {
    fn start(data: &Path, args: &[&str]) -> Self {
        let mut command = process(data, args);
        Self(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the demo starts"))
    }

    fn summary(&mut self) -> Value {
        let mut line = String::new();
        BufReader::new(self.0.stdout.as_mut().expect("its output")).read_line(&mut line).expect("a line");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    fn end(&mut self) -> process::ExitStatus {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).expect("a process id"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).expect("it runs");
        self.0.wait().expect("it ends")
    }
}

impl Drop for Staying {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn get(address: &str, path: &str) -> String {
    get_or_nothing(address, path).unwrap_or_else(|| panic!("nobody answers at {address}"))
}

fn get_or_nothing(address: &str, path: &str) -> Option<String> {
    let host = address.strip_prefix("http://")?;
    let mut stream = TcpStream::connect(host).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}
