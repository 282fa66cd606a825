//! Which segments keep their identity, on articles that are read and cut like any other.

use super::{Found, Known, Missing, Revision, revise};
use crate::content::{Format, Hints, Settings, compose::Tip, prepare};
use proptest::prelude::*;

const THINGS: [&str; 10] = [
    "kettle",
    "bread board",
    "window",
    "garden hose",
    "wool blanket",
    "oak table",
    "door hinge",
    "bicycle chain",
    "rain barrel",
    "staircase",
];
const WORDS: [&str; 40] = [
    "water", "slowly", "brush", "every", "corner", "morning", "dry", "with", "cloth", "soft", "before", "winter", "gently", "oil", "small",
    "drop", "until", "clean", "again", "wood", "metal", "rub", "careful", "hands", "warm", "later", "often", "side", "under", "light",
    "paint", "thin", "layer", "rests", "night", "turn", "screw", "loose", "fit", "rain",
];

/// A section: which thing it is about, and the words of its paragraphs.
type Section = (usize, Vec<Vec<usize>>);

fn paragraph(words: &[usize]) -> String {
    let sentence = |words: &[usize]| {
        let text = words.iter().map(|word| WORDS[*word]).collect::<Vec<_>>().join(" ");
        format!("{}{}.", text[..1].to_uppercase(), &text[1..])
    };
    words.chunks(10).map(sentence).collect::<Vec<_>>().join(" ")
}

fn article(sections: &[Section]) -> Vec<Tip> {
    let mut text = "# Caring for what is in the house\n".to_owned();
    for (thing, paragraphs) in sections {
        let body = paragraphs.iter().map(|words| paragraph(words)).collect::<Vec<_>>().join("\n\n");
        text += &format!("\n## How to look after the {}\n\n{body}\n", THINGS[*thing]);
    }
    tips(&text)
}

fn tips(text: &str) -> Vec<Tip> {
    let hints = Hints { name: "house.md".to_owned(), url: None };
    prepare(text.as_bytes(), Some(Format::Markdown), &hints, &Settings::default()).expect("an article").tips
}

fn again(before: &[Tip], after: &[Tip]) -> Revision {
    let known: Vec<Known<'_>> = before.iter().map(|tip| as_known(tip, false)).collect();
    revise(&known, after)
}

fn as_known(tip: &Tip, vanished: bool) -> Known<'_> {
    let Tip { heading_path, fingerprint, subject, markdown, .. } = tip;
    Known { heading_path, fingerprint, subject, markdown, vanished, retired: false }
}

/// So many words, others for every `seed`.
fn some(seed: usize, count: usize) -> Vec<usize> {
    let mut state = seed as u32;
    let mut word = || {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        (state >> 16) as usize % WORDS.len()
    };
    (0..count).map(|_| word()).collect()
}

fn kept(found: &Found) -> (Option<usize>, bool) {
    (found.inherits, found.changed)
}

#[test]
fn a_section_whose_words_are_all_new_keeps_its_place_under_its_heading() {
    let before = article(&[(0, vec![some(1, 60)]), (1, vec![some(2, 60)])]);
    let after = article(&[(0, vec![some(1, 60)]), (1, vec![some(3, 70)])]);
    let revision = again(&before, &after);
    assert_eq!(revision.found.iter().map(kept).collect::<Vec<_>>(), [(Some(0), false), (Some(1), true)]);
    assert!(revision.missing.is_empty());
}

#[test]
fn what_is_new_and_what_is_gone_have_nothing_to_do_with_each_other() {
    let before = article(&[(0, vec![some(1, 60)]), (1, vec![some(2, 60)])]);
    let after = article(&[(0, vec![some(1, 60)]), (2, vec![some(4, 60)])]);
    let revision = again(&before, &after);
    assert_eq!(revision.found[1], Found::default());
    assert_eq!(revision.missing, [Missing { known: 1, merged_into: None }]);
}

#[test]
fn of_a_section_that_was_split_one_part_inherits_and_the_others_overlap() {
    let (one, two, three) = (some(1, 80), some(2, 60), some(3, 70));
    let before = article(&[(0, vec![one.clone(), two.clone(), three.clone()])]);
    for things in [[0, 1, 2], [1, 2, 3], [1, 0, 2]] {
        let after = article(&[(things[0], vec![one.clone()]), (things[1], vec![two.clone()]), (things[2], vec![three.clone()])]);
        let revision = again(&before, &after);
        let heirs: Vec<usize> = (0..3).filter(|f| revision.found[*f].inherits == Some(0)).collect();
        // The same heading goes first; under new ones the best part.
        let wanted = things.iter().position(|thing| *thing == 0).unwrap_or(0);
        assert_eq!(heirs, [wanted]);
        assert!(
            (0..3).filter(|f| *f != wanted).all(|f| revision.found[f] == Found { overlaps: vec![0], ..Found::default() }),
            "{revision:?}"
        );
        assert!(revision.missing.is_empty());
    }
}

#[test]
fn a_part_that_was_split_off_overlaps_though_it_has_gained_text() {
    let (one, two) = (some(1, 80), some(2, 60));
    let before = article(&[(0, vec![one.clone(), two.clone()])]);
    // With as much new text behind it.
    let after = article(&[(0, vec![one.clone()]), (1, vec![two.clone(), some(3, 60)])]);
    assert_eq!(again(&before, &after).found[1], Found { overlaps: vec![0], ..Found::default() });
    // With a new word in each sentence, which leaves no more than half of the runs.
    let with_more: Vec<usize> = two.chunks(5).flat_map(|words| [words, &[7]].concat()).collect();
    let after = article(&[(0, vec![one.clone()]), (1, vec![with_more])]);
    assert_eq!(again(&before, &after).found[1], Found { overlaps: vec![0], ..Found::default() });
    // With more new text than old, when it took most of the old section with it; what only repeats it is new.
    let long = some(4, 200);
    let after = article(&[(0, vec![two.clone()]), (1, vec![one.clone(), long.clone()])]);
    assert_eq!(again(&before, &after).found[1], Found { overlaps: vec![0], ..Found::default() });
    let after = article(&[(0, vec![one.clone(), two]), (1, vec![one, long])]);
    assert_eq!(again(&before, &after).found[1], Found::default());
}

#[test]
fn of_sections_that_were_merged_one_is_inherited_and_the_others_went_into_it() {
    let (one, two) = (some(1, 80), some(2, 60));
    let before = article(&[(0, vec![one.clone()]), (1, vec![two.clone()]), (2, vec![some(5, 60)])]);
    for (thing, heir, gone) in [(0, 0, 1), (1, 1, 0), (3, 0, 1)] {
        let after = article(&[(thing, vec![one.clone(), two.clone()]), (2, vec![some(5, 60)])]);
        let revision = again(&before, &after);
        assert_eq!(revision.found[0], Found { inherits: Some(heir), changed: true, renamed: false, overlaps: vec![gone] });
        assert_eq!(revision.missing, [Missing { known: gone, merged_into: Some(0) }]);
    }
}

#[test]
fn what_went_into_a_section_that_is_sent_to_nobody_is_not_merged() {
    let (one, two) = (some(1, 80), some(2, 60));
    let before = article(&[(0, vec![one.clone()]), (1, vec![two.clone()])]);
    let known = [Known { retired: true, ..as_known(&before[0], false) }, as_known(&before[1], false)];
    let revision = revise(&known, &article(&[(0, vec![one, two])]));
    assert_eq!(revision.found[0].inherits, Some(0));
    assert_eq!(revision.missing, [Missing { known: 1, merged_into: None }]);
}

#[test]
fn words_that_moved_under_the_heading_of_another_section_are_not_new_to_those_who_had_them() {
    let edited = |seed| {
        let mut words = some(seed, 60);
        words[30] = (words[30] + 1) % WORDS.len();
        words
    };
    let before = article(&[(0, vec![some(1, 60)]), (1, vec![some(2, 60)])]);
    let after = article(&[(1, vec![edited(1)]), (0, vec![edited(2)])]);
    let revision = again(&before, &after);
    assert_eq!(revision.found[0], Found { inherits: Some(1), changed: true, renamed: false, overlaps: vec![0] });
    assert_eq!(revision.found[1], Found { inherits: Some(0), changed: true, renamed: false, overlaps: vec![1] });
}

#[test]
fn two_texts_without_a_heading_have_none_in_common() {
    let [mut before, mut after] = [1, 2].map(|seed| article(&[(0, vec![some(seed, 60)])]));
    [&mut before, &mut after].into_iter().flatten().for_each(|tip| tip.heading_path.clear());
    let revision = again(&before, &after);
    assert_eq!(revision.found, [Found::default()]);
    assert_eq!(revision.missing, [Missing { known: 0, merged_into: None }]);
}

#[test]
fn what_had_vanished_comes_back_and_is_missing_only_once() {
    let before = article(&[(0, vec![some(1, 60)]), (1, vec![some(2, 60)])]);
    let known = [as_known(&before[0], false), as_known(&before[1], true)];
    let without = revise(&known, &before[..1]);
    assert!(without.missing.is_empty());
    let with = revise(&known, &before);
    assert_eq!(with.found.iter().map(kept).collect::<Vec<_>>(), [(Some(0), false), (Some(1), false)]);
}

#[test]
fn the_longest_article_is_compared_even_when_all_of_it_has_one_heading() {
    let tip = article(&[(0, vec![some(1, 60)])]).remove(0);
    let section = |seed: usize| Tip { markdown: paragraph(&some(seed, 60)), fingerprint: seed.to_string(), ..tip.clone() };
    let (before, after): (Vec<Tip>, Vec<Tip>) = (0..2_000).map(|seed| (section(seed), section(seed + 1_000))).unzip();
    let revision = again(&before, &after);
    assert_eq!(revision.found.iter().filter(|found| !found.changed).count(), 1_000);
}

fn sections() -> impl Strategy<Value = Vec<Section>> {
    let words = prop::collection::vec(0..WORDS.len(), 30..50);
    let things = Just((0..THINGS.len() - 1).collect::<Vec<usize>>()).prop_shuffle();
    (prop::collection::vec(prop::collection::vec(words, 2..4), 3..9), things)
        .prop_map(|(bodies, things)| things.into_iter().zip(bodies).collect())
}

/// Nothing is new, nothing is gone, nobody's recipients are touched.
fn check_kept(revision: &Revision, changed: usize) -> Result<(), TestCaseError> {
    prop_assert!(revision.missing.is_empty(), "{:?}", revision);
    prop_assert!(revision.found.iter().all(|found| found.inherits.is_some() && found.overlaps.is_empty()), "{:?}", revision);
    prop_assert_eq!(revision.found.iter().filter(|found| found.changed).count(), changed, "{:?}", revision);
    Ok(())
}

proptest! {
    #[test]
    fn a_renamed_heading_makes_no_new_segment(sections in sections(), at in any::<prop::sample::Index>()) {
        let mut after = sections.clone();
        let at = at.index(sections.len());
        after[at].0 = THINGS.len() - 1;
        let revision = again(&article(&sections), &article(&after));
        check_kept(&revision, 0)?;
        let renamed: Vec<usize> = (0..sections.len()).filter(|f| revision.found[*f].renamed).collect();
        prop_assert_eq!(renamed, [at], "its subject is another one");
    }

    #[test]
    fn an_edited_paragraph_makes_no_new_segment(
        sections in sections(), at in any::<prop::sample::Index>(), part in any::<prop::sample::Index>(), shift in 1..WORDS.len(),
    ) {
        let mut after = sections.clone();
        let body = &mut after[at.index(sections.len())].1;
        let part = part.index(body.len());
        body[part].iter_mut().for_each(|word| *word = (*word + shift) % WORDS.len());
        check_kept(&again(&article(&sections), &article(&after)), 1)?;
    }

    #[test]
    fn a_new_order_of_sections_makes_no_new_segment((before, after) in sections().prop_flat_map(|sections| (Just(sections.clone()), Just(sections).prop_shuffle()))) {
        let revision = again(&article(&before), &article(&after));
        check_kept(&revision, 0)?;
        for (found, section) in revision.found.iter().zip(&after) {
            prop_assert_eq!(found.inherits.map(|k| &before[k]), Some(section));
        }
    }

    #[test]
    fn all_three_at_once_make_no_new_segment((before, mut after) in sections().prop_flat_map(|sections| (Just(sections.clone()), Just(sections).prop_shuffle()))) {
        after[0].0 = THINGS.len() - 1;
        after[1].1[0].iter_mut().for_each(|word| *word = (*word + 7) % WORDS.len());
        check_kept(&again(&article(&before), &article(&after)), 1)?;
    }

    #[test]
    fn every_segment_has_one_heir_at_most_and_every_article_is_itself(before in sections(), after in sections()) {
        let (before, after) = (article(&before), article(&after));
        let revision = again(&before, &after);
        let mut heirs: Vec<usize> = revision.found.iter().filter_map(|found| found.inherits).collect();
        let missing = revision.missing.len();
        heirs.sort_unstable();
        heirs.dedup();
        prop_assert_eq!(heirs.len(), revision.found.iter().filter(|found| found.inherits.is_some()).count());
        prop_assert_eq!(heirs.len() + missing, before.len());
        check_kept(&again(&before, &before), 0)?;
    }
}
