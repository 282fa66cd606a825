//! The sample articles, compiled in: four shapes in which a publisher may drop one in.
//!
//! Imported by the same functions as `tidings import article --approve`.

use super::{screen::Screen, stage::Stage};
use crate::content::{self, Hints, Settings, store};

/// The series of their tips, and so the topic.
pub(super) const SERIES: &str = "Well at home";

/// By name; a plain text says nowhere what its address is.
const ARTICLES: [(&str, Option<&str>, &str); 4] = [
    ("short-nights.md", None, include_str!("articles/short-nights.md")),
    ("tired-eyes.md", None, include_str!("articles/tired-eyes.md")),
    ("safe-kitchen.md", None, include_str!("articles/safe-kitchen.md")),
    ("fresh-air.txt", Some("https://example.org/articles/fresh-air"), include_str!("articles/fresh-air.txt")),
];

/// Imports and approves them, in the order in which they stand here.
pub(super) async fn import(stage: &Stage, screen: &Screen) -> anyhow::Result<()> {
    let mut transaction = stage.db().pool.begin().await?;
    let mut tips = 0;
    for (name, url, source) in ARTICLES {
        let hints = Hints { name: name.to_owned(), url: url.map(str::to_owned) };
        let article = content::prepare(source.as_bytes(), None, &hints, &Settings::default())?;
        tips += article.tips.len();
        store::import(&mut transaction, SERIES, &article, source.as_bytes(), true, stage.now()).await?;
    }
    transaction.commit().await?;
    screen.line(format_args!("articles  {} became {tips} tips of the series `{SERIES}`, approved", ARTICLES.len()));
    Ok(())
}
