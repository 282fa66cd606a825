//! Articles made of numbered sentences, no two of which share a word that says anything, and who was given which of them.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use tidings::content::store::{self, ImportError, Imported, Line};
use tidings::content::{self, Format, Hints, Settings};

use crate::campaigns::story::Story;

/// An article of sections.
#[derive(Debug, Clone)]
pub(super) struct Article {
    sections: Vec<(String, Vec<usize>)>,
    url: Option<String>,
    slug: String,
}

impl Article {
    /// With these sections, each with these sentences.
    pub(super) fn new<N: Into<String>, S: IntoIterator<Item = usize>>(sections: impl IntoIterator<Item = (N, S)>) -> Self {
        let sections = sections.into_iter().map(|(name, sentences)| (name.into(), sentences.into_iter().collect())).collect();
        Self { sections, url: None, slug: "house".to_owned() }
    }

    /// With more sentences at the end of a section.
    pub(super) fn with(mut self, name: &str, sentences: impl IntoIterator<Item = usize>) -> Self {
        let section = self.sections.iter_mut().find(|section| section.0 == name).expect("a section");
        section.1.extend(sentences);
        self
    }

    /// Without a section.
    pub(super) fn without(mut self, name: &str) -> Self {
        self.sections.retain(|section| section.0 != name);
        self
    }

    /// With the sections of another one behind its own.
    pub(super) fn and(mut self, other: &Article) -> Self {
        self.sections.extend(other.sections.iter().cloned());
        self
    }

    /// At an address.
    pub(super) fn at(mut self, url: &str) -> Self {
        self.url = Some(url.to_owned());
        self
    }

    /// Under a slug.
    pub(super) fn called(mut self, slug: &str) -> Self {
        self.slug = slug.to_owned();
        self
    }

    /// With other sentences.
    pub(super) fn each(mut self, other: impl Fn(usize) -> usize) -> Self {
        self.sections.iter_mut().flat_map(|section| &mut section.1).for_each(|sentence| *sentence = other(*sentence));
        self
    }

    /// Its sections, to change them.
    pub(super) fn sections(&mut self) -> &mut Vec<(String, Vec<usize>)> {
        &mut self.sections
    }

    /// All sentences, in order.
    pub(super) fn sentences(&self) -> impl Iterator<Item = usize> {
        self.sections.iter().flat_map(|section| section.1.clone())
    }

    /// As Markdown.
    pub(super) fn markdown(&self) -> String {
        let url = self.url.as_ref().map_or(String::new(), |url| format!("url: {url}\n"));
        let mut text = format!("---\nslug: {}\n{url}---\n\n# Caring for what is in the house\n", self.slug);
        for (name, sentences) in &self.sections {
            text += &format!("\n## How to look after the {name}\n");
            for paragraph in sentences.chunks(4) {
                text += &format!("\n{}\n", paragraph.iter().map(|n| sentence(*n)).collect::<Vec<_>>().join(" "));
            }
        }
        text
    }

    /// As it is read.
    pub(super) fn read(&self) -> content::Article {
        let hints = Hints { name: "house.md".to_owned(), url: None };
        content::prepare(self.markdown().as_bytes(), Some(Format::Markdown), &hints, &Settings::default()).expect("an article")
    }
}

fn sentence(n: usize) -> String {
    let word = |i: usize| {
        let (mut number, mut word) = (n * 6 + i + 1_000, String::new());
        while number > 0 {
            word.push(char::from(b"bdfgklmnprst"[number % 12]));
            word.push(char::from(b"aeiou"[number / 12 % 5]));
            number /= 60;
        }
        word
    };
    format!("Then the {} is {} and the {} with your {} can {} when {} is dry.", word(0), word(1), word(2), word(3), word(4), word(5))
}

/// Imports an article into the story's series, in a transaction of its own.
pub(super) async fn try_import(story: &Story, article: &Article, approve: bool) -> Result<Imported, ImportError> {
    let mut transaction = story.app.db.pool.begin().await.expect("a transaction");
    let (source, now) = (article.markdown(), story.app.now());
    let imported = store::import(&mut transaction, "Tips", &article.read(), source.as_bytes(), approve, now).await?;
    transaction.commit().await.expect("a commit");
    Ok(imported)
}

/// The same, which goes well.
pub(super) async fn import(story: &Story, article: &Article, approve: bool) -> Imported {
    try_import(story, article, approve).await.expect("an import")
}

/// Approves all drafts that can be.
pub(super) async fn approve_all(story: &Story) {
    let mut conn = story.conn().await;
    let drafts = store::drafts(&mut conn, None).await.expect("drafts");
    store::approve(&mut conn, &drafts, story.app.now()).await.expect("approved");
}

/// So many editions, each sent.
pub(super) async fn editions(story: &Story, count: usize) {
    for _ in 0..count {
        story.app.wait(SignedDuration::from_secs(1));
        story.run_edition().await;
        story.send().await;
    }
}

/// The sentences that somebody was sent, in order.
pub(super) async fn given_to(story: &Story, name: &str) -> Vec<usize> {
    let sent = format!(
        "SELECT r.markdown FROM deliveries d JOIN subscribers s ON s.id = d.subscriber_id JOIN tip_revisions r ON r.id = d.tip_revision_id
        WHERE d.state = 'sent' AND s.name = '{name}' ORDER BY d.id"
    );
    let known: BTreeMap<String, usize> = (0..1_000).map(|n| (sentence(n), n)).collect();
    let words = story.texts(&sent).await.join(" ").replace('\n', " ").replace("dry. ", "dry.|");
    words.split('|').filter(|part| !part.trim().is_empty()).map(|part| known[part.trim()]).collect()
}

/// Who was sent which sentence more than once.
pub(super) async fn given_twice(story: &Story) -> Vec<String> {
    let mut twice = Vec::new();
    for name in story.texts("SELECT name FROM subscribers ORDER BY id").await {
        let mut given = given_to(story, &name).await;
        given.sort_unstable();
        twice.extend(given.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| format!("{name} had sentence {} twice", pair[0])));
    }
    twice
}

/// A line of a report in words.
pub(super) fn line(line: &Line) -> String {
    let name = line.name.trim_start_matches("How to look after the ");
    let overlaps = line.overlaps.iter().map(|id| format!(", overlaps {id}")).collect::<String>();
    let tip = line.tip.map_or("-".to_owned(), |id| id.to_string());
    format!("{name}: {:?}, tip {tip}, {}{}{overlaps}", line.kind, line.state, if line.back { ", back" } else { "" })
}
