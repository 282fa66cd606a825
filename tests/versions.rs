//! Templates of an operator's own, from the folder to the inbox: an edition keeps the version that it began with, on every host and
//! after every change; what begins later has the new one.

use std::fs;
use std::path::Path;

use jiff::SignedDuration;
use serde_json::Value;
use tidings::delivery::relay::{Answer, MemoryBox};
use tidings::delivery::reply::Phase;
use tidings::delivery::versions::{Change, REST, store};
use tidings::jobs::{self, App};

use crate::notices::mail::Mail;
use crate::support::story::{Story, WEEKLY, count, memory};
use crate::support::until;
use tidings::campaigns::edition;
use tidings::campaigns::states::Late;

const SUBJECT: &str = "weekly_tip/subject.txt.hbs";

#[tokio::test]
async fn an_edition_keeps_the_version_that_it_began_with_on_hosts_that_have_another_and_after_a_change() {
    let own = tempfile::tempdir().expect("a folder");
    write(own.path(), SUBJECT, "One: {{tip.subject}}");
    let (mut story, mails) = begun(own.path()).await;
    let app = story.jobs(vec![memory(&mails, 2)]);
    story.run_until_idle(&app).await;
    assert_eq!(beginnings(&mails), ["One"; 3], "two are deferred");

    // The folder changes, and is taken up without a restart.
    write(own.path(), SUBJECT, "The second: {{tip.subject}}");
    until("the folder to rest", || app.setup.templates.look() == Change::Taken).await;
    mails.clear();
    mails.answer_with(|_| Answer::Accept);
    // A host whose folder is another one, or has none, makes the rest of the edition.
    story.app.config.templates.folder = String::new();
    let other = story.jobs(vec![memory(&mails, 2)]);
    story.app.wait(SignedDuration::from_mins(20));
    story.run_until_idle(&other).await;
    assert_eq!(beginnings(&mails), ["One"; 2]);
    let edition = story.report().await;
    assert_eq!((&edition["state"], count(&edition, "sent")), (&"finished".into(), 5), "{edition}");

    // What begins now has the new one, whoever sends it.
    mails.clear();
    story.run_edition().await;
    story.run_until_idle(&app).await;
    assert_eq!(beginnings(&mails), ["The second"; 5]);
    assert_eq!(story.number("SELECT count(DISTINCT template_version) FROM editions").await, 2);
    keeps(&story, &app).await;
}

// What the schema holds, and what is pruned.
async fn keeps(story: &Story, app: &App) {
    let mut conn = story.conn().await;
    let other =
        sqlx::query("UPDATE editions SET template_version = (SELECT max(hash) FROM template_versions WHERE hash <> template_version)");
    let refused = other.execute(&mut *conn).await.expect_err("a refusal").to_string();
    assert!(refused.contains("began with"), "{refused}");
    let later = story.app.now() + SignedDuration::from_hours(48);
    assert_eq!(store::prune(&mut conn, later).await.expect("pruned"), 0, "both are in use");
    story.tamper("UPDATE editions SET template_version = NULL WHERE id = (SELECT min(id) FROM editions)").await;
    assert_eq!(store::prune(&mut conn, story.app.now()).await.expect("pruned"), 0, "an edition may be about to use it");
    assert_eq!(store::prune(&mut conn, later).await.expect("pruned"), 1);
    // The pump asks for the version of each edition once, and begins one that has none.
    let first = story.number("SELECT min(id) FROM editions").await;
    let version = app.setup.templates.begin(&mut conn, first, story.app.now()).await.expect("a version");
    assert_eq!(version, app.setup.templates.newest().files().version());
}

#[tokio::test]
async fn an_edition_whose_version_this_binary_cannot_use_is_paused_and_loses_nobody() {
    let own = tempfile::tempdir().expect("a folder");
    write(own.path(), SUBJECT, "One: {{tip.subject}}");
    let (mut story, mails) = begun(own.path()).await;
    story.run_until_idle(&story.jobs(vec![memory(&mails, 2)])).await;
    story.tamper("UPDATE template_versions SET files = jsonb_set(files, '{weekly_tip/body.txt}', '\"{{#if\"')").await;
    story.app.config.templates.folder = String::new();
    mails.answer_with(|_| Answer::Accept);
    story.app.wait(SignedDuration::from_mins(20));
    let other = story.jobs(vec![memory(&mails, 2)]);
    story.run_until_idle(&other).await;
    let edition = story.report().await;
    assert_eq!((&edition["state"], count(&edition, "sent"), count(&edition, "to_do")), (&"paused".into(), 3, 2), "{edition}");
    let why = story.texts("SELECT reason FROM editions WHERE state = 'paused'").await;
    assert!(why[0].contains("began with") && why[0].contains("weekly_tip/body.txt"), "{why:?}");
}

#[tokio::test]
async fn a_template_that_was_corrected_a_moment_ago_is_what_a_released_edition_begins_with() {
    let own = tempfile::tempdir().expect("a folder");
    write(own.path(), SUBJECT, "One: {{tip.subject}}");
    let (story, mails) = begun(own.path()).await;
    mails.answer_with(|_| Answer::Accept);
    story.turn_to("2026-01-13T08:50:00Z");
    story.tamper("UPDATE subscribers SET address = 'no address at all' WHERE id = 3").await;
    let app = story.jobs(vec![memory(&mails, 2)]);
    story.run_until_idle(&app).await;
    assert_eq!(story.texts("SELECT state FROM editions").await, ["held"]);
    story.tamper("UPDATE subscribers SET address = address_key WHERE id = 3").await;
    write(own.path(), SUBJECT, "The second: {{tip.subject}}");
    edition::release(&mut *story.conn().await, WEEKLY, story.app.now()).await.expect("released");
    story.turn_to("2026-01-13T09:00:00Z");
    story.run_until_idle(&app).await;
    assert_eq!(beginnings(&mails), ["The second"; 5]);
}

#[tokio::test]
async fn an_edition_waits_while_its_templates_are_being_copied_and_begins_with_all_of_them() {
    let own = tempfile::tempdir().expect("a folder");
    write(own.path(), SUBJECT, "One: {{tip.subject}}");
    let (story, mails) = begun(own.path()).await;
    mails.answer_with(|_| Answer::Accept);
    let app = story.jobs(vec![memory(&mails, 2)]);
    write(own.path(), SUBJECT, "The second: {{tip.subject}}");
    let copying = async {
        // It takes longer than a folder has to rest.
        for part in 0..12 {
            tokio::time::sleep(REST / 10).await;
            assert_eq!(story.number("SELECT count(template_version) FROM editions").await, 0, "part {part}");
            write(own.path(), SUBJECT, &format!("The second and {part} more: {{{{tip.subject}}}}"));
        }
    };
    tokio::join!(story.run_until_idle(&app), copying);
    assert_eq!(beginnings(&mails), ["The second and 11 more"; 5]);
}

#[tokio::test]
async fn an_edition_whose_templates_never_rest_is_not_begun_and_says_so() {
    let own = tempfile::tempdir().expect("a folder");
    write(own.path(), SUBJECT, "One: {{tip.subject}}");
    let (story, mails) = begun(own.path()).await;
    mails.answer_with(|_| Answer::Accept);
    let app = story.jobs(vec![memory(&mails, 2)]);
    jobs::sweep(&app).await.expect("a sweep");
    let edition = story.number("SELECT id FROM editions").await;
    let (planned, mut n) = (jobs::plan(&app, edition), 0);
    tokio::pin!(planned);
    let error = loop {
        n += 1;
        write(own.path(), SUBJECT, &format!("{}: {{{{tip.subject}}}}", "x".repeat(n)));
        tokio::select! {
            planned = &mut planned => break planned.expect_err("a restless folder").to_string(),
            () = tokio::time::sleep(REST / 10) => {}
        }
    };
    assert!(error.contains("is not begun") && error.contains("templates.folder") && error.contains("each minute"), "{error}");
    assert_eq!(story.number("SELECT count(*) FROM deliveries").await, 0);
    story.run_until_idle(&app).await;
    assert_eq!(mails.handed().len(), 5);
}

#[tokio::test]
async fn a_version_that_this_binary_cannot_use_holds_the_edition_until_it_is_planned_with_another() {
    let own = tempfile::tempdir().expect("a folder");
    write(own.path(), SUBJECT, "One: {{tip.subject}}");
    let (story, mails) = begun(own.path()).await;
    mails.answer_with(|_| Answer::Accept);
    let app = story.jobs(vec![memory(&mails, 2)]);
    // As a newer binary would have begun it.
    story.plan().await;
    let newer = "0a".repeat(32);
    let files = r#"{"weekly_tip/body.txt": "a\n{{#when topic}}b{{/when}}"}"#;
    story.tamper(&format!("INSERT INTO template_versions VALUES ('{newer}', '{files}', now())")).await;
    story.tamper(&format!("UPDATE editions SET template_version = '{newer}'")).await;
    story.run_until_idle(&app).await;
    let why = story.texts("SELECT reason FROM editions WHERE state = 'held'").await;
    assert!(why[0].starts_with("pre-flight found templates (5)"), "{why:?}");
    let shown = story.tidings(&["campaign", "show", WEEKLY]).await;
    assert!(shown.contains("weekly_tip/body.txt.hbs of version 0a0a0a0a0a0a:2: `#when`") && shown.contains("run the binary"), "{shown}");
    assert_eq!(mails.handed().len(), 0);

    // It is not compiled for each mail, and not believed for ever.
    story.tamper(&format!("UPDATE template_versions SET files = '{{}}' WHERE hash = '{newer}'")).await;
    let (templates, pool, now) = (&app.setup.templates, &story.app.db.pool, story.app.now());
    assert!(templates.of_version(pool, &newer, now + SignedDuration::from_mins(4)).await.is_err());
    assert!(templates.of_version(pool, &newer, now + SignedDuration::from_mins(6)).await.is_ok());

    // A look says what planning it anew would come to, and so it does.
    let (said, _) = story.both(&["campaign", "preflight", WEEKLY]).await;
    assert!(said.contains("5 mails made and looked at") && !said.contains("templates"), "{said}");
    edition::release(&mut *story.conn().await, WEEKLY, story.app.now()).await.expect("released");
    story.run_until_idle(&app).await;
    assert_eq!(beginnings(&mails), ["One"; 5]);
}

#[tokio::test]
async fn an_operator_lists_copies_edits_and_checks() {
    let own = tempfile::tempdir().expect("a folder");
    let folder = own.path().join("ours");
    let story = Story::with(&[("TIDINGS_TEMPLATES__FOLDER", folder.to_str().expect("text"))]).await;
    let said = story.tidings_refuses(&["template", "copy", "offers"]).await;
    assert!(said.contains("no template `offers`") && said.contains("offer_reminder"), "{said}");
    let copied = story.tidings(&["template", "copy", "offer", "layout"]).await;
    assert_eq!(copied.lines().count(), 10, "{copied}");
    let said = story.tidings_refuses(&["template", "copy", "offer"]).await;
    assert!(said.contains("offer/body.mjml.hbs") && said.contains("--force"), "{said}");
    story.tidings(&["template", "copy", "offer", "--force"]).await;
    let listed: Value = serde_json::from_str(&story.tidings(&["template", "list", "--json"]).await).expect("JSON");
    let ours = listed.as_array().expect("files").iter().filter(|file| file["from"] != "built-in").count();
    assert_eq!((ours, listed.as_array().expect("files").len()), (10, 45));
    let table = story.tidings(&["template", "list"]).await;
    assert!(table.contains("built-in") && table.contains("ours"), "{table}");
    story.tidings(&["template", "check"]).await;

    write(&folder, "offer/body.txt.hbs", "a\n{{env \"PATH\"}}\n{{> nobody}}");
    write(&folder, "ofer/body.txt.hbs", "a");
    let output = story.app.binary().env("TIDINGS_TEMPLATES__FOLDER", &folder).args(["template", "check"]).output().expect("the binary");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("ofer/body.txt.hbs belongs to no template"), "{said}");
    fs::remove_dir_all(folder.join("ofer")).expect("removed");
    let output = story.app.binary().env("TIDINGS_TEMPLATES__FOLDER", &folder).args(["template", "check"]).output().expect("the binary");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("offer/body.txt.hbs:2: `env`") && said.contains("offer/body.txt.hbs:3: there is no part `nobody`"), "{said}");
    write(&folder, "offer/body.txt.hbs", "a\n{{nobody.knows}}");
    let output = story.app.binary().env("TIDINGS_TEMPLATES__FOLDER", &folder).args(["template", "check"]).output().expect("the binary");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success() && said.contains("offer/body.txt.hbs:2: the field `nobody.knows`"), "{said}");
    // A start is refused.
    let said = story.tidings_refuses(&["worker", "--until-idle"]).await;
    assert!(said.contains("offer/body.txt.hbs:2") || said.contains("relays"), "{said}");
}

// Five people, two of whom the relay defers at first, on the morning of the edition.
async fn begun(folder: &Path) -> (Story, MemoryBox) {
    let story = Story::with(&[("TIDINGS_TEMPLATES__FOLDER", folder.to_str().expect("text"))]).await;
    story.tips(3).await;
    story.subscribers(5).await;
    story.campaign(Late::Ask).await;
    let mails = MemoryBox::default();
    mails.answer_with(|mail| match mail.to.as_str() {
        "person-1@example.org" | "person-2@example.org" => Answer::Reply(Phase::Rcpt, "451 4.3.0 later".to_owned()),
        _ => Answer::Accept,
    });
    story.turn_to("2026-01-13T09:00:00Z");
    (story, mails)
}

// What the subjects of the mails begin with, in order.
fn beginnings(mails: &MemoryBox) -> Vec<String> {
    let subjects = mails.handed().into_iter().map(|mail| Mail::read(&mail.message).subject());
    let mut found: Vec<String> = subjects.map(|subject| subject.split(':').next().unwrap_or_default().to_owned()).collect();
    found.sort();
    found
}

fn write(folder: &Path, file: &str, text: &str) {
    let path = folder.join(file);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, text).expect("a file");
}
