//! What templates are filled with: the publisher, a tip made ready once for each revision, and one person's mail.
//!
//! Everything here is typed and owns the rules of what may stand in a mail: which links, which names, which direction
//! of writing. `render` takes it; the pump makes it from the ledger's rows.

use super::{Source, dress, palette::Palette, wrap};
use crate::content;
use jiff::civil::Date;
use serde::Serialize;

/// The publisher, as every mail names it.
#[derive(Debug, Clone, Serialize)]
pub struct Site {
    /// The publisher's name.
    pub name: String,
    /// The postal address that law wants in each mail.
    pub postal_address: String,
    /// The standing disclaimer under each tip; none when it is empty.
    pub disclaimer: Option<String>,
    /// The language of the mails, as BCP 47 writes it.
    pub lang: String,
    /// The publisher's colours.
    #[serde(skip)]
    pub palette: Palette,
}

/// A revision of a tip as the database holds it.
#[derive(Debug, Clone, Default)]
pub struct TipText {
    /// The approved subject.
    pub subject: String,
    /// The line that an inbox shows beside the subject.
    pub preheader: String,
    /// The body.
    pub markdown: String,
    /// Where the section stands in the article.
    pub section_url: Option<String>,
    /// Related reading.
    pub related: Vec<Source>,
    /// The references that it cites.
    pub references: Vec<Source>,
    /// The title of the article that it was taken from.
    pub article_title: String,
    /// The date of that article.
    pub article_date: Option<Date>,
}

/// A tip made ready for mails: its Markdown rendered, its links looked at. Made once for a revision, and shared.
#[derive(Debug, Clone, Serialize)]
pub struct ReadyTip {
    subject: String,
    preheader: String,
    body_html: String,
    body_text: String,
    section_url: Option<String>,
    article_title: String,
    article_date: Option<String>,
    source_line: String,
    pub(super) reading_html: String,
    pub(super) reading_text: String,
    #[serde(skip)]
    pub(super) direction: Direction,
    #[serde(skip)]
    lost_links: Vec<String>,
}

/// The way a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    LeftToRight,
    RightToLeft,
}

impl Direction {
    // The first letter decides, as `dir="auto"` does in browsers; mail programs know that attribute only in part.
    fn of(text: &str) -> Self {
        match text.chars().find(|c| c.is_alphabetic()) {
            Some('\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}') => Self::RightToLeft,
            _ => Self::LeftToRight,
        }
    }

    /// As HTML names it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::LeftToRight => "ltr",
            Self::RightToLeft => "rtl",
        }
    }

    /// The side where lines begin.
    pub(super) fn start(self) -> &'static str {
        match self {
            Self::LeftToRight => "left",
            Self::RightToLeft => "right",
        }
    }
}

/// One person's mail with a weekly tip.
#[derive(Debug, Clone, Copy)]
pub struct WeeklyTip<'a> {
    /// The tip that she gets.
    pub tip: &'a ReadyTip,
    /// The name of the topic that she subscribed to.
    pub topic: &'a str,
    /// Her name, when she gave one; what is no name is left out.
    pub name: Option<&'a str>,
    /// Her preferences.
    pub preferences_url: &'a str,
    /// Her link out of this topic.
    pub unsubscribe_url: &'a str,
}

impl ReadyTip {
    /// Makes a tip ready for mails in the colours of `palette`; what is to be read below it is rendered by the caller.
    pub(super) fn new(tip: &TipText, palette: &Palette) -> Self {
        let subject = one_line(&tip.subject);
        let direction = Direction::of(&subject);
        let article_title = one_line(&tip.article_title);
        let article_date = tip.article_date.map(|date| date.strftime("%-d %B %Y").to_string());
        let dated = article_date.as_deref().map(|date| format!(", {date}")).unwrap_or_default();
        let html = content::markdown_to_html(&tip.markdown);
        Self {
            preheader: one_line(&tip.preheader),
            lost_links: dress::lost_links(&html),
            body_html: dress::dress(&html, palette, direction.start()),
            body_text: content::markdown_to_text(&tip.markdown).trim_end().to_owned(),
            section_url: tip.section_url.clone().filter(|url| dress::may_link(url)),
            source_line: wrap::wrap(&format!("From “{article_title}”{dated}"), ""),
            article_title,
            article_date,
            reading_html: String::new(),
            reading_text: String::new(),
            direction,
            subject,
        }
    }

    /// The addresses that its text links to and a mail may not: relative, or not https. In the mail their words stand without a link.
    pub fn lost_links(&self) -> &[String] {
        &self.lost_links
    }
}

/// The name that a greeting may use: letters, spaces and the marks that names have. A sign-up form takes anything, and a
/// "name" such as an address of a page would make us send somebody else's message.
pub fn greeting_name(name: &str) -> Option<String> {
    let name = one_line(name);
    let is_name_like = |c: char| c.is_alphabetic() || is_mark(c) || matches!(c, ' ' | '\'' | '’' | '-' | '.' | '·');
    let fits = (1..=40).contains(&name.chars().count());
    let names_no_host = !name.split(' ').any(|word| word.trim_end_matches('.').contains('.') && word.len() > 4);
    (fits && names_no_host && name.chars().all(is_name_like) && name.starts_with(char::is_alphabetic)).then_some(name)
}

/// White space of every kind becomes one space, and what cannot be seen is dropped.
pub(super) fn one_line(text: &str) -> String {
    let visible = |c: &char| !c.is_control() && !is_direction_mark(*c);
    text.split_whitespace().map(|word| word.chars().filter(visible).collect()).collect::<Vec<String>>().join(" ")
}

// Combining marks of the scripts that write vowels or accents as such; `is_alphabetic` leaves some out.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{591}'..='\u{5c7}' | '\u{64b}'..='\u{65f}' | '\u{900}'..='\u{d7f}' | '\u{e31}'..='\u{e4e}' | '\u{200d}' | '\u{200c}')
}

// Marks that turn the direction of the text around them could make a mail read as something else.
fn is_direction_mark(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// What the layout of every mail is filled with: masthead, foot, and the link of the button.
#[derive(Serialize)]
pub(super) struct Layout<'a> {
    pub(super) site: &'a Site,
    /// The line below the publisher's name; a notice has none.
    pub(super) topic: Option<&'a str>,
    pub(super) greeting: Option<String>,
    pub(super) disclaimer: Option<&'a str>,
    /// Why she gets it.
    pub(super) reason: String,
    pub(super) preferences_url: Option<&'a str>,
    pub(super) unsubscribe_url: Option<&'a str>,
    /// Her place on a waitlist.
    pub(super) entry_url: Option<&'a str>,
}

/// The context of the weekly tip's template: every name that its text may use.
#[derive(Serialize)]
pub(super) struct WeeklyTipContext<'a> {
    #[serde(flatten)]
    pub(super) layout: Layout<'a>,
    pub(super) tip: &'a ReadyTip,
}

/// The context of a notice's template.
#[derive(Serialize)]
pub(super) struct NoticeContext<'a> {
    #[serde(flatten)]
    pub(super) layout: Layout<'a>,
    pub(super) button_url: &'a str,
    /// What is of this template alone.
    #[serde(flatten)]
    pub(super) words: serde_json::Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_takes_names_and_nothing_that_could_be_a_message() {
        for name in ["Ana", "Mary-Jane O’Neil", "J. R.", "नीता", "שרה", "José María", "Zoë"] {
            assert_eq!(greeting_name(name).as_deref(), Some(name));
        }
        for not in [
            "",
            " ",
            "http://example.org",
            "win.example.org",
            "Ana <b>",
            "{{site}}",
            "Ana, buy now: 5$",
            "\u{202e}",
            "=1+1",
            &"a".repeat(41),
        ] {
            assert_eq!(greeting_name(not), None, "{not:?}");
        }
    }
}
