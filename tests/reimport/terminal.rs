//! The same as an operator sees it: the report, the dry run, the diff, the notes.

use std::fs;

use super::article::Article;
use super::{first, revised};
use crate::support::TestApp;

fn run(app: &TestApp, article: &Article, arguments: &[&str]) -> String {
    fs::write(app.folder().join("house.md"), article.markdown()).expect("an article");
    let output = app.binary().args(["import", "article", "house.md", "--series", "Tips"]).args(arguments).assert().success();
    String::from_utf8(output.get_output().stdout.clone()).expect("text")
}

fn tip(app: &TestApp, arguments: &[&str]) -> String {
    let output = app.binary().arg("tip").args(arguments).assert().success();
    String::from_utf8(output.get_output().stdout.clone()).expect("text")
}

#[tokio::test]
async fn an_import_again_is_told_with_counts_names_and_what_differs() {
    let app = TestApp::new().await;
    assert!(run(&app, &first(), &["--dry-run"]).contains("would be new in the series `Tips`: 7 tips at its end."));
    assert!(run(&app, &first(), &["--approve"]).contains("7 tips added"));
    let dry = run(&app, &revised(), &["--dry-run"]);
    let counts = "in the series `Tips`: 1 unchanged, 4 changed, 1 split off, 1 merged, 1 vanished, 1 new.";
    assert!(dry.contains("would be revised") && dry.contains(counts), "{dry}");
    let json: serde_json::Value = serde_json::from_str(&run(&app, &revised(), &["--dry-run", "--json"])).expect("JSON");
    assert_eq!((&json["outcomes"][0]["outcome"], &json["outcomes"][0]["counts"]["changed"]), (&"revised".into(), &4.into()));
    assert!(json["outcomes"][0]["segments"][2]["diff"].as_str().is_some_and(|diff| diff.contains("\n-Then the ")));

    let told = run(&app, &revised(), &[]);
    assert!(told.contains("is revised") && told.contains(counts) && told.contains("merged into tip 4"), "{told}");
    assert!(tip(&app, &["list"]).contains("draft (source changed; overlaps tip 5)"));
    let diff = tip(&app, &["diff", "2"]);
    assert!(diff.starts_with("Tip 2, from revision 1 (import) to 2 (import):"), "{diff}");
    assert_eq!(diff.lines().filter(|line| line.starts_with('+')).count(), 1);
    assert!(tip(&app, &["show", "2", "--revision", "1"]).contains("Revision:   1 (import"));
    assert!(tip(&app, &["new", "8"]).contains("goes also to 0 subscribers"));
    let approved = tip(&app, &["approve", "--all"]);
    assert!(approved.contains("6 tips are approved"), "{approved}");
    assert!(approved.contains("1 draft was left as it is") && approved.contains("(tip 5 into tip 4)"), "{approved}");
    assert!(approved.contains("`tidings tip retire 5`") && approved.contains("`tidings tip new 5`"), "{approved}");
    let refused = app.binary().args(["tip", "new", "5", "1"]).assert().code(1);
    let said = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
    assert!(said.contains("tip 1 overlaps no other tip and went into none"), "{said}");
    assert!(run(&app, &revised(), &[]).contains("nothing changed."), "tip 5 waits for a word of its own: tip 4 has its words");
}

#[tokio::test]
async fn a_dry_run_without_a_database_shows_the_tips_alone() {
    let app = TestApp::new().await;
    fs::write(app.folder().join("house.md"), first().markdown()).expect("an article");
    let output = app.binary().env_remove("DATABASE_URL").args(["import", "article", "house.md", "--dry-run"]).assert().success();
    let told = String::from_utf8(output.get_output().stdout.clone()).expect("text");
    assert!(told.contains("7 tips, 0 references") && !told.contains("series"), "{told}");
}
