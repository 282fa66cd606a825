//! Feeds brought in: what is new or changed in an RSS or Atom feed, or in an export of WordPress, becomes drafts of a series.
//!
//! Owns the table feeds (`store`), and when one is due (`schedule`). Each article is a transaction of its own: one that fails is
//! named, and the others go in. Nothing is approved unless that is asked for, and nothing is sent. Called by `cli` and `jobs`.

pub mod schedule;
mod store;

pub use store::{Refusal, Standing, forget, list};

use super::{
    Article, ContentError, Found, Hints, Settings,
    store::{self as tips, ImportError, Imported},
};
use crate::base::{
    database,
    fetch::{self, Bounds, FetchError, Fetched, Version, reach::Reach},
};
use jiff::Timestamp;
use quick_xml::{Reader, events::Event};
use reqwest::Url;
use sqlx::PgPool;
use std::time::Duration;

/// The series of articles that name none.
const SERIES: &str = "tips";

/// What a feed is brought in with.
#[derive(Debug, Clone, Copy)]
pub struct Means<'a> {
    /// The database.
    pub pool: &'a PgPool,
    /// The bounds of a fetch.
    pub bounds: &'a Bounds,
    /// Which addresses may be reached.
    pub reach: &'a Reach,
}

/// A feed, and what its articles become.
#[derive(Debug, Clone)]
pub struct Feed {
    /// Where it is.
    pub url: Url,
    /// The series that gets the tips; none: the one that each article names, else `tips`.
    pub series: Option<String>,
    /// Whether new tips are approved at once.
    pub approve: bool,
}

/// What became of a feed.
#[derive(Debug)]
pub enum Brought {
    /// It is what was brought in before, out of which these could not be stored.
    Unchanged(Vec<Refusal>),
    /// Its articles, in the order of the feed.
    Items(Vec<Item>),
}

/// An article of a feed.
#[derive(Debug)]
pub struct Item {
    /// The feed and the article's title or address.
    pub name: String,
    /// What it became, or why it became nothing.
    pub taken: Result<Taken, NotTaken>,
}

/// Why an article became nothing.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// It cannot be read, or gives no tips.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// It gives tips that could not be stored.
    #[error(transparent)]
    Store(#[from] ImportError),
    /// Nothing is wrong with it, but it is no published article: a draft or a picture in an export. Holds the reason.
    #[error("{0}")]
    SetAside(String),
}

impl Item {
    /// Why it was not taken, if that is something to be put right.
    pub fn refused(&self) -> Option<&NotTaken> {
        self.taken.as_ref().err().filter(|why| !matches!(why, NotTaken::SetAside(_)))
    }
}

/// An article that was read.
#[derive(Debug)]
pub struct Taken {
    /// It.
    pub article: Article,
    /// The series that it belongs to.
    pub series: String,
    /// What storing it did; none: it was only looked at.
    pub imported: Option<Imported>,
}

/// Why a feed was not brought in.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the sentence of each variant names its fields")]
pub enum FeedError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("`{name}` is no feed: RSS, Atom or an export of WordPress was expected, and {found}")]
    NoFeed { name: String, found: String },
    #[error(transparent)]
    Content(#[from] ContentError),
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    #[error("reading `{0}` ended in a fault of this program; see the log")]
    Fault(String),
}

impl FeedError {
    /// How long the server asked us to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            FeedError::Fetch(FetchError::Refused { retry_after, .. }) => *retry_after,
            _ => None,
        }
    }
}

/// Fetches a feed unless it is the one that is known, stores what it holds, and writes down how it went.
pub async fn bring_in(means: &Means<'_>, feed: &Feed, now: Timestamp) -> Result<Brought, FeedError> {
    let result = fetch_and_store(means, feed, now).await;
    // That the database fails is no fault of the feed's, and could not be written down.
    if let Some(error) = result.as_ref().err().filter(|error| !matches!(error, FeedError::Database(_))) {
        let mut conn = means.pool.acquire().await?;
        store::failed(&mut conn, feed, &error.to_string(), now).await?;
    }
    result
}

async fn fetch_and_store(means: &Means<'_>, feed: &Feed, now: Timestamp) -> Result<Brought, FeedError> {
    // No connection is held while a stranger's server takes its time.
    let known = store::known(&mut *means.pool.acquire().await?, feed).await?;
    let version = known.as_ref().and_then(|known| known.version.as_ref());
    match fetch::fetch(&feed.url, version, means.bounds, means.reach).await? {
        Fetched::Unchanged => {
            store::unchanged(&mut *means.pool.acquire().await?, feed, now).await?;
            Ok(Brought::Unchanged(known.map(|known| known.refused).unwrap_or_default()))
        }
        Fetched::New(bytes, version) => {
            let found = read(&fetch::shown(&feed.url), bytes).await?;
            let items = import(Target::Store(means.pool, feed.approve), found, feed.series.as_deref(), now).await?;
            store::brought(&mut *means.pool.acquire().await?, feed, &version_of(version, &items), &items, now).await?;
            Ok(Brought::Items(items))
        }
    }
}

// What is wrong with an article's words is wrong next time too; what storing it met may be gone by then, so the feed is fetched again.
fn version_of(version: Version, items: &[Item]) -> Option<Version> {
    let stored = items.iter().all(|item| !matches!(item.taken, Err(NotTaken::Store(_))));
    stored.then_some(version)
}

/// The articles of a feed. `name` is the file's or the address, for messages.
pub async fn read(name: &str, bytes: Vec<u8>) -> Result<Vec<Found>, FeedError> {
    let hints = Hints { name: name.to_owned(), url: None };
    // A large one takes seconds, in which mails leave by this thread.
    let reading = tokio::task::spawn_blocking(move || {
        must_be_feed(&hints.name, &bytes)?;
        Ok(super::articles(&bytes, None, &hints, &Settings::default())?)
    });
    reading.await.unwrap_or_else(|_| Err(FeedError::Fault(name.to_owned())))
}

fn must_be_feed(name: &str, bytes: &[u8]) -> Result<(), FeedError> {
    let root = root(bytes);
    let found = match root.as_deref() {
        Some("rss" | "feed" | "RDF") => return Ok(()),
        Some(root) if root.eq_ignore_ascii_case("html") => "it is a page".to_owned(),
        Some(root) => format!("it begins with <{}>", root.chars().take(40).collect::<String>()),
        None => "it is no XML".to_owned(),
    };
    Err(FeedError::NoFeed { name: name.to_owned(), found })
}

/// The local name of the first element.
fn root(bytes: &[u8]) -> Option<String> {
    // Whatever the encoding, marks are ASCII; what stands before the first of them is short.
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(100_000)]);
    let mut reader = Reader::from_str(&start);
    loop {
        match reader.read_event().ok()? {
            Event::Start(element) | Event::Empty(element) => {
                return Some(element.local_name().as_ref().to_owned());
            }
            Event::Text(text) if !text.chars().all(|c| c.is_whitespace() || c == '\u{feff}') => return None,
            Event::Eof => return None,
            _ => {}
        }
    }
}

/// Where articles go.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// Nowhere: they are only read.
    Nowhere,
    /// Into this database and out again: what would be done, with the same approval, is told, and nothing is changed.
    Rehearsal(&'a PgPool, bool),
    /// Into this database; their tips are approved at once, or not.
    Store(&'a PgPool, bool),
}

/// Stores articles, each in a transaction of its own.
pub async fn import(target: Target<'_>, found: Vec<Found>, series: Option<&str>, now: Timestamp) -> Result<Vec<Item>, FeedError> {
    let mut items = Vec::new();
    for found in found {
        let aside = found.set_aside().map(|reason| NotTaken::SetAside(reason.to_owned()));
        let Found { name, source, article } = found;
        let taken = match article {
            Ok(article) => take(target, article, &source, series, now).await,
            Err(error) => Err(aside.unwrap_or_else(|| error.into())),
        };
        items.push(match taken {
            // The database itself is out of reach: the others would wait for it one by one.
            Err(NotTaken::Store(ImportError::Database(error))) if database::is_out_of_reach(&error) => return Err(error.into()),
            taken => Item { name, taken },
        });
    }
    Ok(items)
}

async fn take(target: Target<'_>, article: Article, source: &[u8], series: Option<&str>, now: Timestamp) -> Result<Taken, NotTaken> {
    let named = series.or(article.series.as_deref()).map(str::trim).filter(|name| !name.is_empty());
    let series = named.unwrap_or(SERIES).to_owned();
    let (pool, approve, keep) = match target {
        Target::Nowhere => return Ok(Taken { article, series, imported: None }),
        Target::Rehearsal(pool, approve) => (pool, approve, false),
        Target::Store(pool, approve) => (pool, approve, true),
    };
    let mut transaction = pool.begin().await.map_err(ImportError::from)?;
    let imported = tips::import(&mut transaction, &series, &article, source, approve, now).await?;
    let ended = if keep { transaction.commit().await } else { transaction.rollback().await };
    ended.map_err(ImportError::from)?;
    Ok(Taken { article, series, imported: Some(imported) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_is_known_by_its_first_element() {
        for feed in [
            "<rss version='2.0'><channel/></rss>",
            "\u{feff}<?xml version=\"1.0\"?>\n<!-- a -->\n<feed xmlns='http://www.w3.org/2005/Atom'/>",
            "<!DOCTYPE rss><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'></rdf:RDF>",
        ] {
            assert!(must_be_feed("x", feed.as_bytes()).is_ok(), "{feed}");
        }
        for (other, found) in [
            ("<!doctype html><html><body>Log in</body></html>", "it is a page"),
            ("<?xml version='1.0'?><opml/>", "it begins with <opml>"),
            ("# A title\n\n<rss>", "it is no XML"),
            ("", "it is no XML"),
            ("{\"version\": \"https://jsonfeed.org/version/1\"}", "it is no XML"),
        ] {
            assert!(must_be_feed("x", other.as_bytes()).unwrap_err().to_string().ends_with(found), "{other}");
        }
    }
}
