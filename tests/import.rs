//! Files of subscribers: read whatever they are written in, looked at first, taken once, and taken back as a whole.
//!
//! The files of these stories are imported by the real binary or by the same functions with a clock turned by hand.

mod asking;
mod killed;
mod undoing;

use std::io::Cursor;

use serde_json::Value;
use sqlx::query_scalar;
use tidings::audience::export;
use tidings::audience::import::{self, Imported, Map, Options, Table};
use tidings::audience::topic::Topic;
use tidings::base::address::EmailAddress;

use crate::support::TestApp;

#[tokio::test]
async fn a_file_is_understood_whatever_it_is_written_in() {
    let app = TestApp::new().await;
    topic(&app, "Back care").await;
    let utf16 = |text: &str, mark: bool, little: bool| -> Vec<u8> {
        let units = mark.then_some(0xfeff).into_iter().chain(text.encode_utf16());
        units.flat_map(|unit: u16| if little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect()
    };
    let latin = |text: &str| -> Vec<u8> {
        text.chars().map(|c| if c == '€' { 0x80 } else { u8::try_from(u32::from(c)).expect("latin") }).collect()
    };
    let with = |delimiter: &str, n: u32| {
        format!("Vorname|Nachname|E-Mail\r\nÄnne|\"Groß\r\nmann €\"|a{n}@example.org\r\nBo|\"\"|b{n}@example.org\r\n")
            .replace('|', delimiter)
    };
    for (n, (file, said)) in [
        (with(",", 0).into_bytes(), "read as UTF-8, fields separated by commas"),
        (format!("\u{feff}{}", with(";", 1)).into_bytes(), "read as UTF-8, fields separated by semicolons"),
        (utf16(&with("\t", 2), true, true), "read as UTF-16LE, fields separated by tabs"),
        (utf16(&with("|", 3), true, false), "read as UTF-16BE, fields separated by `|`"),
        (utf16(&with(",", 4), false, true), "read as UTF-16LE, fields separated by commas"),
        (utf16(&with(";", 5), false, false), "read as UTF-16BE, fields separated by semicolons"),
        (latin(&with(";", 6)), "read as windows-1252, fields separated by semicolons"),
        (format!("sep=|\r\n{}", with("|", 7)).into_bytes(), "read as UTF-8, fields separated by `|`"),
    ]
    .into_iter()
    .enumerate()
    {
        std::fs::write(app.folder().join("people.csv"), file).expect("a file");
        let run =
            app.binary().args(["import", "subscribers", "people.csv", "--topic", "back care", "--confirmed-because", "a card"]).output();
        let run = run.expect("a run");
        let (out, err) = (String::from_utf8_lossy(&run.stdout).into_owned(), String::from_utf8_lossy(&run.stderr).into_owned());
        assert!(err.contains(said), "{said}: {err}");
        assert!(out.starts_with("2 rows into `Back care`: 1 new, 0 changed, 0 unchanged, 1 refused, 0 left alone."), "{n}: {out}{err}");
        // Lines are those of the file: the header is its first, but for one that begins with the separator.
        let line = if n == 7 { 3 } else { 2 };
        assert!(err.contains(&format!("line {line}: refused: the name holds a control character")), "a name has no line ends: {err}");
    }
    // The same without the line end.
    let file = latin("mail;name\r\nanne@example.org;Änne Großmann €\r\n");
    import(&app, None, None, file).await.expect("an import");
    let names = texts(&app, "SELECT name FROM subscribers WHERE address LIKE 'anne%'").await;
    assert_eq!(names, ["Änne Großmann €"]);
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_says_what_the_import_then_does() {
    let app = TestApp::new().await;
    let back = topic(&app, "Back care").await;
    import(&app, Some(&back), None, "email,name\nasked@example.org,\nknown@example.org,Kai\n").await.expect("an import");
    import(&app, Some(&back), Some("a card"), "email\ndone@example.org\nleft@example.org\n").await.expect("an import");
    app.binary().args(["suppress", "add", "never@example.org", "--reason", "she wrote"]).assert().success();
    run(
        &app,
        "UPDATE subscriptions SET standing = 'unsubscribed' WHERE subscriber_id = (SELECT id FROM subscribers WHERE address LIKE 'left%')",
    )
    .await;
    let file = "email,name,zone\nASKED@example.org,Ada,\nknown@example.org,Kay,Europe/London\ndone@example.org,,\nleft@example.org,Lea,\n\
                never@example.org,,\nnew@example.org,,\nnew@example.org,Nell,\nNEW@example.org,Nora,\nnobody,,\n";
    std::fs::write(app.folder().join("people.csv"), file).expect("a file");
    let before = contents(&app).await;
    let arguments = ["import", "subscribers", "people.csv", "--topic", "back care", "--confirmed-because", "a card", "--dry-run"];
    let shown = app.binary().args(arguments).output().expect("a run");
    let counted = app.binary().args(arguments).arg("--json").output().expect("a run");
    assert_eq!(contents(&app).await, before, "a dry run changes nothing");
    assert_eq!(texts(&app, "SELECT id::text FROM imports WHERE file_name = 'people.csv' AND rows_done = 9").await, [""; 0]);
    insta::assert_snapshot!(
        String::from_utf8_lossy(&shown.stdout).lines().chain(String::from_utf8_lossy(&shown.stderr).lines()).map(|line| line.split(" since ").next().unwrap_or_default().trim_end()).collect::<Vec<_>>().join("\n"),
        @r#"
    ───────────────────────────────────────────────────────────────────────
     Line   Address             What           Before        After
    ═══════════════════════════════════════════════════════════════════════
     2      ASKED@example.org   name                         Ada
     2      ASKED@example.org   subscription   unconfirmed   confirmed
     3      known@example.org   zone                         Europe/London
     3      known@example.org   subscription   unconfirmed   confirmed
     8      new@example.org     name                         Nell
    ───────────────────────────────────────────────────────────────────────
    9 rows into `Back care`: 1 new, 3 changed, 2 unchanged, 1 refused, 2 left alone.
    Of 2 something else is known than the file says: what is known was kept.
    Nothing was changed: this was a dry run.
    read as UTF-8, fields separated by commas
    line 5: left alone: unsubscribed on 2026-01-12
    line 6: left alone: suppressed: manual
    line 10: refused: it is not an email address of the form name@example.org (Missing separator character '@'.)
    "#
    );
    let foreseen: Value = serde_json::from_slice(&counted.stdout).expect("JSON");
    let done = app.binary().args(arguments.iter().filter(|argument| **argument != "--dry-run")).arg("--json").output().expect("a run");
    let came: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    for count in ["rows", "new", "changed", "unchanged", "refused", "left_alone", "kept"] {
        assert_eq!(foreseen[count], came[count], "{count}");
    }
    assert_eq!(foreseen["lines"].as_array().expect("lines").len(), 3, "who is refused or left alone, and why");
    let known = texts(&app, "SELECT concat_ws(' ', address, name, zone) FROM subscribers ORDER BY address").await;
    assert_eq!(
        known,
        ["asked@example.org Ada", "done@example.org", "known@example.org Kai Europe/London", "left@example.org", "new@example.org Nell"],
        "what is known is kept"
    );
}

#[tokio::test]
async fn people_come_in_unconfirmed_when_nobody_vouches_for_them_and_a_later_file_can() {
    let app = TestApp::new().await;
    let back = topic(&app, "Back care").await;
    let file = "email,name\na@example.org,Ana\nb@example.org,\n";
    let first = import(&app, Some(&back), None, file).await.expect("an import");
    assert_eq!(standings(&app).await, ["a@example.org unconfirmed", "b@example.org unconfirmed"]);
    assert_eq!(texts(&app, "SELECT act FROM consents").await, [""; 0], "the import is the record");
    let second = import(&app, Some(&back), Some("a card"), "email\na@example.org\n").await.expect("an import");
    assert_eq!((first.counts.new, second.counts.changed), (2, 1));
    assert_eq!(standings(&app).await, ["a@example.org confirmed", "b@example.org unconfirmed"]);
    let again = import(&app, Some(&back), None, file).await.expect("an import");
    assert_eq!((again.id, again.counts.unchanged), (3, 2), "nobody is unconfirmed by a file");
    assert_eq!(standings(&app).await, ["a@example.org confirmed", "b@example.org unconfirmed"]);
    let listed = app.binary().args(["import", "list", "--json"]).output().expect("a run");
    let listed: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    let told: Vec<_> =
        listed.as_array().expect("imports").iter().map(|i| format!("{} {} {}", i["import"], i["state"], i["because"])).collect();
    assert_eq!(told, [r#"3 "finished" null"#, r#"2 "finished" "a card""#, r#"1 "finished" null"#]);
}

#[tokio::test]
async fn an_export_is_safe_in_a_spreadsheet_and_comes_back_whole() {
    let app = TestApp::new().await;
    let back = topic(&app, "=Back, care").await;
    let names = ["=HYPERLINK(\"x\")", "+1", "-1", "@SUM(A1)", "'=kept", "''-", "'plain", "A \"B\", C; d", "ünï", "="];
    let rows: String = names.iter().enumerate().map(|(n, name)| format!("p{n}@example.org,{}\n", quoted(name))).collect();
    // In a file of somebody else's a sign has no apostrophe before it, and an apostrophe before a sign is one too many.
    import(&app, Some(&back), Some("a card"), format!("email,name\n'+plus@example.org,Plus\n{rows}")).await.expect("an import");
    run(&app, "UPDATE subscribers SET name = '''=kept' WHERE address LIKE 'p4%'").await;
    run(&app, "UPDATE subscribers SET name = '''''-' WHERE address LIKE 'p5%'").await;
    run(&app, "UPDATE subscribers SET zone = 'Europe/London', stage_date = '2026-01-31', weekday = 2, hour = 9, language = 'en' WHERE address LIKE 'p1@%'").await;
    let mut file = Vec::new();
    let written = export::subscribers(&mut app.db.pool.acquire().await.expect("a connection"), Some(back.id), &mut file).await;
    assert_eq!(written.expect("an export"), 11);
    let file = String::from_utf8(file).expect("UTF-8");
    insta::assert_snapshot!(file.replace('\r', ""), @r#"
    email,name,zone,stage_date,weekday,hour,language,paused_until,topics,suppressed,since
    '+plus@example.org,Plus,,,,,,,"'=Back, care (confirmed)",,2026-01-12T06:00:00Z
    p0@example.org,"'=HYPERLINK(""x"")",,,,,,,"'=Back, care (confirmed)",,2026-01-12T06:00:00Z
    p1@example.org,'+1,Europe/London,2026-01-31,2,9,en,,"'=Back, care (confirmed)",,2026-01-12T06:00:00Z
    p2@example.org,'-1,,,,,,,"'=Back, care (confirmed)",,2026-01-12T06:00:00Z
    p3@example.org,'@SUM(A1),,,,,,,"'=Back, care (confirmed)",,2026-01-12T06:00:00Z
    p4@example.org,''=kept,,,,,,,"'=Back, care (confirmed)",,2026-01-12T06:00:00Z
    p5@example.org,'''-,,,,,,,"'=Back, care (confirmed)",,2026-01-12T06:00:00Z
    p6@example.org,'plain,,,,,,,"'=Back, care (confirmed)",,2026-01-12T06:00:00Z
    p7@example.org,"A ""B"", C; d",,,,,,,"'=Back, care (confirmed)",,2026-01-12T06:00:00Z
    p8@example.org,ünï,,,,,,,"'=Back, care (confirmed)",,2026-01-12T06:00:00Z
    p9@example.org,'=,,,,,,,"'=Back, care (confirmed)",,2026-01-12T06:00:00Z
    "#);
    let before = texts(&app, "SELECT concat_ws('|', address, name, zone, stage_date) FROM subscribers ORDER BY address").await;

    let other = TestApp::new().await;
    import(&other, None, None, file).await.expect("an import");
    let after = texts(&other, "SELECT concat_ws('|', address, name, zone, stage_date) FROM subscribers ORDER BY address").await;
    assert_eq!(after, before);
    let shown = app.binary().args(["export", "subscribers", "--out", "all.csv"]).output().expect("a run");
    assert_eq!(String::from_utf8_lossy(&shown.stdout), "11 subscribers in `all.csv`.\n");
    assert!(
        !app.binary().args(["export", "subscribers", "--out", "all.csv"]).output().expect("a run").status.success(),
        "it is not overwritten"
    );
}

pub(super) async fn topic(app: &TestApp, name: &str) -> Topic {
    let id = query_scalar("INSERT INTO topics (slug, name) VALUES ($1, $1) RETURNING id").bind(name).fetch_one(&app.db.pool).await;
    Topic { id: id.expect("a topic"), slug: name.to_owned(), name: name.to_owned() }
}

pub(super) async fn import(
    app: &TestApp,
    topic: Option<&Topic>,
    because: Option<&str>,
    file: impl Into<Vec<u8>>,
) -> Result<Imported, import::ImportError> {
    let mut table = Table::open(Cursor::new(file.into()), "people.csv", Map::default())?;
    import::import(&app.db.pool, &app.keyring, &mut table, Options { topic, because }, app.now(), |_| {}).await
}

pub(super) async fn suppress(app: &TestApp, email: &str) {
    use tidings::audience::suppression::Kind;
    use tidings::people::stop::{self, Source, Whom};
    let address = EmailAddress::parse(email).expect("an address");
    let whom = Whom::Address(&address);
    stop::suppress(&app.db.pool, &app.keyring, whom, Kind::Manual, "asked us", Source::Operator, app.now()).await.expect("a stop");
}

pub(super) async fn standings(app: &TestApp) -> Vec<String> {
    let statement = "SELECT coalesce(s.address, 'nobody') || ' ' || p.standing FROM subscriptions p JOIN subscribers s ON s.id = p.subscriber_id ORDER BY s.id, p.topic_id";
    texts(app, statement).await
}

/// All that an import touches, without ids and times.
pub(super) async fn contents(app: &TestApp) -> Vec<String> {
    let mut contents = standings(app).await;
    for statement in [
        "SELECT concat_ws('|', address, address_key, name, zone, stage_date) FROM subscribers ORDER BY 1",
        "SELECT concat_ws('|', s.address, c.act, c.source, c.wording) FROM consents c JOIN subscribers s ON s.id = c.subscriber_id ORDER BY 1",
        "SELECT concat_ws('|', s.address, c.import_id, c.created, c.standing_before, c.filled, c.undo) FROM import_changes c JOIN subscribers s ON s.id = c.subscriber_id ORDER BY 1",
        "SELECT concat_ws('|', s.address, e.what, e.before, e.after) FROM subscriber_events e JOIN subscribers s ON s.id = e.subscriber_id ORDER BY 1",
        "SELECT concat_ws('|', id, rows_done, counts, finished_at IS NOT NULL, undone_at IS NOT NULL) FROM imports ORDER BY id",
    ] {
        contents.extend(texts(app, statement).await);
    }
    contents.sort();
    contents
}

pub(super) async fn texts(app: &TestApp, statement: &'static str) -> Vec<String> {
    query_scalar(statement).fetch_all(&app.db.pool).await.expect("texts")
}

pub(super) async fn run(app: &TestApp, statement: &'static str) {
    sqlx::query(statement).execute(&app.db.pool).await.expect("a statement");
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}
