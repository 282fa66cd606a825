//! Importing an article again: what becomes of its tips, and that nobody is given the same words again.

mod article;
mod operator;
mod random;
mod taken_back;
mod terminal;

use article::{Article, given_twice, import, line};
use tidings::content::store::{self, Counts, ImportError, Imported, Kind};

use crate::campaigns::story::Story;

/// Seven sections, and what becomes of each in [`revised`].
fn first() -> Article {
    let sections = ["Kettle", "Window", "Garden", "Table", "Hinge", "Lamp", "Oven"];
    Article::new(sections.iter().enumerate().map(|(n, name)| (*name, n * 10..n * 10 + 8)))
}

/// The kettle stays, the window is edited, the garden is split, table and hinge are merged, the lamp goes, the oven is renamed and
/// stands first, and the stairs are new.
fn revised() -> Article {
    Article::new([
        ("Stove", 60..68),
        ("Kettle", 0..8),
        ("Window", 10..17),
        ("Garden", 20..24),
        ("Hose", 24..28),
        ("Table", 30..38),
        ("Stairs", 90..98),
    ])
    .with("Window", [110])
    .with("Table", 40..48)
}

#[tokio::test]
async fn each_segment_of_a_revised_article_is_told_by_what_became_of_it() {
    let story = Story::new(0).await;
    assert_eq!(import(&story, &first(), true).await, Imported::Stored { tips: 7 });
    assert_eq!(import(&story, &first(), true).await, Imported::Unchanged { drafts: 0 });
    let Imported::Revised(report) = import(&story, &revised(), false).await else { panic!("it has changed") };
    assert_eq!(report.counts, Counts { unchanged: 1, changed: 4, split: 1, merged: 1, vanished: 1, new: 1 });
    let lines: Vec<String> = report.segments.iter().map(line).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    Stove: Changed, tip 7, draft
    Kettle: Unchanged, tip 1, approved
    Window: Changed, tip 2, draft
    Garden: Changed, tip 3, draft
    Hose: Split, tip 8, draft, overlaps 3
    Table: Changed, tip 4, draft, overlaps 5
    Stairs: New, tip 9, draft
    Hinge: Merged, tip 5, draft, overlaps 4
    Lamp: Vanished, tip 6, approved
    ");
    let notes = "SELECT id || ': ' || position || ' ' || state || coalesce(' ' || note, '') FROM tips ORDER BY id";
    insta::assert_snapshot!(story.texts(notes).await.join("\n"), @r"
    1: 1 approved
    2: 2 draft source changed
    3: 3 draft source changed
    4: 4 draft source changed
    5: 5 draft
    6: 6 approved
    7: 7 draft source changed
    8: 8 draft
    9: 9 draft
    ");
    assert_eq!(import(&story, &revised(), false).await, Imported::Unchanged { drafts: 6 }, "once more it is as it was");
}

#[tokio::test]
async fn nobody_is_given_the_same_words_again_and_a_newcomer_gets_all_of_the_new_article() {
    let story = Story::new(0).await;
    import(&story, &first(), true).await;
    story.schedule().await;
    // Ana has had everything, Bea the first four, Cleo only the hinge, which is merged into the table.
    for (name, editions) in [("Ana", 3), ("Bea", 4)] {
        story.add_person(name, "").await;
        article::editions(&story, editions).await;
    }
    let cleo = story.add_person("Cleo", "").await;
    story.run(&format!("INSERT INTO segments_given SELECT {cleo}, segment_id FROM tips WHERE id < 5")).await;
    article::editions(&story, 1).await;
    story.run(&format!("DELETE FROM segments_given WHERE subscriber_id = {cleo} AND segment_id <> 5")).await;

    import(&story, &revised(), false).await;
    article::editions(&story, 1).await;
    let drafts = "SELECT count(*) FROM deliveries d JOIN tips t ON t.segment_id = d.segment_id JOIN editions e ON e.id = d.edition_id
        WHERE t.state = 'draft' AND e.id = (SELECT max(id) FROM editions)";
    assert_eq!(story.number(drafts).await, 0, "a draft is not sent");
    article::approve_all(&story).await;
    story.add_person("Dora", "").await;
    article::editions(&story, 12).await;
    assert_eq!(given_twice(&story).await, Vec::<String>::new());
    // The lamp is flagged, and is still a tip.
    let all = revised().sentences().count() + 8;
    assert_eq!(article::given_to(&story, "Dora").await.len(), all, "whoever comes now gets all there is");
    assert!(
        article::given_to(&story, "Cleo").await.iter().all(|sentence| !(30..38).contains(sentence)),
        "half of the table was in the hinge"
    );
}

#[tokio::test]
async fn a_mail_that_was_planned_goes_out_with_the_words_that_it_was_planned_with() {
    let story = Story::new(0).await;
    import(&story, &first(), true).await;
    let kettle = Article::new([("Kettle", 0..8)]);
    story.schedule().await;
    story.add_person("Ana", "").await;
    story.run_edition().await;
    let edited = Article::new([("Kettle", 0..4), ("Pot", 4..8)]).and(&first().without("Kettle"));
    import(&story, &edited, false).await;
    assert_eq!(story.texts("SELECT state FROM tips WHERE id = 1").await, ["draft"]);
    story.send().await;
    assert_eq!(article::given_to(&story, "Ana").await, kettle.sentences().collect::<Vec<_>>(), "all eight of them");
    // What was split off counts as given, because the mail had it.
    article::approve_all(&story).await;
    article::editions(&story, 9).await;
    assert_eq!(given_twice(&story).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_heading_that_is_renamed_gives_its_tip_a_new_subject_and_sends_it_to_nobody_again() {
    let story = Story::new(0).await;
    import(&story, &first(), true).await;
    story.schedule().await;
    story.add_person("Ana", "").await;
    article::editions(&story, 1).await;
    let renamed = |name: &str| Article::new([(name, 0..8)]).and(&first().without("Kettle"));
    let Imported::Revised(report) = import(&story, &renamed("Teapot"), false).await else { panic!("it is called otherwise") };
    assert_eq!(report.counts, Counts { unchanged: 6, changed: 1, ..Counts::default() });
    let teapot = &report.segments[0];
    assert_eq!((teapot.kind, teapot.tip, teapot.state.as_str(), teapot.edited), (Kind::Changed, Some(1), "draft", false));
    insta::assert_snapshot!(teapot.diff.as_deref().unwrap_or_default(), @r"
    @@ -1,2 +1,2 @@
    -Subject: How to look after the Kettle
    +Subject: How to look after the Teapot
     Preheader: Then the koke is loke and the moke with your noke can poke when roke is dry.
    ");
    let tip =
        "SELECT t.state || ' ' || t.note || ': ' || r.subject FROM tips t JOIN tip_revisions r ON r.id = t.revision_id WHERE t.id = 1";
    assert_eq!(story.texts(tip).await, ["draft source changed: How to look after the Teapot"]);
    assert_eq!(import(&story, &renamed("Teapot"), false).await, Imported::Unchanged { drafts: 1 });
    article::approve_all(&story).await;
    article::editions(&story, 7).await;
    assert_eq!(given_twice(&story).await, Vec::<String>::new());
    // Approved at once, as new words would be.
    let Imported::Revised(report) = import(&story, &renamed("Jug"), true).await else { panic!("it is called otherwise") };
    assert_eq!(report.segments[0].state, "approved");
    let revisions = "SELECT count(*) FROM tip_revisions WHERE tip_id = 1";
    assert_eq!(story.number(revisions).await, 3);
}

#[tokio::test]
async fn two_imports_of_one_article_at_once_make_one_set_of_tips() {
    let story = Story::new(0).await;
    let (first, revised) = (first(), revised());
    let outcomes: [Imported; 3] =
        tokio::join!(import(&story, &first, true), import(&story, &first, true), import(&story, &first, true)).into();
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Imported::Stored { tips: 7 })).count(), 1, "{outcomes:?}");
    let (one, two) = tokio::join!(import(&story, &revised, false), import(&story, &revised, false));
    assert_eq!([one, two].iter().filter(|outcome| matches!(outcome, Imported::Revised(_))).count(), 1);
    assert_eq!(story.number("SELECT count(*) FROM tips").await, 9);
    assert_eq!(story.number("SELECT count(*) FROM article_revisions WHERE article_id = 2").await, 2);
}

#[tokio::test]
async fn a_planner_that_looked_before_an_import_has_to_look_again() {
    let story = Story::new(0).await;
    import(&story, &first(), true).await;
    let mut conn = story.conn().await;
    let mut planner = sqlx::Connection::begin_with(&mut *conn, "BEGIN ISOLATION LEVEL REPEATABLE READ").await.expect("a transaction");
    sqlx::query("SELECT count(*) FROM tips").execute(&mut *planner).await.expect("a snapshot");
    import(&story, &revised(), false).await;
    let held = sqlx::query("SELECT id FROM series WHERE id = 1 FOR SHARE").execute(&mut *planner).await;
    assert!(tidings::campaigns::planning::lost(&held.expect_err("its view is too old")));
}

#[tokio::test]
async fn an_article_is_known_by_its_address_and_then_by_its_slug() {
    let story = Story::new(0).await;
    import(&story, &first().at("https://example.org/a").called("house"), true).await;
    let moved = first().at("https://example.org/b").called("house");
    assert_eq!(import(&story, &moved, true).await, Imported::Unchanged { drafts: 0 });
    assert_eq!(import(&story, &moved.clone().called("home"), true).await, Imported::Unchanged { drafts: 0 });
    let other = Article::new([("Boat", 200..208)]).called("house");
    let same_headings = first().each(|n| n + 300).called("house");
    for other in [other.clone(), other.at("https://example.org/c"), same_headings.clone(), same_headings.at("https://example.org/c")] {
        let error = article::try_import(&story, &other, true).await.expect_err("it has nothing of the house");
        assert!(matches!(error, ImportError::OtherArticle { .. }), "{error}");
    }
    assert_eq!(story.texts("SELECT slug || ' ' || url FROM articles WHERE id > 1").await, ["house https://example.org/b"]);
    let Imported::Revised(report) = import(&story, &first().each(|n| n + 300).at("https://example.org/b"), true).await else {
        panic!("by its address it is the same, whatever its words")
    };
    assert!(report.segments.iter().all(|line| line.kind == Kind::Changed && line.state == "approved"), "{report:?}");
    let mut conn = story.conn().await;
    let dry = store::preview(&mut conn, "Tips", &first().at("https://example.org/b").read(), true).await.expect("a preview");
    assert!(matches!(dry, Imported::Revised(_)));
    assert_eq!(story.number("SELECT max(number)::bigint FROM tip_revisions").await, 2, "a preview changes nothing");
}
