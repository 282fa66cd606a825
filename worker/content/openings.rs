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

/// A short paragraph that does nothing but send the reader to another page.
pub(crate) fn points_elsewhere(text: &str, count: usize) -> bool {
    (3..=30).contains(&count) && sentences::sentences(text).all(|sentence| SENDING.iter().any(|start| opens_with(sentence, start)))
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
    "have a look at our", "see our ", "browse our ", "visit our ",
];
#[rustfmt::skip]
const NOTICES: &[&str] = &[
    "disclaimer:", "disclosure:", "medical disclaimer:", "affiliate disclosure", "full disclosure:", "originally published", "this post was originally published", "this article was originally published",
    "this article first appeared", "this post first appeared", "cross-posted from", "crossposted from", "editor's note:", "editor’s note:", "last updated", "last reviewed",
    "about the author:", "about this guide:", "about this article:",
];
