//! Every kind of blocking finding holds an edition and says what to do. Each story has one fault and no other.

use tidings::campaigns::campaign;
use tidings::delivery::relay::MemoryBox;

use super::stage::{IN_THE_LEAD, START, blocking, held, preflight, words};
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

async fn begin(story: &Story) {
    story.tips(1).await;
    story.subscribers(3).await;
    story.campaign(tidings::campaigns::states::Late::Ask).await;
}
