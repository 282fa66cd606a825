//! Bylines: lines that say who wrote a text and when, and nothing else.
//!
//! Owns their words: names after "By", times of reading, the stamps of pages that go on through a day. Called by `head`, `signs` and
//! the readers.

use super::{dates, words};

/// A line with a date, an author or the time it takes to read, and nothing else.
pub(crate) fn is_metadata(text: &str) -> bool {
    // Most lines hold neither a digit nor a "by", and are not worth a closer look.
    let dated = text.bytes().any(|b| b.is_ascii_digit());
    let signed = || text.as_bytes().windows(2).any(|pair| pair.eq_ignore_ascii_case(b"by") || pair.eq_ignore_ascii_case(b"au"));
    let told = |piece: &str| dates::line(piece).is_some() || byline(piece).is_some() || is_reading_time(piece) || is_stamp(piece);
    text.len() <= 120 && (dated || signed()) && (pieces(text).all(told) || is_attribution(text))
}

/// The parts of a line such as "By A Name | May 4, 2020 | 5 min read".
pub(crate) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    text.split(['|', '•', '·', '\n', '/']).map(str::trim).filter(|piece| !piece.is_empty())
}

/// The name in "By A Name" or "Written by A Name"; an empty name for a line about who reviewed it.
pub(crate) fn byline(text: &str) -> Option<&str> {
    let lower = text.to_lowercase();
    if lower.len() != text.len() || text.len() > 100 || text.ends_with('.') && words::count(text) > 8 {
        return None;
    }
    let of_review =
        ["medically reviewed by", "reviewed by", "fact checked by", "fact-checked by", "edited by", "medical review by", "photo by"];
    if of_review.iter().any(|label| lower.starts_with(label)) {
        return Some("");
    }
    let labels = ["written by ", "posted by ", "published by ", "author: ", "authors: ", "by: ", "by "];
    let label = labels.iter().find(|label| lower.starts_with(*label))?;
    let name = text[label.len()..].trim();
    is_name(name).then_some(name)
}

/// "Comment by @name posted on 2025-07-17:", the line above what somebody wrote elsewhere.
fn is_attribution(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let Some(label) =
        ["comment by ", "comment from ", "reply by ", "posted by ", "update by "].iter().find(|label| lower.starts_with(**label))
    else {
        return false;
    };
    let rest = text[label.len()..].trim_end_matches([':', '.', ' ']);
    let Some((name, day)) = rest.split_once(" posted on ").or_else(|| rest.split_once(" on ")) else {
        return rest.starts_with('@') && !rest.contains(' ');
    };
    words::count(name) <= 4 && dates::line(day).is_some()
}

/// "11:00A Name": a time of day and who wrote then, in one word, as pages write them that go on through a day.
fn is_stamp(text: &str) -> bool {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let rest = text[digits..].strip_prefix([':', '.']).filter(|_| (1..=2).contains(&digits));
    let Some((minutes, name)) = rest.and_then(|rest| rest.split_at_checked(2)) else { return false };
    let clock = minutes.bytes().all(|b| b.is_ascii_digit());
    clock && name.starts_with(char::is_uppercase) && words::count(name) <= 4 && is_name(name) && !matches!(name, "AM" | "PM" | "UTC")
}

fn is_name(text: &str) -> bool {
    let small = ["and", "of", "the", "de", "van", "von", "der", "la", "for"];
    let count = words::count(text);
    (1..=10).contains(&count)
        && text.split_whitespace().all(|word| {
            let first = word.chars().find(|c| c.is_alphanumeric());
            first.is_none_or(|c| !c.is_lowercase()) || small.contains(&word.trim_matches(','))
        })
}

fn is_reading_time(text: &str) -> bool {
    if !text.bytes().any(|b| b.is_ascii_digit()) || words::count(text) > 5 {
        return false;
    }
    let key = words::key(text);
    let tokens: Vec<&str> = key.split(' ').collect();
    let number = tokens.iter().any(|t| t.bytes().next().is_some_and(|b| b.is_ascii_digit()));
    number
        && tokens.len() <= 5
        && (key.contains("min read") || key.contains("minute read") || key.contains("minutes read") || key.starts_with("reading time"))
}

#[cfg(test)]
mod tests {
    use super::is_metadata;

    #[test]
    fn who_wrote_when_is_no_text() {
        for line in ["Comment by @somebody posted on 2025-07-17:", "Posted by A. Name on 4 May 2020", "11:00Ada Example", "21:22KEY EVENT"]
        {
            assert!(is_metadata(line), "{line}");
        }
    }

    #[test]
    fn a_timetable_and_a_remark_about_a_comment_are_text() {
        for line in ["11:00 Breakfast", "9:30PM", "Comment by all means on what you see", "10:30km in the morning"] {
            assert!(!is_metadata(line), "{line}");
        }
    }
}
