//! Openings: what the first words of a text say about it: that it goes on with the text before it, sends the reader elsewhere, or is
//! a notice of the publisher's.
//!
//! Owns those words. Called by `cut`, `sections`, `sift` and `signs`.

use super::sentences;

/// Whether a text goes on with what stands before it, and says little without it.
pub(crate) fn goes_on(text: &str) -> bool {
    contradicts(text) || CONTINUING.iter().any(|opening| opens_with(text, opening))
}

/// Whether a text opens by contradicting or concluding from what stands before it, which even a heading does not part from it.
pub(crate) fn contradicts(text: &str) -> bool {
    [
        "however,",
        "however ",
        "nevertheless,",
        "therefore,",
        "consequently,",
        "on the other hand,",
        "in contrast,",
        "conversely,",
        "that said,",
        "having said that",
        "in addition,",
        "furthermore,",
        "moreover,",
        "but ",
    ]
    .iter()
    .any(|opening| opens_with(text, opening))
}

/// A short paragraph that does nothing but send the reader to another page, with or without a question before it.
pub(crate) fn points_elsewhere(text: &str, count: usize) -> bool {
    let sends = |sentence: &str| {
        SENDING.iter().any(|start| opens_with(sentence, start)) || opens_with(sentence, "see ") && sentence.ends_with(" for more.")
    };
    (3..=40).contains(&count)
        && sentences::sentences(text).filter(|sentence| !sentence.ends_with('?') || sends(sentence)).all(sends)
        && sentences::sentences(text).any(sends)
}

/// "The first words of another article… Read more".
pub(crate) fn is_teaser(text: &str) -> bool {
    let before = text.trim_end_matches([']', ' ', '.', '…', '»', '›', '→']).strip_suffix("ead more");
    before.is_some_and(|before| before.trim_end_matches(['R', 'r', '[', ' ']).ends_with(['…', '.']) && before.ends_with(['R', 'r']))
}

/// Whether a text asks its reader to buy something.
pub(crate) fn is_order(text: &str) -> bool {
    ["use ", "get ", "save ", "shop ", "order ", "buy ", "grab ", "enter ", "claim ", "enjoy ", "join ", "take "]
        .iter()
        .any(|opening| opens_with(text, opening))
}

/// "Disclaimer: …", "Originally published on …": a line of the publisher's about the article.
pub(crate) fn is_notice(text: &str) -> bool {
    NOTICES.iter().any(|opening| opens_with(text.trim_start_matches(|c: char| !c.is_alphanumeric()), opening))
}

fn opens_with(text: &str, opening: &str) -> bool {
    text.get(..opening.len()).is_some_and(|start| start.eq_ignore_ascii_case(opening))
}

#[rustfmt::skip]
const CONTINUING: &[&str] = &[
    "this ", "that ", "that's ", "these ", "those ", "they ", "it ", "it's ",
    "he ", "she ", "and ", "but ", "so ", "so, ", "or ", "also,",
    "also ", "then ", "then,", "for example", "for instance", "as an aside", "in addition", "additionally",
    "furthermore", "moreover", "similarly", "likewise", "therefore", "thus", "hence", "as a result",
    "as such", "in fact", "in other words", "on the other hand", "nevertheless", "nonetheless", "meanwhile", "otherwise",
    "finally,", "lastly,", "second,", "secondly", "third,", "thirdly", "next,", "because of this",
    "after that", "afterwards", "another ", "here's why", "either way", "such ", "again,", "besides",
    "likewise", "of course", "not only that", "the same ", "the latter", "the former", "above", "note that",
    "as mentioned", "as stated above", "as discussed", "as noted", "as we saw",
];
#[rustfmt::skip]
const SENDING: &[&str] = &[
    "check out ", "read more ", "read our ", "to learn more", "to know more", "to read more", "learn more ", "click here",
    "find out more", "need more ", "want more ", "want to learn more", "want to know more", "looking for more", "you can read more", "if you'd like to know more",
    "if you want to know more", "if you'd like to learn more", "if you want to learn more", "also, check out", "you may also like", "you might also like", "also read", "take a look at our",
    "have a look at our", "see our ", "browse our ", "visit our ", "for more on ", "for more about ", "for more information", "for more details",
    "for further information", "for further details", "you can learn more", "you can find more", "if you're interested in buying", "if you're interested in purchasing",
    "if you are interested in buying", "if you are interested in purchasing", "if you'd like to buy", "if you would like to buy", "if you want to buy",
    "if you'd like to purchase", "if you would like to purchase", "if you want to purchase", "interested in buying", "take a look at this post", "take a look at this article",
];
#[rustfmt::skip]
const NOTICES: &[&str] = &[
    "disclaimer:", "disclosure:", "medical disclaimer:", "affiliate disclosure", "full disclosure:", "originally published", "this post was originally published", "this article was originally published",
    "this article first appeared", "this post first appeared", "cross-posted from", "crossposted from", "editor's note:", "editor’s note:", "last updated", "last reviewed",
    "about the author:", "about this guide:", "about this article:",
];

#[cfg(test)]
mod tests {
    use super::{is_teaser, points_elsewhere};

    fn points(text: &str) -> bool {
        points_elsewhere(text, text.split(' ').count())
    }

    #[test]
    fn what_only_sends_the_reader_away_is_a_pointer() {
        assert!(points("For more on knots, see the handbook."));
        assert!(points("See the notes of that release for more."));
        assert!(points("Do you like it? If you want to buy one, go to a shop nearby."));
    }

    #[test]
    fn the_beginning_of_another_article_is_a_teaser() {
        assert!(is_teaser("Ropes are made of many things… Read more") && is_teaser("Ropes are made of hemp... [Read more]"));
        assert!(!is_teaser("Ropes are a thing of which you may read more"));
    }

    #[test]
    fn a_question_or_a_piece_of_advice_is_none() {
        assert!(!points("Do you like it? Would you know why?"));
        assert!(!points("If you want to buy one, go to a shop nearby. Look for dry roots first."));
        assert!(!points("See a doctor when it lasts for more than a week."));
    }
}
