//! Lines of plain text: which of them belong together.
//!
//! Owns the question whether a line break was made by a wrapping editor or by the author, and the marks that open a
//! line (bullets, numbers, underlines). Called by `text`.

use crate::content::{bylines, signs};

/// Lines that belong together, joined.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Unit {
    pub text: String,
    pub mark: Mark,
    /// Which run of lines without an empty one between them it stands in.
    pub group: usize,
}

/// What opens the unit, or stands under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    None,
    Bullet,
    Number(usize),
    /// A line of `=` (1) or `-` (2) follows.
    Underlined(u8),
    /// Nothing but signs: a line between two parts.
    Rule,
    /// Columns, with the number of separators.
    Row(usize),
}

/// Splits a text into units.
pub(super) fn units(text: &str) -> Vec<Unit> {
    let width = wrapping_width(text);
    let mut units: Vec<Unit> = Vec::new();
    let (mut group, mut previous) = (0, "");
    for line in text.lines() {
        let bare = line.trim();
        if bare.is_empty() {
            group += 1;
            previous = "";
            continue;
        }
        let current = units.last_mut().filter(|unit| unit.group == group);
        match (mark(bare), current) {
            (Mark::Underlined(level), Some(unit)) if unit.mark == Mark::None && unit.text.len() <= 120 => {
                unit.mark = Mark::Underlined(level)
            }
            (Mark::Underlined(_) | Mark::Rule, _) => units.push(Unit { text: bare.to_owned(), mark: Mark::Rule, group }),
            (Mark::None, Some(unit)) if goes_on(unit, previous, bare, width) => {
                unit.text.push(' ');
                unit.text.push_str(bare);
            }
            (mark, _) => units.push(Unit { text: without_mark(bare, mark).to_owned(), mark, group }),
        }
        previous = bare;
    }
    units
}

/// The width at which the text was wrapped; nothing when each line is a paragraph.
fn wrapping_width(text: &str) -> Option<usize> {
    let lines: Vec<usize> = text.lines().map(|line| line.trim_end().len()).collect();
    let full = lines.iter().filter(|length| **length > 0).count();
    let long = lines.iter().filter(|length| **length > 110).count();
    // Lines that another one follows: a wrapping editor filled nearly all of them.
    let mut followed: Vec<usize> = lines.windows(2).filter(|pair| pair[0] > 0 && pair[1] > 0).map(|pair| pair[0]).collect();
    followed.sort_unstable();
    let typical = followed.get(followed.len() * 9 / 10).copied()?;
    (long * 50 < full && (30..=110).contains(&typical)).then_some(typical)
}

/// Whether a line only carries on the one before it.
fn goes_on(unit: &Unit, previous: &str, line: &str, width: Option<usize>) -> bool {
    if matches!(unit.mark, Mark::Row(_) | Mark::Rule | Mark::Underlined(_)) || signs::related(line).is_some() {
        return false;
    }
    let lower = line.chars().next().is_some_and(char::is_lowercase);
    let ended = previous.ends_with(['.', '!', '?', ':']);
    let Some(width) = width else { return lower && !ended && unit.mark == Mark::None };
    let word = line.split(' ').next().unwrap_or(line).len();
    // A line beyond the width was not wrapped either.
    let by_hand = previous.len() + 1 + word <= width || previous.len() > width + 4;
    let heading = || !lower && unit.mark == Mark::None && unit.text == previous && signs::is_heading_shaped(previous);
    let aside = || bylines::is_metadata(previous) || bylines::is_metadata(line);
    !(by_hand && ((ended && !lower) || heading() || aside()))
}

fn mark(line: &str) -> Mark {
    if !line.chars().any(char::is_alphanumeric) {
        let of = |sign: char| line.chars().all(|c| c == sign) && line.len() >= 3;
        return match line {
            _ if of('=') => Mark::Underlined(1),
            _ if of('-') || of('~') || of('—') || of('–') => Mark::Underlined(2),
            _ => Mark::Rule,
        };
    }
    if line.contains('\t') {
        return Mark::Row(line.split('\t').filter(|cell| !cell.trim().is_empty()).count());
    }
    if bullet(line).is_some() {
        return Mark::Bullet;
    }
    number(line).map_or(Mark::None, |(number, _)| Mark::Number(number))
}

fn without_mark(line: &str, mark: Mark) -> &str {
    match mark {
        Mark::Bullet => bullet(line).unwrap_or(line),
        Mark::Number(_) => number(line).map_or(line, |(_, rest)| rest),
        _ => line,
    }
}

fn bullet(line: &str) -> Option<&str> {
    let sign = line.chars().next()?;
    let rest = &line[sign.len_utf8()..];
    let is_bullet = matches!(sign, '•' | '◦' | '‣' | '▪' | '●' | '·' | '○' | '■' | '✓' | '✔');
    let is_dash = matches!(sign, '-' | '*' | '–' | '+') && rest.starts_with(' ');
    (is_bullet || is_dash).then(|| rest.trim_start()).filter(|rest| !rest.is_empty())
}

/// "3. Text" and "3) Text": the number and the text.
fn number(line: &str) -> Option<(usize, &str)> {
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let rest = line[digits..].strip_prefix(['.', ')'])?;
    let number = (1..=3).contains(&digits).then(|| line[..digits].parse().ok())??;
    let text = rest.strip_prefix([' ', '\u{a0}'])?.trim_start();
    (!text.is_empty()).then_some((number, text))
}
