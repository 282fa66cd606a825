//! What one subscribes to. A topic is made together with its series, by `content`; here it is looked up and described.
//!
//! Operators name a topic by its name or its slug, in any case; a name that is not there is answered with those that are. An open
//! topic is offered on the pages; one that is closed keeps its subscribers.

use super::store;
use jiff::Timestamp;
use serde::Serialize;
use sqlx::{Acquire, PgConnection};

/// The longest name, in characters.
const LONGEST_NAME: usize = 100;
/// The longest description, in characters.
const LONGEST_DESCRIPTION: usize = 500;

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its id.
    pub id: i64,
    /// Lower-case name for commands and addresses of pages.
    pub slug: String,
    /// As people read it.
    pub name: String,
}

/// A topic as an operator sees it.
#[derive(Debug, Clone, Serialize)]
pub struct ListedTopic {
    /// Lower-case name for commands and requests.
    pub slug: String,
    /// As people read it.
    pub name: String,
    /// What one gets, as the pages say it.
    pub description: String,
    /// Whether it is offered on the pages.
    pub open: bool,
    /// How many are confirmed.
    pub confirmed: i64,
}

/// What an operator changes about a topic; none: it stays.
#[derive(Debug, Clone, Copy, Default)]
pub struct Edit<'a> {
    /// As people read it.
    pub name: Option<&'a str>,
    /// What one gets.
    pub description: Option<&'a str>,
    /// Whether it is offered on the pages.
    pub open: Option<bool>,
}

/// Why no topic was found.
#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    /// None bears this name.
    #[error("there is no topic `{wanted}`: {}", existing(.topics))]
    Unknown {
        /// What was asked for.
        wanted: String,
        /// The names of those that exist.
        topics: Vec<String>,
    },
    /// The name cannot be used.
    #[error("`{0}` cannot name a topic: expected 1 to {LONGEST_NAME} characters without line breaks")]
    Name(String),
    /// The description cannot be used.
    #[error(
        "the description is longer than {} characters or holds a control character: say in a sentence or two what one gets",
        LONGEST_DESCRIPTION
    )]
    Description,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// The topic with this name or slug; an exact spelling goes before one in another case.
pub async fn find(conn: &mut PgConnection, wanted: &str) -> Result<Topic, TopicError> {
    let mut topics = store::topics(conn).await?;
    let wanted = wanted.trim();
    let folded = wanted.to_lowercase();
    let rank = |t: &Topic| match () {
        () if t.name == wanted => Some(0),
        () if t.slug == wanted => Some(1),
        () if t.name.to_lowercase() == folded => Some(2),
        () if t.slug.to_lowercase() == folded => Some(3),
        () => None,
    };
    let best = topics.iter().enumerate().filter_map(|(i, t)| Some((rank(t)?, i))).min();
    match best {
        Some((_, index)) => Ok(topics.swap_remove(index)),
        None => Err(TopicError::Unknown { wanted: wanted.to_owned(), topics: topics.into_iter().map(|t| t.name).collect() }),
    }
}

/// All topics, by name.
pub async fn list(conn: &mut PgConnection) -> sqlx::Result<Vec<ListedTopic>> {
    store::listed_topics(conn).await
}

/// Changes what is said of a topic, as an operator's act; false when nothing was to be changed.
pub async fn edit(conn: &mut PgConnection, wanted: &str, edit: Edit<'_>, now: Timestamp) -> Result<bool, TopicError> {
    let name = edit.name.map(str::trim);
    if let Some(name) = name.filter(|name| !fits(name, 1, LONGEST_NAME)) {
        return Err(TopicError::Name(name.to_owned()));
    }
    let description = edit.description.map(str::trim);
    if description.is_some_and(|text| !fits(text, 0, LONGEST_DESCRIPTION)) {
        return Err(TopicError::Description);
    }
    let topic = find(conn, wanted).await?;
    let mut tx = conn.begin().await?;
    let changed = store::edit_topic(&mut tx, topic.id, name, description, edit.open).await?;
    if changed {
        let said = [
            name.map(|name| format!("name: {name}")),
            description.map(|text| format!("description: {text}")),
            edit.open.map(|open| (if open { "open" } else { "closed" }).to_owned()),
        ];
        let detail = said.into_iter().flatten().collect::<Vec<_>>().join("; ");
        store::insert_operator_act(&mut tx, "topic edited", "topic", Some(topic.id), &detail, now).await?;
    }
    tx.commit().await?;
    Ok(changed)
}

fn fits(text: &str, least: usize, most: usize) -> bool {
    (least..=most).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

fn existing(topics: &[String]) -> String {
    match topics {
        [] => "there is none yet; importing an article into a series makes one (`tidings import article FILE --series NAME`)".to_owned(),
        [only] => format!("the only one is `{only}`"),
        many => format!("there are {}", many.iter().map(|t| format!("`{t}`")).collect::<Vec<_>>().join(", ")),
    }
}
