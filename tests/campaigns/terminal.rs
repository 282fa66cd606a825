//! The same from the terminal: exit codes, sentences and the shape of the JSON, with the real binary.

use serde_json::Value;

use super::story::{NAME, Story};

#[tokio::test]
async fn an_operator_creates_runs_and_counts_from_the_terminal() {
    let story = Story::new(2).await;
    story.add_person("Ana", "").await;
    let ok = |arguments: &[&str]| -> String {
        let done = story.app.binary().arg("campaign").args(arguments).assert().success();
        String::from_utf8(done.get_output().stdout.clone()).expect("text")
    };
    let refused = |arguments: &[&str]| -> String {
        let done = story.app.binary().arg("campaign").args(arguments).assert().code(1);
        String::from_utf8(done.get_output().stderr.clone()).expect("text")
    };
    let made = ok(&["create", "weekly", NAME, "--series", "Tips", "--cron", "0 9 * * 2", "--zone", "Europe/London", "--subscriber-zone"]);
    assert!(made.starts_with("Campaign `weekly tips` is scheduled. Its next edition is that of "), "{made}");
    let second = ["create", "weekly", "fridays", "--series", "Tips", "--at", "Fri 09:00", "--zone", "Europe/London"];
    let beside = story.app.binary().arg("campaign").args(second).assert().success();
    let note = String::from_utf8_lossy(&beside.get_output().stderr).into_owned();
    assert!(note.contains("campaign `weekly tips` sends the tips of series `Tips` to the same subscribers."), "{note}");
    assert!(note.contains("Each tip goes once to a person") && note.contains("`tidings campaign cancel 'weekly tips'`"), "{note}");
    ok(&["cancel", "fridays", "--yes"]);
    assert!(refused(&["pause", "weekly tip"]).contains("`weekly tips`"));
    let next: Value = serde_json::from_str(&ok(&["next", NAME, "--weeks", "3", "--json"])).expect("JSON");
    assert_eq!(next["editions"].as_array().map(Vec::len), Some(3));

    let run: Value = serde_json::from_str(&ok(&["run", NAME, "--json"])).expect("JSON");
    assert!(refused(&["run", NAME]).contains("less than six days ago: say --yes"));
    story.sweep().await;
    let report = ok(&["report", NAME, "--json"]);
    let edition = run["edition"].as_str().expect("an instant");
    let counts = r#""planned":1,"sent":0,"failed":0,"skipped":0,"unconfirmed":0,"cancelled":0,"to_do":1,"reasons":{},"details_kept":true"#;
    let wanted =
        format!(r#"{{"campaign":"weekly tips","state":"running","editions":[{{"edition":"{edition}","state":"running",{counts}}}]}}"#);
    assert_eq!(report.replace(['\n'], "").replace("  ", "").replace("\": ", "\":"), wanted);
    let lines = ok(&["report", NAME, "--edition", edition, "--deliveries", "--json"]);
    let line: Value = serde_json::from_str(&lines).expect("one line of JSON");
    let label = &story.app.db.label;
    assert_eq!(line["state"], "queued");
    assert_eq!((&line["reason"], &line["handing_over_at"]), (&Value::Null, &Value::Null));
    assert!(line["message_id"].as_str().is_some_and(|id| id.starts_with('<') && id.ends_with(&format!(".{label}@example.org>"))), "{line}");
    assert!(line["email"].as_str().is_some_and(|email| email.ends_with("@example.org")));

    let cancelled: Value = serde_json::from_str(&ok(&["cancel", NAME, "--json"])).expect("JSON");
    assert_eq!(cancelled["cancelled"], 1);
    assert!(ok(&["report", NAME]).contains("1 campaign cancelled"));
}
