//! Articles that are edited at random, round after round, while people come and editions are sent or taken back: nobody has a sentence
//! twice.

use jiff::SignedDuration;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::article::{self, Article, approve_all, given_twice, import};
use super::taken_back::{Way, assert_inherited_of_given};
use crate::campaigns::story::Story;

const ROUNDS: usize = 5;

#[tokio::test]
async fn whatever_is_done_to_an_article_nobody_has_a_sentence_twice() {
    for seed in ["one", "two", "three", "four"] {
        let story = Story::new(0).await;
        let mut dice = story.app.dice(seed);
        let mut next = 0;
        let mut article = Article::new((0..5).map(|n| (format!("Thing {n}"), fresh(&mut next))));
        import(&story, &article, true).await;
        story.schedule().await;
        let mut told = Vec::new();
        for round in 0..ROUNDS {
            story.add_person(&format!("Person {round}"), "").await;
            article::editions(&story, 3).await;
            for _ in 0..3 {
                told.push(edit(&mut article, &mut dice, &mut next));
            }
            // An edition that was planned before the import is taken back or sent after it.
            story.app.wait(SignedDuration::from_secs(1));
            story.run_edition().await;
            import(&story, &article, false).await;
            approve_all(&story).await;
            let (person, way) = (dice.random_range(1..=round as i64 + 1), Way::any(&mut dice));
            told.push(format!("{way:?} {person}"));
            way.take_back(&story, person, 7 + round as i16).await;
            story.send().await;
            assert_inherited_of_given(&story).await;
        }
        article::editions(&story, 12).await;
        assert_eq!(given_twice(&story).await, Vec::<String>::new(), "{seed}: {told:?}");
    }
}

fn fresh(next: &mut usize) -> Vec<usize> {
    *next += 8;
    (*next - 8..*next).collect()
}

/// One thing that an author does; in words.
fn edit(article: &mut Article, dice: &mut ChaCha8Rng, next: &mut usize) -> String {
    let sections = article.sections();
    let at = dice.random_range(0..sections.len());
    let long = sections[at].1.len();
    match dice.random_range(0..6) {
        0 => {
            *next += 1;
            sections[at].0 = format!("Thing {next} anew");
            format!("{at} renamed")
        }
        1 => {
            *next += 1;
            sections[at].1[long / 2] = *next - 1;
            format!("{at} edited")
        }
        2 if long >= 8 => {
            *next += 1;
            let second = sections[at].1.split_off(long / 2);
            sections.insert(at + 1, (format!("Thing {next} parted"), second));
            format!("{at} split")
        }
        3 if at > 0 && long + sections[at - 1].1.len() <= 16 => {
            let (_, sentences) = sections.remove(at);
            sections[at - 1].1.extend(sentences);
            format!("{at} merged")
        }
        4 => {
            let section = sections.remove(at);
            let to = dice.random_range(0..=sections.len());
            sections.insert(to, section);
            format!("{at} moved to {to}")
        }
        5 if sections.len() > 3 => {
            sections.remove(at);
            format!("{at} removed")
        }
        _ => {
            let sentences = fresh(next);
            sections.push((format!("Thing {next} more"), sentences));
            "added".to_owned()
        }
    }
}
