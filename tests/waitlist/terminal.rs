//! What operators type about a waitlist, through the real binary.

use serde_json::Value;
use tidings::base::clock::{Clock, SystemClock};

use super::stage::{SLUG, Stage};

const OPENING: [&str; 9] = ["opening", "create", SLUG, "--seats", "2", "--zone", "Europe/London", "--offer-for", "48h"];

#[tokio::test]
async fn an_opening_is_tried_made_watched_and_changed_from_the_terminal() {
    let (stage, entries) = Stage::with(4).await;
    stage.suppress(entries[0]).await;
    // The binary goes by the machine's clock.
    let opens = format!("{:.0}", SystemClock.now());
    let opening = [&OPENING[..], &["--number", "1", "--opens", &opens]].concat();
    let dry = json(&stage, &[&opening[..], &["--dry-run", "--json"]].concat());
    let offered: Vec<i64> = dry["offered"].as_array().unwrap().iter().map(|c| c["entry"].as_i64().unwrap()).collect();
    assert_eq!(offered, entries[1..3]);
    assert_eq!(dry["passed_over"], serde_json::json!([{ "entry": entries[0], "why": "suppressed: manual" }]));
    assert!(said(&stage, &[&opening[..], &["--dry-run"]].concat()).ends_with("Nothing was written.\n"));
    assert_eq!(stage.number("SELECT count(*) FROM openings").await, 0);
    assert!(said(&stage, &opening).starts_with("Opening 1 of `course` is open"));
    assert!(said(&stage, &opening).contains("exists already"));
    assert_eq!(stage.offered().await, offered);

    let report = json(&stage, &["opening", "report", SLUG, "--json"]);
    let figures = ["seats", "open", "held", "free", "waiting", "passed_over"].map(|name| report[name].as_i64().unwrap());
    assert_eq!(figures, [2, 2, 2, 0, 1, 1], "{report}");
    assert!(said(&stage, &["opening", "report", SLUG]).contains("its mail has not left"));
    assert_eq!(json(&stage, &["opening", "seats", SLUG, "-1", "--json"]), serde_json::json!({ "seats": 1, "given": 0, "excess": 1 }));
    assert_eq!(json(&stage, &["opening", "seats", SLUG, "+2", "--json"]), serde_json::json!({ "seats": 3, "given": 1, "excess": 0 }));
    let offer = stage.offer_of(entries[3]).await.to_string();
    assert!(said(&stage, &["offer", "revoke", &offer, "--reason", "a mistake"]).contains("is revoked"));
    let last = entries[3].to_string();
    assert!(said(&stage, &["offer", "give", SLUG, &last, "--reason", "it was ours"]).contains("is made to entry"));
    assert!(said(&stage, &["entry", "prioritise", &entries[0].to_string(), "-3", "--reason", "a test"]).contains("priority -3"));
    let list = json(&stage, &["entry", "list", SLUG, "--json"]);
    assert_eq!(list.as_array().unwrap().len(), 4);
    assert!(said(&stage, &["entry", "remove", &last, "--reason", "a test"]).contains("A seat that is free goes to the next"));
    assert!(said(&stage, &["program", "close", SLUG, "--yes"]).contains("is closed"));
    assert!(refused(&stage, &["opening", "seats", SLUG, "+1"]).contains("opening 1 is closed"));
    assert!(refused(&stage, &["program", "show", "corse"]).contains("did you mean `course`?"));
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_the_way_out_and_people_are_found_by_their_addresses() {
    let (stage, entries) = Stage::with(2).await;
    let opens = |text: &str| refused(&stage, &[&OPENING[..], &["--dry-run", "--opens", text]].concat());
    assert!(opens("2031-03-30 01:30").contains("there is no 2031-03-30 01:30 in Europe/London"));
    assert!(opens("2031-10-26 01:30").contains("say `2031-10-26 01:30+01:00` or `2031-10-26 01:30+00:00`"));
    assert!(opens("2031-10-26").contains("is no time"));
    assert!(opens("2021-10-26 09:00").contains("long past"));
    assert!(refused(&stage, &["program", "edit", SLUG, "--starts", "2021-10-26 09:00"]).contains("is past"));
    assert!(refused(&stage, &["program", "edit", SLUG]).contains("nothing to change"));
    said(&stage, &["program", "edit", SLUG, "--enrolment-ends", "2031-10-26 09:00"]);
    assert!(opens("2032-10-26 09:00").contains("`tidings program edit course`"), "nobody could take a seat any more");

    assert!(said(&stage, &["entry", "prioritise", "Person-1@example.org", "2", "--reason", "a test"]).contains(&entries[1].to_string()));
    assert!(refused(&stage, &["entry", "remove", "person-9@example.org", "--reason", "a test"]).contains("waits for no program"));
    assert!(refused(&stage, &["entry", "remove", "nobody", "--reason", "a test"]).contains("expected its number or an address"));
    said(&stage, &["program", "create", "winter", "--name", "Winter"]);
    let winter = stage.number("SELECT id FROM programs WHERE slug = 'winter'").await;
    let subscriber = stage.person(1).await;
    tidings::waitlist::entry::join(&mut *stage.conn().await, winter, subscriber, stage.now()).await.expect("an entry");
    let remove = ["entry", "remove", "person-1@example.org", "--reason", "a test"];
    assert!(refused(&stage, &remove).contains("several programs: name one of them with --program (course, winter)"));
    assert!(said(&stage, &[&remove[..], &["--program", "winter"]].concat()).contains("is removed"));
    assert_eq!(stage.state(entries[1]).await, "waiting");
}

fn said(stage: &Stage, arguments: &[&str]) -> String {
    let output = stage.app.binary().args(arguments).output().expect("the binary");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn refused(stage: &Stage, arguments: &[&str]) -> String {
    let output = stage.app.binary().args(arguments).output().expect("the binary");
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    String::from_utf8(output.stderr).expect("text")
}

fn json(stage: &Stage, arguments: &[&str]) -> Value {
    serde_json::from_str(&said(stage, arguments)).expect("JSON")
}
