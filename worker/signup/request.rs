//! What somebody typed in to subscribe or to join a waitlist, read field by field: each that cannot be taken is answered with a sentence of its own.
//!
//! The pages and the API read their requests here, so that both refuse the same things in the same words; nothing here asks who
//! the address belongs to.

use super::disposable;
use crate::{
    audience::subscriber::{canonical_zone, read_name, read_stage_date},
    base::{
        address::EmailAddress,
        config::{self, Disposable},
    },
};
use jiff::civil::Date;
use sqlx::PgConnection;

/// A slug is shown back up to this length, in characters.
const SHOWN: usize = 40;

/// The fields as they were typed; an empty one says that nothing was given.
#[derive(Debug, Clone, Default)]
pub struct Form {
    /// The address.
    pub email: String,
    /// How she is called.
    pub name: String,
    /// Slugs of topics; none: every open topic.
    pub topics: Vec<String>,
    /// Her time zone.
    pub zone: String,
    /// The date that stage windows are counted from, YYYY-MM-DD.
    pub stage_date: String,
}

/// A field that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// email, name, topics, zone or stage_date.
    pub field: &'static str,
    /// What is wrong with it, in a sentence without its full stop.
    pub problem: String,
}

/// A topic that anyone may subscribe to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenTopic {
    /// Its id.
    pub id: i64,
    /// Its name in forms and requests.
    pub slug: String,
    /// As people read it.
    pub name: String,
    /// What one gets; may be empty.
    pub description: String,
}

/// A wish to subscribe, or to join a waitlist, that can be taken.
#[derive(Debug, Clone)]
pub struct Request {
    /// Where the confirmation goes.
    pub address: EmailAddress,
    /// How she is called.
    pub name: Option<String>,
    /// What she subscribes to; empty only for who asks for nothing but a waitlist.
    pub topics: Vec<OpenTopic>,
    /// IANA name in its canonical spelling.
    pub zone: Option<String>,
    /// The date that stage windows are counted from.
    pub stage_date: Option<Date>,
}

impl Request {
    /// Reads a form; every field that is wrong is named.
    pub fn read(form: &Form, open: &[OpenTopic], rules: &config::Signup) -> Result<Request, Vec<FieldError>> {
        Self::read_with(form, read_topics(&form.topics, open), rules)
    }

    /// Reads a form that asks for a waitlist and no topic.
    pub fn to_wait(form: &Form, rules: &config::Signup) -> Result<Request, Vec<FieldError>> {
        Self::read_with(form, Ok(Vec::new()), rules)
    }

    fn read_with(form: &Form, topics: Result<Vec<OpenTopic>, String>, rules: &config::Signup) -> Result<Request, Vec<FieldError>> {
        let mut errors = Vec::new();
        let address = checked("email", read_address(&form.email, rules), &mut errors);
        let name = checked("name", given(&form.name).map(|text| read_name(text).map_err(|e| e.to_string())).transpose(), &mut errors);
        let topics = checked("topics", topics, &mut errors);
        let zone = checked("zone", given(&form.zone).map(|text| canonical_zone(text).map_err(|e| e.to_string())).transpose(), &mut errors);
        let stage_date = given(&form.stage_date).map(|text| read_stage_date(text).map_err(|e| e.to_string())).transpose();
        let stage_date = checked("stage_date", stage_date, &mut errors);
        match (address, name, topics, zone, stage_date) {
            (Some(address), Some(name), Some(topics), Some(zone), Some(stage_date)) => {
                Ok(Request { address, name, topics, zone, stage_date })
            }
            _ => Err(errors),
        }
    }
}

/// The topics that anyone may subscribe to, by name.
pub async fn open_topics(conn: &mut PgConnection) -> sqlx::Result<Vec<OpenTopic>> {
    sqlx::query_as!(OpenTopic, "SELECT id, slug, name, description FROM topics WHERE open ORDER BY name, id").fetch_all(conn).await
}

fn checked<T>(field: &'static str, read: Result<T, String>, errors: &mut Vec<FieldError>) -> Option<T> {
    read.map_err(|problem| errors.push(FieldError { field, problem })).ok()
}

fn read_address(text: &str, rules: &config::Signup) -> Result<EmailAddress, String> {
    let address = EmailAddress::parse(text).map_err(|error| error.to_string())?;
    if disposable::is_disposable(address.domain()) {
        match rules.disposable {
            Disposable::Refuse => return Err(format!("addresses at {} are given away after use: use one that you keep", address.domain())),
            Disposable::Warn => tracing::warn!(domain = address.domain(), "a sign-up with an address of a throw-away provider"),
        }
    }
    Ok(address)
}

fn read_topics(slugs: &[String], open: &[OpenTopic]) -> Result<Vec<OpenTopic>, String> {
    if open.is_empty() {
        return Err("there is nothing to subscribe to at the moment".to_owned());
    }
    let slugs: Vec<&str> = slugs.iter().map(|slug| slug.trim()).filter(|slug| !slug.is_empty()).collect();
    let unknown = slugs.iter().find(|slug| !open.iter().any(|topic| topic.slug == **slug));
    if let Some(slug) = unknown {
        let shown: String = slug.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
        let names: Vec<&str> = open.iter().map(|topic| topic.slug.as_str()).collect();
        return Err(format!("`{shown}` is no topic that is open: expected some of {}", names.join(", ")));
    }
    Ok(open.iter().filter(|topic| slugs.is_empty() || slugs.contains(&topic.slug.as_str())).cloned().collect())
}

fn given(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
