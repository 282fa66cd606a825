//! Composing: segments become tips, the mail-sized texts that an operator approves.
//!
//! Owns the body's final Markdown (inner headings, citation marks numbered as in the tip's own list), the preheader,
//! and the JSON of an imported article. Called by `content::prepare`.

use super::document::{Block, Document, Kind, StageWindow};
use super::segment::{LeftOut, Segment, Segmented};
use super::subject::{self, Naming};
use super::{citations, markup, sentences, signs, words};
use jiff::civil::Date;
use serde::{Serialize, Serializer};

/// An article and the tips made of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Article {
    /// Its title.
    pub title: String,
    /// The day it was published.
    pub date: Option<Date>,
    /// Who wrote it.
    pub author: Option<String>,
    /// Its canonical address, the "read more" of its tips.
    pub url: Option<String>,
    /// What it is called within its series: of the front matter, of the address, else made of the title.
    pub slug: String,
    /// The form it was read as.
    pub format: &'static str,
    /// Its tips, in order.
    pub tips: Vec<Tip>,
    /// Its whole list of references.
    pub references: Vec<String>,
    /// What is in no tip, and why.
    pub left_out: Vec<LeftOut>,
    /// The series that its front matter names.
    #[serde(skip)]
    pub series: Option<String>,
    /// Tags of its front matter, for each tip.
    #[serde(skip)]
    pub tags: Vec<String>,
    /// The stage window of its front matter, for each tip.
    #[serde(skip)]
    pub weeks: Option<StageWindow>,
}

/// A tip as it was made of a segment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tip {
    /// At most 78 characters; makes sense without the article.
    pub subject: String,
    /// The first real sentence that is not the subject again.
    pub preheader: String,
    /// The headings above its section and its own.
    pub heading_path: Vec<String>,
    /// How many words its body has.
    pub words: usize,
    /// Its body.
    pub markdown: String,
    /// Related reading.
    pub related: Vec<Related>,
    /// The references that it cites, in the order of its marks.
    pub references: Vec<String>,
    /// A hash of its words, by which an import knows it again.
    pub fingerprint: String,
    /// Where its section is found in the article.
    #[serde(skip)]
    pub section_url: Option<String>,
}

/// A line of related reading; in JSON one string.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct Related {
    /// Its words.
    pub text: String,
    /// Where it leads, if the article says so.
    pub url: Option<String>,
}

impl Serialize for Related {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl std::fmt::Display for Related {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.url {
            Some(url) if *url != self.text => write!(f, "{} ({url})", self.text),
            _ => f.write_str(&self.text),
        }
    }
}

/// Makes the article and its tips.
pub fn compose(document: &Document, segmented: &Segmented) -> Article {
    let head = &segmented.head;
    let front = &document.front;
    let mut naming = Naming::of(document, &head.title);
    let tips = segmented.segments.iter().map(|segment| tip(document, segmented, segment, &mut naming)).collect();
    Article {
        title: head.title.clone(),
        date: head.date,
        author: head.author.clone(),
        url: front.url.clone(),
        slug: slug(front.slug.as_deref(), front.url.as_deref(), &head.title),
        format: document.format.as_str(),
        tips,
        references: segmented.references.list.iter().map(|reference| reference.text.clone()).collect(),
        left_out: segmented.left_out.clone(),
        series: front.series.clone(),
        tags: front.tags.clone(),
        weeks: front.weeks,
    }
}

fn tip(document: &Document, segmented: &Segmented, segment: &Segment, naming: &mut Naming) -> Tip {
    let subject = naming.subject(&segment.heading_path, &segment.names, segment.piece);
    Tip {
        preheader: preheader(document, segment, &subject),
        subject,
        heading_path: segment.heading_path.clone(),
        words: segment.words,
        markdown: body(document, segmented, segment),
        related: segment.related.iter().flat_map(|index| related(&document.blocks[*index])).collect(),
        references: segment.references.iter().map(|position| segmented.references.list[*position].text.clone()).collect(),
        fingerprint: segment.fingerprint.clone(),
        section_url: document.front.url.as_ref().map(|url| section_url(url, segment.anchor.as_deref())),
    }
}

fn section_url(url: &str, anchor: Option<&str>) -> String {
    match anchor {
        Some(anchor) => format!("{}#{anchor}", url.split('#').next().unwrap_or(url)),
        None => url.to_owned(),
    }
}

/// The body's Markdown. Inner headings stand on the fourth level, so that reading it again does not part them.
fn body(document: &Document, segmented: &Segmented, segment: &Segment) -> String {
    let mut out = String::new();
    let mut before: Option<&Block> = None;
    let marked = segment.body.iter().map(|index| &document.blocks[*index]).filter(|block| block.kind != Kind::Code);
    // With a mark that leads nowhere, numbers of our own would only add to the confusion.
    let cites = !segmented.references.list.is_empty();
    let whole =
        cites && marked.flat_map(|block| citations::cited(&block.markdown)).all(|label| segmented.references.by_label(&label).is_some());
    for block in segment.body.iter().map(|index| &document.blocks[*index]) {
        let numbered =
            if block.kind == Kind::Code { block.markdown.clone() } else { number_marks(&block.markdown, segmented, segment, whole) };
        let lists = matches!(block.kind, Kind::List { .. }) && before.is_some_and(|before| matches!(before.kind, Kind::List { .. }));
        // All inner headings stand on one level: one with no text of its own stands before the next, on its line.
        let beneath = block.level().is_some() && before.is_some_and(|before| before.level().is_some());
        match before {
            Some(_) if beneath => {
                out.truncate(out.trim_end_matches([':', ' ']).len());
                if out.ends_with("\\#") {
                    out.replace_range(out.len() - 2.., "#");
                }
                out.push_str(": ");
            }
            // Without anything between them two lists would be read as one.
            Some(_) if lists => out.push_str("\n\n<!-- -->\n\n"),
            Some(_) => out.push_str("\n\n"),
            None => {}
        }
        if block.level().is_some() && !beneath {
            out.push_str("#### ");
        }
        match beneath {
            // What had to be escaped at the beginning of a line has not within one.
            true => out.push_str(&number_marks(&markup::keep_sharp(markup::escape(&block.text, false)), segmented, segment, whole)),
            false => out.push_str(&numbered),
        }
        before = Some(block);
    }
    out
}

/// Writes each citation mark with the place of its reference in the tip's own list.
fn number_marks(markdown: &str, segmented: &Segmented, segment: &Segment, whole: bool) -> String {
    if !markdown.contains("[^") {
        return markdown.to_owned();
    }
    let place = |label: &str| {
        let position = segmented.references.by_label(label).filter(|_| whole)?;
        segment.references.iter().position(|other| *other == position)
    };
    citations::rewrite(markdown, |group| {
        let labels = citations::labels(group);
        let places: Option<Vec<usize>> = labels.iter().map(|label| place(label)).collect();
        match places {
            Some(places) => format!("[{}]", citations::written(&places.iter().map(|place| place + 1).collect::<Vec<_>>())),
            None => format!("[{group}]"),
        }
    })
}

/// The first real sentence of the body that does not only say the subject again.
fn preheader(document: &Document, segment: &Segment, subject: &str) -> String {
    let subject = words::key(subject);
    let blocks = || segment.body.iter().map(|index| &document.blocks[*index]).filter(|block| block.level().is_none());
    let told = blocks().find_map(|block| match block.kind {
        Kind::Paragraph { .. } | Kind::Quote => first_sentence(&block.text, &subject),
        Kind::List { .. } => block.items.iter().find_map(|item| first_sentence(item, &subject)),
        _ => None,
    });
    let any = || blocks().find_map(|block| block.text.lines().find(|line| !line.trim().is_empty()).map(str::to_owned));
    subject::shorten(&told.or_else(any).unwrap_or_default(), LONGEST_PREHEADER)
}

const LONGEST_PREHEADER: usize = 320;

fn first_sentence(text: &str, subject: &str) -> Option<String> {
    let text = citations::without_marks(text);
    let opening = &text[..text.char_indices().nth(4000).map_or(text.len(), |(at, _)| at)];
    let found = sentences::sentences(opening).find(|sentence| {
        let key = words::key(sentence);
        words::count(sentence) >= 4 && key != subject && !subject.contains(&key) && !sentence.ends_with(':')
    })?;
    Some(found.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The entries of a "Related:" line or of the list under one.
fn related(block: &Block) -> Vec<Related> {
    let words_only = |text: &str| Related { text: text.trim().to_owned(), url: None };
    if !block.links.is_empty() {
        let linked = block.links.iter().filter(|link| !link.text.is_empty());
        return linked.map(|link| Related { text: link.text.clone(), url: link.url.contains("://").then(|| link.url.clone()) }).collect();
    }
    if !block.items.is_empty() {
        return block.items.iter().map(|item| words_only(item)).collect();
    }
    signs::related(&block.text).filter(|rest| !rest.is_empty()).map(words_only).into_iter().collect()
}

/// Lower-case letters and digits between hyphens.
fn slug(given: Option<&str>, url: Option<&str>, title: &str) -> String {
    let page = url.and_then(|url| {
        let path = url.split("://").nth(1)?.split(['?', '#']).next()?.trim_end_matches('/');
        path.split('/').skip(1).last().map(|last| last.trim_end_matches(".html").trim_end_matches(".htm").to_owned())
    });
    let page = page.filter(|page| page.chars().any(char::is_alphabetic));
    let slug = hyphenated(given.or(page.as_deref()).unwrap_or(title));
    if slug.is_empty() { "article".to_owned() } else { slug }
}

/// Words in lower case, joined by hyphens, without accents: `Après l'été` is `apres-lete`.
pub fn hyphenated(text: &str) -> String {
    use unicode_normalization::UnicodeNormalization;
    let plain: String = text.nfkd().filter(|c| !unicode_normalization::char::is_combining_mark(*c) && !matches!(c, '\'' | '’')).collect();
    let words: Vec<String> = plain.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect();
    let mut slug = words.join("-");
    if let Some((end, _)) = slug.char_indices().nth(96) {
        slug.truncate(slug[..end].rfind('-').unwrap_or(end));
    }
    slug
}
