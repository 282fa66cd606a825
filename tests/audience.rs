//! Who is added, by whose word, and who is never brought back.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use futures_util::future::join_all;
use sqlx::query_scalar;
use tidings::audience::import::{self, Heard, ImportError, Imported, Map, Options, Remark, Table};
use tidings::audience::subscriber::NewSubscriber;
use tidings::audience::subscription::{self, Outcome};
use tidings::audience::suppression::Kind;
use tidings::audience::topic::{self, Topic};
use tidings::base::address::EmailAddress;
use tidings::people::stop::{self, Scope, Source, Whom};

use crate::support::TestApp;

const BECAUSE: &str = "ticked the box on the sign-up sheet";

#[tokio::test]
async fn a_person_is_added_by_an_operators_act_that_is_recorded_with_its_evidence() {
    let app = TestApp::new().await;
    let topic = make_topic(&app, "Back care").await;
    let added = add(&app, &topic, "Ana@Example.org").await;
    assert!(matches!(added, Outcome::Added(_)), "{added:?}");
    assert!(matches!(add(&app, &topic, "ana@example.ORG").await, Outcome::Unchanged(_)));
    let given = texts(&app, "SELECT address || ' ' || address_key FROM subscribers").await;
    assert_eq!(given, ["Ana@Example.org ana@example.org"], "mail goes to the spelling given");
    let consents = texts(&app, "SELECT concat_ws(' ', act, source, wording, at::date) FROM consents").await;
    assert_eq!(consents, [format!("confirmed operator {BECAUSE} 2026-01-12")]);
    let acts = texts(&app, "SELECT concat_ws(' ', act, subject, detail) FROM operator_acts").await;
    assert_eq!(acts, [format!("subscriber added subscriber Back care: {BECAUSE}")]);
}

#[tokio::test]
async fn fifty_spellings_at_once_give_one_row() {
    let app = TestApp::new().await;
    let topic = make_topic(&app, "Back care").await;
    let spellings: Vec<String> = (0..50).map(|n: u32| spelled("ana.lind@example.org", n * 8191)).collect();
    let outcomes = join_all(spellings.iter().map(|spelling| add(&app, &topic, spelling))).await;
    assert_eq!(outcomes.iter().filter(|o| matches!(o, Outcome::Added(_))).count(), 1);
    assert_eq!(outcomes.iter().filter(|o| matches!(o, Outcome::Unchanged(_))).count(), 49);
    assert_eq!((count(&app, "subscribers").await, count(&app, "subscriptions").await, count(&app, "consents").await), (1, 1, 1));
}

#[tokio::test]
async fn whoever_is_added_while_her_address_is_suppressed_is_known_to_the_suppression() {
    let app = TestApp::new().await;
    let topic = make_topic(&app, "Back care").await;
    join_all((0..40).map(async |n| {
        let email = format!("p{n}@example.org");
        let address = EmailAddress::parse(&email).expect("an address");
        let suppressing =
            stop::suppress(&app.db.pool, &app.keyring, Whom::Address(&address), Kind::Manual, "asked us", Source::Operator, app.now());
        let (added, stopped) = tokio::join!(add(&app, &topic, &email), suppressing);
        assert!(stopped.expect("a stop").changed);
        assert!(matches!(added, Outcome::Added(_) | Outcome::Suppressed(_)), "{added:?}");
    }))
    .await;
    let missed = "SELECT count(*) FROM subscribers p WHERE NOT EXISTS (SELECT FROM suppressions s WHERE s.subscriber_id = p.id)";
    assert_eq!(number(&app, missed).await, 0);
    assert_eq!(count(&app, "suppressions").await, 40);
}

#[tokio::test]
async fn one_who_left_or_is_suppressed_is_never_brought_back() {
    let app = TestApp::new().await;
    let (back, sleep) = (make_topic(&app, "Back care").await, make_topic(&app, "Sleep").await);
    let Outcome::Added(left) = add(&app, &back, "left@example.org").await else { panic!("she was not there") };
    let Outcome::Added(gone) = add(&app, &back, "gone@example.org").await else { panic!("she was not there") };
    stop::unsubscribe(&app.db.pool, &app.keyring, left, Scope::Topic(back.id), Source::Page, app.now()).await.expect("a stop");
    stop::unsubscribe(&app.db.pool, &app.keyring, gone, Scope::Everything, Source::OneClick, app.now()).await.expect("a stop");
    suppress(&app, "never@example.org").await;

    assert!(matches!(add(&app, &back, "LEFT@example.org").await, Outcome::Unsubscribed(_)));
    assert!(matches!(add(&app, &back, "gone@example.org").await, Outcome::Suppressed(s) if s.kind == Kind::UnsubscribeAll));
    assert!(matches!(add(&app, &sleep, "gone@example.org").await, Outcome::Suppressed(_)));
    assert!(matches!(add(&app, &sleep, "never@example.org").await, Outcome::Suppressed(s) if s.kind == Kind::Manual));
    assert!(matches!(add(&app, &sleep, "left@example.org").await, Outcome::Added(_)), "leaving one topic touches nothing else");

    let file = "email,name\nleft@example.org,Lea\ngone@example.org,\nnever@example.org,\nnew@example.org,\n";
    let (imported, remarks) = import_and_hear(&app, &back, Cursor::new(file)).await.expect("an import");
    assert_eq!((imported.counts.rows, imported.counts.new, imported.counts.left_alone), (4, 1, 3));
    let remarks: Vec<String> = remarks.iter().map(|r| format!("{} {}", r.line, r.reason)).collect();
    assert_eq!(
        remarks,
        [
            "2 unsubscribed on 2026-01-12",
            "3 suppressed: unsubscribe_all since 2026-01-12 (she left everything (one_click))",
            "4 suppressed: manual since 2026-01-12 (asked us)",
        ]
    );
    assert_eq!(texts(&app, "SELECT address FROM subscribers WHERE name IS NOT NULL OR address LIKE 'never%'").await, [""; 0]);
}

#[tokio::test]
async fn what_is_known_of_a_person_is_kept_and_only_the_rest_filled_in() {
    let app = TestApp::new().await;
    let (back, sleep) = (make_topic(&app, "Back care").await, make_topic(&app, "Sleep").await);
    let file = "email,name,zone\na@example.org,Ana,europe/berlin\n";
    import(&app, &back, Cursor::new(file)).await.expect("an import");
    let file = "stage_date,zone,email\n2026-01-01,Europe/London,A@example.org\n";
    import(&app, &sleep, Cursor::new(file)).await.expect("an import");
    let known = texts(&app, "SELECT concat_ws(' ', name, zone, stage_date) FROM subscribers").await;
    assert_eq!(known, ["Ana Europe/Berlin 2026-01-01"]);
}

#[tokio::test]
async fn a_topic_is_found_by_name_or_slug_in_any_case_and_a_wrong_one_is_answered_with_those_there_are() {
    let app = TestApp::new().await;
    let mut conn = app.db.pool.acquire().await.expect("a connection");
    let none = topic::find(&mut conn, "Back care").await.expect_err("there is none").to_string();
    assert!(none.contains("there is none yet"), "{none}");
    let (back, _) = (make_topic(&app, "Rückenpflege").await, make_topic(&app, "Sleep").await);
    for wanted in ["Rückenpflege", "RÜCKENPFLEGE", " slug-rückenpflege ", "SLUG-RÜCKENPFLEGE"] {
        assert_eq!(topic::find(&mut conn, wanted).await.expect(wanted), back);
    }
    let wrong = topic::find(&mut conn, "Rücken").await.expect_err("there is none").to_string();
    assert_eq!(wrong, "there is no topic `Rücken`: there are `Rückenpflege`, `Sleep`");
}

#[tokio::test]
async fn a_file_with_bad_rows_is_imported_but_for_those_and_the_program_ends_well() {
    let app = TestApp::new().await;
    make_topic(&app, "Back care").await;
    let file = app.folder().join("people.csv");
    let mut rows = b"\xef\xbb\xbfZone,EMAIL,notes,stage_date,name\r\n".to_vec();
    for row in [
        "Europe/London,ana@example.org,,2026-01-01,\"Lind, Ana\"",
        "europe/berlin,BEA@example.org,\"two\nlines\",,",
        "",
        ",ANA@example.org,,,",
        ",nobody,,,",
        "Mars/Base,c@example.org,,,",
        ",d@example.org,,01/02/2026,",
        ",e@example.org",
        ",f@example.org,,,\"open",
        ",g@example.org,,,G\0",
        ",h@exa mple.org,,,",
        ",i@example.org,,,I",
    ] {
        rows.extend(row.as_bytes());
        rows.extend(b"\r\n");
    }
    rows.extend(b",j@example.org,\xff,,\n");
    rows.extend(format!(",k@example.org,{},,\n", "x".repeat(1 << 20)).as_bytes());
    rows.extend(b",l@example.org,,,L");
    std::fs::write(&file, rows).expect("a file");
    let run = app
        .binary()
        .args(["import", "subscribers", "people.csv", "--topic", "back CARE", "--json", "--confirmed-because", BECAUSE])
        .output()
        .expect("a run");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    insta::assert_snapshot!(String::from_utf8_lossy(&run.stdout).replace("},{", "},\n{"), @r#"
    {"lines":[
    {"line":7,"outcome":"refused","reason":"it is not an email address of the form name@example.org (Missing separator character '@'.)"},
    {"line":8,"outcome":"refused","reason":"`Mars/Base` is no time zone of the tz database: expected a name such as `Europe/London`"},
    {"line":9,"outcome":"refused","reason":"`01/02/2026` is no date: YYYY-MM-DD was expected"},
    {"line":10,"outcome":"refused","reason":"it has 2 fields where the header has 5"},
    {"line":11,"outcome":"refused","reason":"a quotation mark is opened and not closed"},
    {"line":12,"outcome":"refused","reason":"it holds a NUL byte"},
    {"line":13,"outcome":"refused","reason":"the address holds a control character or white space"},
    {"line":15,"outcome":"refused","reason":"it is no text in the file's encoding (byte 16 of the row): save the file as UTF-8"},
    {"line":16,"outcome":"refused","reason":"the row is longer than 65536 bytes"}],
    "changed":0,"delimiter":",","encoding":"UTF-8","gone_on_after":0,"import":1,"kept":0,"left_alone":0,"new":4,"refused":9,"rows":14,"unchanged":1,"unread_columns":["notes"]}
    "#);
    assert_eq!(
        texts(&app, "SELECT address_key FROM subscribers ORDER BY 1").await,
        ["ana@example.org", "bea@example.org", "i@example.org", "l@example.org"]
    );

    let again = app
        .binary()
        .args(["import", "subscribers", "people.csv", "--topic", "back CARE", "--confirmed-because", BECAUSE])
        .output()
        .expect("a run");
    let summary = String::from_utf8_lossy(&again.stdout).into_owned();
    assert_eq!(
        summary,
        "14 rows into `Back care`: 0 new, 0 changed, 5 unchanged, 9 refused, 0 left alone.\n\
         This is import 2; `tidings import undo 2` takes it back.\n"
    );
    assert_eq!(count(&app, "consents").await, 4);
}

#[tokio::test]
async fn an_import_that_broke_off_ends_as_one_that_did_not_when_it_is_run_again() {
    let app = TestApp::new().await;
    let topic = make_topic(&app, "Back care").await;
    let file: String =
        "email,name\n".chars().chain((0..5_000).flat_map(|n| format!("p{n}@example.org,P{n}\n").into_bytes()).map(char::from)).collect();
    let broken = Failing { file: Cursor::new(file.clone()), passes: 0 };
    let error = import(&app, &topic, broken).await.expect_err("it broke off");
    assert!(matches!(error, ImportError::Read { .. }), "{error}");
    let before = count(&app, "subscribers").await;
    assert!((1..5_000).contains(&before), "{before} were imported before it broke");
    app.wait(jiff::SignedDuration::from_mins(5));
    let again = import(&app, &topic, Cursor::new(file)).await.expect("an import");
    assert_eq!((again.id, again.gone_on_after, again.counts.rows, again.counts.new), (1, before.unsigned_abs(), 5_000, 5_000));
    assert_eq!(
        (count(&app, "subscribers").await, count(&app, "subscriptions").await, count(&app, "consents").await),
        (5_000, 5_000, 5_000)
    );
    assert_eq!(texts(&app, "SELECT DISTINCT created_at::text FROM subscribers").await.len(), 1, "all bear the beginning of the import");
}

#[tokio::test]
async fn two_imports_of_one_file_at_once_end_as_one() {
    let app = TestApp::new().await;
    let topic = make_topic(&app, "Back care").await;
    let forth: String = "email\n".to_owned() + &(0..4_500).map(|n| format!("p{n}@example.org\n")).collect::<String>();
    let back: String = "email\n".to_owned() + &(0..4_500).rev().map(|n| format!("P{n}@example.org\n")).collect::<String>();
    let (one, other) = tokio::join!(import(&app, &topic, Cursor::new(forth)), import(&app, &topic, Cursor::new(back)));
    let (one, other) = (one.expect("an import"), other.expect("an import"));
    assert_eq!((one.counts.new + other.counts.new, one.counts.unchanged + other.counts.unchanged), (4_500, 4_500));
    assert_eq!((count(&app, "subscribers").await, count(&app, "consents").await), (4_500, 4_500));
}

#[tokio::test]
async fn a_header_that_names_no_address_is_an_error_that_says_what_was_found() {
    let app = TestApp::new().await;
    let topic = make_topic(&app, "Back care").await;
    let mut errors = Vec::new();
    for file in ["", "ana@example.org,Ana\n", "address;name\n", "email,Email\n", "em\0ail,name\n"] {
        errors.push(import(&app, &topic, Cursor::new(file)).await.expect_err("no header").to_string());
    }
    insta::assert_snapshot!(errors.join("\n"), @r#"
    the first line must name the columns (email at least; name, zone and stage_date are read too): the file is empty
    the first line must name the columns (email at least; name, zone and stage_date are read too): it is a row of people
    the first line must name the columns (email at least; name, zone and stage_date are read too): none of `address`, `name` is known to hold addresses: say which does with --map email=COLUMN
    the first line must name the columns (email at least; name, zone and stage_date are read too): `email` and `Email` may both be the email: say which with --map email=COLUMN
    the first line must name the columns (email at least; name, zone and stage_date are read too): it is no text; save the file as CSV in UTF-8
    "#);
    assert_eq!(count(&app, "operator_acts").await, 0);
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "each sentence of the command line, one after the other")]
async fn the_command_line_says_what_is_missing_and_what_stands_against_an_address() {
    let app = TestApp::new().await;
    make_topic(&app, "Back care").await;
    std::fs::write(app.folder().join("people.csv"), "email\na@example.org\n").expect("a file");
    let mut session = String::new();
    for arguments in [
        &["import", "subscribers", "people.csv", "--topic", "Back care", "--confirmed-because", ""][..],
        &["import", "subscribers", "people.csv", "--confirmed-because", "x"],
        &["import", "subscribers", "nothing.csv", "--topic", "Back care", "--confirmed-because", "x"],
        &["import", "subscribers", "people.csv", "--topic", "Back", "--confirmed-because", "x"],
        &[
            "subscriber",
            "add",
            "a@example.org",
            "--topic",
            "back care",
            "--name",
            "Ana",
            "--zone",
            "europe/london",
            "--stage-date",
            "2026-01-05",
        ],
        &["subscriber", "add", "A@example.org", "--topic", "back care"],
        &["subscriber", "add", "a@example", "--topic", "back care"],
        &["subscriber", "add", "b@example.org", "--topic", "back care", "--zone", "Europe/Lodnon"],
        &["subscriber", "show", "b@example.org"],
        &["suppress", "add", "b@example.org", "--reason", "asked us by phone"],
        &["suppress", "add", "b@example.org"],
        &["subscriber", "add", "b@example.org", "--topic", "back care"],
        &["suppress", "remove", "a@example.org", "--reason", "x"],
        &["suppress", "remove", "b@example.org", "--reason", "asked us again"],
        &["suppress", "list"],
        &["suppress", "list", "--json"],
    ] {
        session += &said(&app, arguments);
    }
    insta::assert_snapshot!(without_dates(&session), @r#"
    $ tidings import subscribers people.csv --topic Back care --confirmed-because
    tidings: say how these people confirmed, e.g. --confirmed-because "ticked the box of the 2025 sign-up sheet": it is kept with each of them as the evidence
    (failed)
    $ tidings import subscribers people.csv --confirmed-because x
    tidings: say what these people confirmed: --topic T
    (failed)
    $ tidings import subscribers nothing.csv --topic Back care --confirmed-because x
    tidings: `nothing.csv` cannot be read: No such file or directory (os error 2)
    (failed)
    $ tidings import subscribers people.csv --topic Back --confirmed-because x
    tidings: there is no topic `Back`: the only one is `Back care`
    (failed)
    $ tidings subscriber add a@example.org --topic back care --name Ana --zone europe/london --stage-date 2026-01-05
    a@example.org is subscribed to `Back care`.
    $ tidings subscriber add A@example.org --topic back care
    A@example.org is subscribed to `Back care` already; nothing was changed.
    $ tidings subscriber add a@example --topic back care
    tidings: `a@example` was not added: it is not an email address of the form name@example.org (Too few parts in the domain)
    (failed)
    $ tidings subscriber add b@example.org --topic back care --zone Europe/Lodnon
    tidings: `b@example.org` was not added: `Europe/Lodnon` is no time zone of the tz database: expected a name such as `Europe/London`; did you mean `Europe/London` or `Europe/Lisbon`?
    (failed)
    $ tidings subscriber show b@example.org
    tidings: b@example.org is no subscriber, and nothing stands against the address
    (failed)
    $ tidings suppress add b@example.org --reason asked us by phone
    b@example.org is suppressed.
    $ tidings suppress add b@example.org
    b@example.org is suppressed already; nothing was changed.
    $ tidings subscriber add b@example.org --topic back care
    tidings: b@example.org was not added: the address is suppressed since [day] (manual: asked us by phone); `tidings suppress remove b@example.org --reason …` lifts that
    (failed)
    $ tidings suppress remove a@example.org --reason x
    tidings: a@example.org is not suppressed
    (failed)
    $ tidings suppress remove b@example.org --reason asked us again
    b@example.org: manual lifted. What was skipped meanwhile stays skipped.
    $ tidings suppress list
    0 suppressions.
    $ tidings suppress list --json
    []
    "#);
}

#[tokio::test]
async fn lists_and_what_is_known_of_a_person_come_as_json() {
    let app = TestApp::new().await;
    make_topic(&app, "Back care").await;
    for arguments in [
        &["subscriber", "add", "a@example.org", "--topic", "back care", "--zone", "europe/london"][..],
        &["suppress", "add", "b@example.org", "--reason", "asked us by phone"],
        &["suppress", "remove", "b@example.org", "--reason", "asked us again"],
    ] {
        said(&app, arguments);
    }
    let shown = app.binary().args(["subscriber", "show", "B@example.org", "--json"]).output().expect("a run");
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    assert_eq!(shown["suppressions"][0]["lifted_reason"], "asked us again");
    let listed = app.binary().args(["subscriber", "list", "--topic", "Back care", "--json"]).output().expect("a run");
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    assert_eq!(
        (&listed[0]["email"], &listed[0]["zone"], &listed[0]["topics"][0]["standing"]),
        (&"a@example.org".into(), &"Europe/London".into(), &"confirmed".into())
    );
}

async fn make_topic(app: &TestApp, name: &str) -> Topic {
    let slug = format!("slug-{}", name.to_lowercase().replace(' ', "-"));
    let id = query_scalar("INSERT INTO topics (slug, name) VALUES ($1, $2) RETURNING id").bind(&slug).bind(name);
    Topic { id: id.fetch_one(&app.db.pool).await.expect("a topic"), slug, name: name.to_owned() }
}

async fn add(app: &TestApp, topic: &Topic, email: &str) -> Outcome {
    let person = NewSubscriber::read(email, "", "", "").expect("a person");
    subscription::add(&app.db.pool, &app.keyring, topic, person, BECAUSE, app.now()).await.expect("an answer")
}

async fn suppress(app: &TestApp, email: &str) {
    let address = EmailAddress::parse(email).expect("an address");
    let stopped =
        stop::suppress(&app.db.pool, &app.keyring, Whom::Address(&address), Kind::Manual, "asked us", Source::Operator, app.now()).await;
    assert!(stopped.expect("a stop").changed);
}

async fn import(app: &TestApp, topic: &Topic, file: impl Read + Seek) -> Result<Imported, ImportError> {
    import_and_hear(app, topic, file).await.map(|(imported, _)| imported)
}

async fn import_and_hear(app: &TestApp, topic: &Topic, file: impl Read + Seek) -> Result<(Imported, Vec<Remark>), ImportError> {
    let mut table = Table::open(file, "people.csv", Map::default())?;
    let options = Options { topic: Some(topic), because: Some(BECAUSE) };
    let mut remarks = Vec::new();
    let hear = |heard: Heard<'_>| {
        if let Heard::Line(remark) = heard {
            remarks.push(remark.clone());
        }
    };
    let imported = import::import(&app.db.pool, &app.keyring, &mut table, options, app.now(), hear).await?;
    Ok((imported, remarks))
}

// Bit n of `pattern` says whether letter n is a capital.
fn spelled(address: &str, pattern: u32) -> String {
    let letter = |(n, c): (usize, char)| if pattern >> (n % 32) & 1 == 1 { c.to_ascii_uppercase() } else { c };
    address.chars().enumerate().map(letter).collect()
}

fn said(app: &TestApp, arguments: &[&str]) -> String {
    let run = app.binary().args(arguments).output().expect("a run");
    let (out, err) = (String::from_utf8_lossy(&run.stdout).into_owned(), String::from_utf8_lossy(&run.stderr).into_owned());
    format!("$ tidings {}\n{out}{err}{}", arguments.join(" ").trim_end(), if run.status.success() { "" } else { "(failed)\n" })
}

// The program has the machine's clock.
fn without_dates(text: &str) -> String {
    let mut parts = text.split("since ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + "since [day]" + &part[10..])
}

// Can be read whole while it is looked at, and then only to its hundred-thousandth byte.
struct Failing {
    file: Cursor<String>,
    passes: u32,
}

impl Read for Failing {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.passes > 3 && self.file.position() > 100_000 {
            return Err(io::Error::other("the disk is gone"));
        }
        let most = into.len().min(10_000);
        self.file.read(&mut into[..most])
    }
}

impl Seek for Failing {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.passes += 1;
        self.file.seek(to)
    }
}

async fn count(app: &TestApp, table: &str) -> i64 {
    let statement = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
    query_scalar(statement).fetch_one(&app.db.pool).await.expect("a count")
}

async fn number(app: &TestApp, statement: &'static str) -> i64 {
    query_scalar(statement).fetch_one(&app.db.pool).await.expect("a number")
}

async fn texts(app: &TestApp, statement: &'static str) -> Vec<String> {
    query_scalar(statement).fetch_all(&app.db.pool).await.expect("texts")
}
