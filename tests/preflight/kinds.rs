//! Every kind of blocking finding holds an edition and says what to do. Each story has one fault and no other.

use std::path::Path;

use tidings::campaigns::campaign;
use tidings::campaigns::preflight::{Kind, Severity};
use tidings::delivery::relay::MemoryBox;
use tidings::delivery::render::check::{Wanted, faults};
use tidings::delivery::render::{Foot, Rendered};

use super::stage::{IN_THE_LEAD, START, blocking, check_one_portion, claim, held, preflight, words};
use crate::support::story::{Story, WEEKLY, count, memory};

async fn holds(story: &Story, kind: &str, what_to_do: &str) {
    let mails = MemoryBox::default();
    let app = story.jobs(vec![memory(&mails, 1)]);
    let found = preflight(story).await;
    assert_eq!(blocking(&found), [kind], "{found}");
    assert!(found["findings"][0]["says"].as_str().expect("a sentence").contains(what_to_do), "{found}");
    story.turn_to(IN_THE_LEAD);
    story.run_until_idle(&app).await;
    story.turn_to(START);
    story.run_until_idle(&app).await;
    assert!(held(story).await.contains(&kind.replace('_', " ")));
    assert_eq!((mails.handed().len(), count(&story.report().await, "sent")), (0, 0));
}

#[tokio::test]
async fn no_recipients() {
    holds(&Story::ready(1, 0).await, "no_recipients", "tidings subscriber").await;
}

#[tokio::test]
async fn no_approved_tips() {
    let story = Story::ready(1, 3).await;
    story.tamper("UPDATE tips SET state = 'draft'").await;
    holds(&story, "no_approved_tips", "tidings tip approve").await;
}

#[tokio::test]
async fn an_empty_subject() {
    let story = Story::ready(1, 3).await;
    // Visible to the schema, and to nobody else.
    story.tamper("UPDATE tip_revisions SET subject = E'\\u200f'").await;
    holds(&story, "empty_subject", "tidings tip edit ID --subject").await;
}

#[tokio::test]
async fn a_template_that_fails_for_somebody() {
    let story = Story::ready(1, 3).await;
    story.tamper("UPDATE topics SET list_label = 'no label'").await;
    holds(&story, "mail_fails", "correct the template").await;
}

#[tokio::test]
async fn a_postal_address_that_is_not_there() {
    let story = Story::with(&[("TIDINGS_SITE__POSTAL_ADDRESS", "")]).await;
    begin(&story).await;
    holds(&story, "no_postal_address", "site.postal_address").await;
}

#[tokio::test]
async fn links_that_are_not_https() {
    let story = Story::with(&[("TIDINGS_SITE__URL", "http://tips.example.org")]).await;
    begin(&story).await;
    let found = preflight(&story).await;
    assert!(blocking(&found).contains(&"public_url".to_owned()), "{found}");
    assert!(!found.to_string().contains("/u/"), "no link of one person's own is shown: {found}");
}

#[tokio::test]
async fn an_html_part_that_would_be_cut() {
    let story = Story::ready(1, 3).await;
    words(&story, 1, &"A long tip that goes on and on. ".repeat(4_000)).await;
    holds(&story, "html_too_large", "shorten").await;
}

#[tokio::test]
async fn a_placeholder_that_nobody_filled() {
    let story = Story::ready(1, 3).await;
    words(&story, 1, "Dear {{name}}, look after the kettle.").await;
    holds(&story, "placeholder", "write the word itself").await;
}

#[tokio::test]
async fn a_start_in_the_past_is_told_before_the_edition_is_opened() {
    let story = Story::ready(1, 3).await;
    story.turn_to("2026-01-13T16:00:00Z");
    let found = preflight(&story).await;
    assert_eq!(blocking(&found), ["start_in_the_past"], "{found}");
}

#[tokio::test]
async fn one_that_is_over_has_nothing_to_be_checked() {
    let story = Story::ready(1, 3).await;
    campaign::cancel(&mut *story.conn().await, WEEKLY, story.app.now()).await.expect("cancelled");
    assert!(story.tidings_refuses(&["campaign", "preflight", WEEKLY]).await.contains("no edition of it is to come"));
}

#[tokio::test]
async fn an_image_without_alternative_text() {
    let refused = refused_at_start("weekly_tip/body.mjml.hbs", "{{{tip.body_html}}}", "<img src=\"https://tips.example.org/a.png\">").await;
    assert!(refused.contains("the templates cannot be used"), "{refused}");
    let mut mail = sound();
    mail.html = mail.html.replace("</h1>", "</h1><img src=\"https://tips.example.org/a.png\">");
    holds_for(&mail, "no_alt_text", "give it one").await;
}

#[tokio::test]
async fn a_way_out_that_is_not_there() {
    let refused = refused_at_start("layout/foot.txt.hbs", "{{unsubscribe_url}}", "by post").await;
    assert!(refused.contains("mails with findings"), "{refused}");
    let mut mail = sound();
    mail.text = mail.text.replace(OUT, "by post");
    holds_for(&mail, "no_unsubscribe_link", "the template's foot").await;
}

const OUT: &str = "https://example.org/u/x";
const PREFERENCES: &str = "https://example.org/preferences/x";

// Nothing is found in it.
fn sound() -> Rendered {
    let foot = format!("{PREFERENCES} {OUT} 1 Street");
    Rendered { subject: "A subject".into(), text: foot.clone(), html: format!("<html lang=\"en\"><h1>A</h1><p>{foot}</p></html>") }
}

// Templates never come to make such a mail, so the check is shown one; what it finds then holds an edition.
async fn holds_for(mail: &Rendered, word: &str, what_to_do: &str) {
    let wanted = Wanted {
        foot: Foot::Topic,
        button_url: None,
        preferences_url: PREFERENCES,
        unsubscribe_url: OUT,
        entry_url: "https://example.org/waitlist/x/y",
        postal_address: "1 Street",
    };
    assert_eq!(faults(&sound(), &wanted).len(), 0);
    let kinds: Vec<Kind> = faults(mail, &wanted).into_iter().map(|fault| Kind::Mail(fault.kind)).collect();
    let kind = kinds.into_iter().find(|kind| kind.as_str() == word).expect("it is found");
    assert!(kind.severity() == Severity::Blocking && kind.says().contains(what_to_do), "{}", kind.says());

    let story = Story::ready(1, 3).await;
    let app = story.jobs(Vec::new());
    story.turn_to(IN_THE_LEAD);
    story.plan().await;
    story
        .tamper(&format!(
            "INSERT INTO preflight_findings (edition_id, kind, severity, recipients) SELECT id, '{word}', 'blocking', 1 FROM editions"
        ))
        .await;
    assert!(check_one_portion(&story, &app).await);
    assert!(held(&story).await.contains(&format!("{} (1)", word.replace('_', " "))));
    story.turn_to(START);
    assert_eq!(claim(&story, 10).await, 0);
}

// What is said of an operator's templates, of which one differs in one place.
async fn refused_at_start(part: &str, from: &str, to: &str) -> String {
    let own = tempfile::tempdir().expect("a folder");
    let path = own.path().join(part);
    let built_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/email").join(part);
    let built_in = std::fs::read_to_string(built_in).expect("a part");
    assert!(built_in.contains(from), "{part}");
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(&path, built_in.replace(from, to)).expect("a file");
    let story = Story::with(&[("TIDINGS_TEMPLATES__FOLDER", own.path().to_str().expect("text"))]).await;
    story.tidings_refuses(&["template", "check"]).await
}

async fn begin(story: &Story) {
    story.tips(1).await;
    story.subscribers(3).await;
    story.campaign(tidings::campaigns::states::Late::Ask).await;
}
