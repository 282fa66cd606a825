//! Dates as articles write them: "May 4, 2020", "4 May 2020", "2020-05-04", with or without "Updated".
//!
//! Owns what counts as a line that holds a date and nothing else. Called by the front matter and by `head`.

use jiff::civil::Date;

const MONTHS: [&str; 12] =
    ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"];
const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const LABELS: [&str; 22] = [
    "published",
    "posted",
    "updated",
    "last",
    "reviewed",
    "modified",
    "date",
    "on",
    "at",
    "the",
    "written",
    "of",
    "first",
    "online",
    "edited",
    "medically",
    "created",
    "publication",
    "revised",
    "release",
    "released",
    "page",
];

/// What a line that holds nothing but a date says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateLine {
    /// The day; nothing when only a month or an ambiguous day stands there.
    pub date: Option<Date>,
    /// Whether the line says "updated" or "reviewed", so that a plain date wins over it.
    pub later: bool,
}

/// Reads one date, and only that.
pub fn parse(text: &str) -> Option<Date> {
    line(text)?.date
}

/// Reads a line that holds a date, labels such as "Published on" and a time of day, and nothing else.
pub fn line(text: &str) -> Option<DateLine> {
    if text.len() > 80 || !text.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    let words: Vec<String> = text
        .split(|c: char| c.is_whitespace() || matches!(c, ',' | ':' | '(' | ')' | '|' | '•' | '·'))
        .map(|word| word.trim_matches(['.', '-', '–', '—', '*', '_']).to_lowercase())
        .filter(|word| !word.is_empty())
        .collect();
    let later = words.iter().any(|w| matches!(w.as_str(), "updated" | "reviewed" | "modified" | "last" | "revised" | "edited"));
    let rest: Vec<&str> = words.iter().map(String::as_str).filter(|w| !is_label(w)).collect();
    let mut found = Found::default();
    for word in &rest {
        found.take(word)?;
    }
    found.finish().map(|date| DateLine { date, later })
}

fn is_label(word: &str) -> bool {
    LABELS.contains(&word) || DAYS.contains(&word) || (word.len() == 3 && DAYS.iter().any(|day| day.starts_with(word)))
}

#[derive(Default)]
struct Found {
    whole: Option<Option<Date>>,
    year: Option<i16>,
    month: Option<i8>,
    day: Option<i8>,
    seen: usize,
}

impl Found {
    /// Takes one word in; `None` when it has no place in a date.
    fn take(&mut self, word: &str) -> Option<()> {
        self.seen += 1;
        if let Some(whole) = numeric(word) {
            return self.whole.replace(whole).is_none().then_some(());
        }
        if let Some(month) = month(word) {
            return self.month.replace(month).is_none().then_some(());
        }
        if is_clock(word) && (self.year.is_some() || self.whole.is_some()) {
            return Some(());
        }
        let number: i16 = word.trim_end_matches(|c: char| c.is_ascii_alphabetic()).parse().ok()?;
        let suffix = word.trim_start_matches(|c: char| c.is_ascii_digit());
        match number {
            1..=31 if matches!(suffix, "" | "st" | "nd" | "rd" | "th") => {
                self.day.replace(i8::try_from(number).ok()?).is_none().then_some(())
            }
            1900..=2199 if suffix.is_empty() => self.year.replace(number).is_none().then_some(()),
            _ => None,
        }
    }

    fn finish(self) -> Option<Option<Date>> {
        if let Some(whole) = self.whole {
            return Some(whole);
        }
        match (self.year, self.month, self.day) {
            (Some(year), Some(month), Some(day)) => Date::new(year, month, day).ok().map(Some),
            (Some(_), Some(_), None) => Some(None),
            _ => None,
        }
    }
}

fn month(word: &str) -> Option<i8> {
    let index = MONTHS.iter().position(|month| *month == word || (word.len() >= 3 && word.len() <= 4 && month.starts_with(word)))?;
    i8::try_from(index + 1).ok()
}

/// Whether a word in lower case is the name of a month.
pub(crate) fn is_month(word: &str) -> bool {
    MONTHS.contains(&word)
}

fn is_clock(word: &str) -> bool {
    matches!(word, "am" | "pm" | "a.m" | "p.m" | "utc" | "gmt") || word.parse::<u8>().is_ok_and(|n| n < 60)
}

/// `2020-05-04`, `2020/05/04`, `04.05.2020`; with slashes only where day and month cannot be confused.
fn numeric(word: &str) -> Option<Option<Date>> {
    let parts: Vec<&str> = word.split(['-', '/', '.']).collect();
    let [a, b, c] = parts[..] else { return None };
    let (x, y, z): (i16, i16, i16) = (a.parse().ok()?, b.parse().ok()?, c.parse().ok()?);
    let day = |year: i16, month: i16, day: i16| Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok();
    if a.len() == 4 {
        return day(x, y, z).map(Some);
    }
    if c.len() != 4 {
        return None;
    }
    if word.contains('.') || (x > 12 && y <= 12) {
        return day(z, y, x).map(Some);
    }
    if y > 12 && x <= 12 || x == y {
        return day(z, x, y).map(Some);
    }
    (x <= 12 && y <= 12).then_some(None)
}
