//! Phrases by which pages and sources give themselves away, all looked for in one pass over a text.
//!
//! Owns the lists. What a phrase means is decided by `signs` and `references`; this only says which ones are there.

use aho_corasick::AhoCorasick;
use std::sync::LazyLock;

/// Which kinds of phrases a text holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Phrases {
    /// A verb of sign-up boxes: worth a closer look.
    pub asks: bool,
    /// Words that only a sign-up box has.
    pub boxed: bool,
    /// A notice of the publisher's: no advice, cookies, commissions.
    pub notice: bool,
    /// The name of a picture agency.
    pub agency: bool,
    /// "All rights reserved."
    pub rights: bool,
    /// Words that ask for comments.
    pub comments: bool,
    /// Words that only a seller has.
    pub sells: bool,
    /// How many different marks of a source: "doi", "et al", "Retrieved from".
    pub sources: u32,
}

/// Looks for all of them, in any case.
pub(crate) fn phrases(text: &str) -> Phrases {
    let mut found = Phrases::default();
    let mut marks = 0_u64;
    for hit in FINDER.find_overlapping_iter(text) {
        let index = hit.pattern().as_usize();
        match group(index) {
            0 => found.asks = true,
            1 => found.boxed = true,
            2 => found.notice = true,
            3 => found.agency = true,
            4 => found.rights = true,
            5 => found.comments = true,
            6 => found.sells = true,
            _ => marks |= 1 << (index % 64),
        }
    }
    found.sources = marks.count_ones();
    found
}

static FINDER: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let all = LISTS.iter().copied().flatten();
    AhoCorasick::builder().ascii_case_insensitive(true).build(all).expect("the lists are short and fixed")
});

fn group(mut index: usize) -> usize {
    let mut group = 0;
    while index >= LISTS[group].len() {
        index -= LISTS[group].len();
        group += 1;
    }
    group
}

const LISTS: [&[&str]; 8] = [
    &[
        "sign up",
        "subscribe",
        "submit your email",
        "enter your email",
        "your email address",
        "join our",
        "join the",
        "join thousands",
        "get our",
        "get the latest",
        "follow us on",
        "download our",
        "download my",
        "download the free",
        "download your free",
        "get your free",
        "grab your free",
        "grab my free",
        "leave a comment",
        "leave me a comment",
        "let me know in the",
        "let us know in the",
        "for reading",
        "book an appointment",
        "book a consultation",
        "book your",
        "schedule your",
        "follow me on",
        "never miss",
        "don't miss",
        "don’t miss",
        "be the first to",
    ],
    &[
        "added to the waitlist",
        "added to our waitlist",
        "delivered to your inbox",
        "straight to your inbox",
        "directly to your inbox",
        "unsubscribe at any time",
        "unsubscribe anytime",
        "unsubscribe from this service",
        "pop your email",
    ],
    &[
        "for informational purposes only",
        "for information purposes only",
        "educational purposes only",
        "educational purposes and is",
        "it is not medical advice",
        "this is not medical advice",
        "not a substitute for professional",
        "not a substitute for medical advice",
        "not intended as medical advice",
        "does not constitute medical advice",
        "not intended to diagnose",
        "not be used as a substitute for professional",
        "not intended to be a substitute for",
        "contains affiliate links",
        "may earn a commission",
        "we may receive compensation",
        "this site uses cookies",
        "this website uses cookies",
        "views expressed in this article",
    ],
    &["getty images", "shutterstock", "istock", "unsplash", "pexels", "adobe stock"],
    &["all rights reserved"],
    &[
        "in the comments below",
        "in the comment section",
        "in the comments section",
        "comments section below",
        "leave a comment below",
        "comment below",
        "if this post was helpful",
        "if this article was helpful",
        "if you found this post",
        "if you found this article",
        "drop a comment",
        "in the comments!",
    ],
    &[
        "off your first",
        "discount code",
        "promo code",
        "coupon code",
        "% discount on your",
        "link for a discount",
        "free shipping",
        "money-back guarantee",
    ],
    &[
        "doi",
        "retrieved from",
        "pmid",
        "et al",
        "accessed ",
        "available at",
        "available from",
        "isbn",
        " edition",
        "(ed.)",
        "(eds.)",
        "vol.",
        " pp.",
        "https://",
        "http://",
        "journal",
        "press,",
        "guideline",
    ],
];

#[cfg(test)]
mod tests {
    use super::phrases;

    #[test]
    fn every_kind_is_found_in_any_case() {
        let page = phrases("SIGN UP for tips, straight to your inbox. For informational purposes only. Getty Images. All rights reserved.");
        assert!(page.asks && page.boxed && page.notice && page.agency && page.rights);
        assert_eq!(phrases("Example Journal, doi:10.1/2, et al. Retrieved from https://example.org, https://example.org").sources, 5);
        assert_eq!(phrases("Nothing of that kind stands here.").sources, 0);
    }
}
