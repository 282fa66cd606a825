//! What an operator did to a tip before its article was imported again, and what she may say afterwards.

use jiff::SignedDuration;
use tidings::content::store::{self, Edit, Imported, Kind, TipError};
use tidings::people::stop::{self, Scope, Source, Undone};

use super::article::{self, Article, approve_all, given_to, given_twice, import};
use super::{first, revised};
use crate::campaigns::story::Story;

#[tokio::test]
async fn an_operators_edit_stays_in_the_history_and_the_approved_revision_can_be_read() {
    let story = Story::new(0).await;
    import(&story, &first(), true).await;
    let mut conn = story.conn().await;
    let subject = Edit { subject: Some("Clean windows".to_owned()), ..Edit::default() };
    store::edit(&mut conn, 2, &subject, story.app.now()).await.expect("an edit");
    let Imported::Revised(report) = import(&story, &revised(), false).await else { panic!("it has changed") };
    let window = report.segments.iter().find(|line| line.tip == Some(2)).expect("the window");
    assert!(window.edited && window.kind == Kind::Changed);
    let diff = window.diff.as_deref().expect("a diff");
    assert_eq!(diff.lines().filter(|line| line.starts_with(['+', '-'])).count(), 2, "one sentence for another:\n{diff}");

    let tip = store::show(&mut conn, 2).await.expect("a tip");
    assert_eq!((tip.row.note.as_deref(), tip.revision, tip.approved_revision), (Some("source changed under an edit"), 3, Some(2)));
    assert_eq!(store::show_revision(&mut conn, 2, 2).await.expect("the edit").row.subject, "Clean windows");
    assert!(matches!(store::show_revision(&mut conn, 2, 4).await, Err(TipError::UnknownRevision { id: 2, number: 4 })));
    // A second change while it is a draft: what was approved is still the same revision.
    import(&story, &revised().with("Window", [111]), false).await;
    let tip = store::show(&mut conn, 2).await.expect("a tip");
    assert_eq!((tip.row.note.as_deref(), tip.revision, tip.approved_revision), (Some("source changed"), 4, Some(2)));
    store::approve(&mut conn, &[2], story.app.now()).await.expect("approved");
    let tip = store::show(&mut conn, 2).await.expect("a tip");
    assert_eq!((tip.row.note, tip.row.state.as_str(), tip.approved_revision), (None, "approved", None));
}

#[tokio::test]
async fn an_edit_is_no_change_of_the_source_and_a_retired_tip_stays_retired() {
    let story = Story::new(0).await;
    import(&story, &first(), true).await;
    let mut conn = story.conn().await;
    let other = Edit { markdown: Some("Quite other words than the article has.".to_owned()), ..Edit::default() };
    store::edit(&mut conn, 1, &other, story.app.now()).await.expect("an edit");
    store::retire(&mut conn, &[2, 5], story.app.now()).await.expect("retired");
    import(&story, &revised(), true).await;
    let states = "SELECT id || ' ' || state || ' ' || (SELECT number FROM tip_revisions r WHERE r.id = revision_id) FROM tips WHERE id IN (1, 2, 5) ORDER BY id";
    assert_eq!(story.texts(states).await, ["1 approved 2", "2 retired 2", "5 retired 1"]);
}

#[tokio::test]
async fn what_an_operator_edited_or_kept_back_is_looked_at_even_when_all_is_to_be_approved() {
    let story = Story::new(0).await;
    import(&story, &first().without("Lamp"), true).await;
    import(&story, &first(), false).await;
    import(&story, &first().with("Kettle", [120]), false).await;
    let mut conn = story.conn().await;
    let subject = Edit { subject: Some("Clean windows".to_owned()), ..Edit::default() };
    store::edit(&mut conn, 2, &subject, story.app.now()).await.expect("an edit");
    let all = ["Kettle", "Window", "Garden", "Lamp"].into_iter().enumerate();
    import(&story, &all.fold(first(), |article, (n, name)| article.with(name, [130 + n])), true).await;
    let states = "SELECT id || ' ' || state || coalesce(' ' || note, '') FROM tips WHERE id IN (1, 2, 3, 7) ORDER BY id";
    let states = story.texts(states).await;
    assert_eq!(states, ["1 draft source changed", "2 draft source changed under an edit", "3 approved", "7 draft source changed"]);
}

#[tokio::test]
async fn an_edit_of_words_that_an_import_has_replaced_meanwhile_is_refused() {
    let story = Story::new(0).await;
    import(&story, &first(), true).await;
    import(&story, &revised(), false).await;
    let mut conn = story.conn().await;
    let edit = |revision| Edit { subject: Some("Clean windows".to_owned()), revision: Some(revision), ..Edit::default() };
    let refused = store::edit(&mut conn, 2, &edit(1), story.app.now()).await.expect_err("it was begun before the import");
    assert!(matches!(refused, TipError::Revised { id: 2, edited: 1, current: 2 }), "{refused}");
    assert_eq!(store::show(&mut conn, 2).await.expect("a tip").row.note.as_deref(), Some("source changed"));
    assert_eq!(store::edit(&mut conn, 2, &edit(2), story.app.now()).await.expect("an edit"), Some(3));
}

#[tokio::test]
async fn what_vanished_is_flagged_until_it_is_back() {
    let story = Story::new(0).await;
    import(&story, &first(), true).await;
    let mut conn = story.conn().await;
    import(&story, &first().without("Lamp"), false).await;
    let note = async |conn: &mut sqlx::PgConnection| store::show(conn, 6).await.expect("a tip").row;
    let row = note(&mut conn).await;
    assert_eq!((row.state.as_str(), row.note.as_deref()), ("approved", Some("no longer in the article")));
    assert_eq!(import(&story, &first().without("Lamp"), false).await, Imported::Unchanged { drafts: 0 });
    let Imported::Revised(report) = import(&story, &first(), false).await else { panic!("the lamp is back") };
    assert!(report.segments.iter().all(|line| line.kind == Kind::Unchanged && line.back == (line.tip == Some(6))));
    assert_eq!(note(&mut conn).await.note, None);
}

#[tokio::test]
async fn a_tip_that_overlaps_goes_to_everyone_once_an_operator_says_that_it_is_new() {
    let story = Story::new(0).await;
    import(&story, &first(), true).await;
    story.schedule().await;
    story.add_person("Ana", "").await;
    article::editions(&story, 7).await;
    import(&story, &revised(), false).await;
    let mut conn = story.conn().await;
    let hose = store::show(&mut conn, 8).await.expect("the hose");
    assert_eq!(hose.row.note.as_deref(), Some("overlaps tip 3"));
    approve_all(&story).await;
    article::editions(&story, 2).await;
    assert!(given_to(&story, "Ana").await.contains(&90), "the stairs are new to her");
    assert_eq!(given_twice(&story).await, Vec::<String>::new());
    assert_eq!(store::declare_new(&mut conn, &[8], story.app.now()).await.expect("new"), 1);
    article::editions(&story, 2).await;
    assert_eq!(given_twice(&story).await.len(), 4, "by the operator's word");
    assert_eq!(store::show(&mut conn, 8).await.expect("the hose").row.note, None);
}

#[tokio::test]
async fn a_tip_that_went_into_another_one_is_approved_only_when_an_operator_says_that_it_is_new() {
    let story = Story::new(0).await;
    import(&story, &first(), true).await;
    import(&story, &revised(), false).await;
    let mut conn = story.conn().await;
    let refused = store::approve(&mut conn, &[4, 5], story.app.now()).await.expect_err("the table has the words of the hinge");
    assert!(matches!(refused, TipError::Merged { id: 5, into: 4 }), "{refused}");
    assert!(!store::drafts(&mut conn, None).await.expect("drafts").contains(&5));
    store::declare_new(&mut conn, &[5], story.app.now()).await.expect("new");
    assert_eq!(store::approve(&mut conn, &[5], story.app.now()).await.expect("approved"), [5]);
    assert!(matches!(store::declare_new(&mut conn, &[77], story.app.now()).await, Err(TipError::Unknown(77))));
}

#[tokio::test]
async fn what_was_merged_and_parted_again_is_not_sent_to_those_who_had_it_in_the_other() {
    let story = Story::new(0).await;
    let (parted, merged) = (Article::new([("Table", 30..38), ("Hinge", 40..48)]), Article::new([("Table", (30..38).chain(40..48))]));
    import(&story, &parted, true).await;
    story.schedule().await;
    import(&story, &merged, true).await;
    approve_all(&story).await;
    story.add_person("Ana", "").await;
    article::editions(&story, 2).await;
    assert_eq!(given_to(&story, "Ana").await.len(), 16, "both in one");
    import(&story, &parted, true).await;
    approve_all(&story).await;
    story.add_person("Bea", "").await;
    article::editions(&story, 3).await;
    assert_eq!(given_twice(&story).await, Vec::<String>::new());
    assert_eq!(given_to(&story, "Bea").await.len(), 16);
}

#[tokio::test]
async fn a_mail_that_comes_back_by_an_undone_stop_counts_for_what_was_split_off_meanwhile() {
    let story = Story::new(0).await;
    import(&story, &Article::new([("Garden", 20..28)]), true).await;
    story.schedule().await;
    let ana = story.add_person("Ana", "").await;
    let confirmed =
        "INSERT INTO consents (subscriber_id, topic_id, act, source, at) SELECT id, 1, 'confirmed', 'operator', now() FROM subscribers";
    story.run(confirmed).await;
    story.run_edition().await;
    assert_eq!(story.number("SELECT count(*) FROM segments_given").await, 1);
    let (pool, keyring) = (&story.app.db.pool, &story.app.keyring);
    stop::unsubscribe(pool, keyring, ana, Scope::Topic(1), Source::Page, story.app.now()).await.expect("a stop");
    assert_eq!(story.number("SELECT count(*) FROM segments_given").await, 0);
    story.app.wait(SignedDuration::from_secs(60));
    import(&story, &Article::new([("Garden", 20..24), ("Hose", 24..28)]), true).await;
    let undone = stop::undo(pool, ana, 1, story.app.now()).await.expect("an undoing");
    assert!(matches!(undone, Undone::Lifted { queued: 1, .. }), "{undone:?}");
    story.sweep().await;
    story.send().await;
    assert_eq!(story.texts("SELECT state FROM deliveries").await, ["sent"]);
    approve_all(&story).await;
    article::editions(&story, 2).await;
    assert_eq!(given_to(&story, "Ana").await, (20..28).collect::<Vec<_>>());
}
