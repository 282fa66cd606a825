//! What one subscribes to. A topic is made together with its series, by `content`; here it is only looked up.
//!
//! Operators name a topic by its name or its slug, in any case; a name that is not there is answered with those that are.

use super::store;
use sqlx::PgConnection;

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

fn existing(topics: &[String]) -> String {
    match topics {
        [] => "there is none yet; importing an article into a series makes one (`tidings import article FILE --series NAME`)".to_owned(),
        [only] => format!("the only one is `{only}`"),
        many => format!("there are {}", many.iter().map(|t| format!("`{t}`")).collect::<Vec<_>>().join(", ")),
    }
}
