//! Mails that were planned before an import and are taken back after it: nobody has the same words twice, and nobody is passed over.

use jiff::SignedDuration;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tidings::delivery::ledger::mark::Ending;
use tidings::people::preferences::{self, Change, Source};

use super::article::{self, Article, approve_all, given_to, given_twice, import};
use crate::campaigns::story::Story;

/// What takes a mail back.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    /// She changed her hour: it is planned anew.
    Replanned,
    /// The relay refused it.
    Failed,
    /// She is paused when its time comes.
    Paused,
}

pub(super) const WAYS: [Way; 3] = [Way::Replanned, Way::Failed, Way::Paused];

impl Way {
    pub(super) fn any(dice: &mut ChaCha8Rng) -> Way {
        WAYS[dice.random_range(0..WAYS.len())]
    }

    /// Takes back what waits: of one person alone if it is planned anew.
    pub(super) async fn take_back(self, story: &Story, id: i64, hour: i16) {
        match self {
            Way::Replanned => {
                let hour = [Change::Hour(Some(hour))];
                preferences::change(&story.app.db.pool, id, &hour, Source::Page, story.app.now()).await.expect("a change");
            }
            Way::Failed => {
                story.record(&story.mark(story.claim(500).await).await, Ending::Failed { refused_address: false }).await;
                story.sweep().await;
            }
            Way::Paused => {
                story.run(&format!("UPDATE subscribers SET paused_until = '2100-01-01' WHERE id = {id}")).await;
                story.send().await;
                story.run("UPDATE subscribers SET paused_until = NULL").await;
            }
        }
    }
}

/// Nothing is inherited from what is not given.
pub(super) async fn assert_inherited_of_given(story: &Story) {
    let left_over = "SELECT count(*) FROM segments_inherited i WHERE NOT EXISTS (
        SELECT FROM segments_given g WHERE g.subscriber_id = i.subscriber_id AND g.segment_id = i.of_segment_id)";
    assert_eq!(story.number(left_over).await, 0);
}

#[tokio::test]
async fn who_had_the_words_that_went_into_a_waiting_tip_is_not_given_them_when_its_mail_is_taken_back() {
    for way in WAYS {
        let story = Story::new(0).await;
        import(&story, &Article::new([("Hinge", 40..48), ("Table", 30..38)]), true).await;
        story.schedule().await;
        let ana = story.add_person("Ana", "").await;
        article::editions(&story, 1).await;
        story.run_edition().await;
        story.app.wait(SignedDuration::from_secs(60));
        import(&story, &Article::new([("Table", (30..38).chain(40..48))]), true).await;
        approve_all(&story).await;
        way.take_back(&story, ana, 7).await;
        article::editions(&story, 2).await;
        assert_eq!(given_twice(&story).await, Vec::<String>::new(), "{way:?}");
        assert!(given_to(&story, "Ana").await.iter().all(|sentence| *sentence >= 40), "{way:?}");
        assert_inherited_of_given(&story).await;
    }
}

#[tokio::test]
async fn whose_mail_is_taken_back_after_its_section_was_split_gets_both_parts() {
    for way in WAYS {
        let story = Story::new(0).await;
        import(&story, &Article::new([("Table", 30..38)]), true).await;
        story.schedule().await;
        let ana = story.add_person("Ana", "").await;
        story.run_edition().await;
        story.app.wait(SignedDuration::from_secs(60));
        import(&story, &Article::new([("Table", 30..34), ("Hinge", 34..38)]), false).await;
        // A second import before the mail is taken back: what was inherited is inherited on.
        import(&story, &Article::new([("Table", 30..34), ("Hinge", 34..36), ("Lamp", 36..38)]), false).await;
        approve_all(&story).await;
        assert_eq!(story.number("SELECT count(*) FROM segments_inherited").await, 2, "{way:?}");
        way.take_back(&story, ana, 7).await;
        article::editions(&story, 4).await;
        assert_eq!(given_to(&story, "Ana").await, (30..38).collect::<Vec<_>>(), "{way:?}");
        assert_inherited_of_given(&story).await;
    }
}
