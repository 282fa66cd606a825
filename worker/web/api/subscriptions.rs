//! `POST /api/v1/subscriptions`: somebody signed up in a program of the operator's, such as a shop.
//!
//! The same reading, limits and mails as the page. The program's own server calls it, so there is no host to count by: the key is
//! counted instead. The answer says that the request was taken, and nothing about the address.

use super::{Refusal, key, object, taken, text};
use crate::{
    signup::{self, Answer, Form, Origin, keys::Scope},
    web::Web,
};
use axum::{
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value};

/// No request names more topics.
const MAX_TOPICS: usize = 100;

/// `POST /api/v1/subscriptions`
pub(in crate::web) async fn add(State(web): State<Web>, request: Request) -> Response {
    match added(&web, request).await {
        Ok(()) => taken(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn added(web: &Web, request: Request) -> Result<(), Refusal> {
    // The key first: whoever has none learns nothing about what would be taken.
    let key = key(web, request.headers(), Scope::Subscribe).await?;
    let form = form(object(request).await?).map_err(Refusal::Fields)?;
    let open = signup::open_topics(&mut *web.db.pool.acquire().await?).await?;
    let request = signup::Request::read(&form, &open, &web.rules).map_err(Refusal::of_fields)?;
    match signup::subscribe(&web.desk(), &request, Origin::Key(key), web.clock.now()).await? {
        Answer::Taken => Ok(()),
        Answer::TooMany => Err(Refusal::TooMany),
    }
}

/// The fields of the object; null and a field that is not there say that nothing was given.
fn form(object: Map<String, Value>) -> Result<Form, Vec<(String, String)>> {
    let (mut form, mut problems) = (Form::default(), Vec::new());
    for (name, value) in object {
        let read = match name.as_str() {
            "email" => text(value).map(|text| form.email = text),
            "name" => text(value).map(|text| form.name = text),
            "zone" => text(value).map(|text| form.zone = text),
            "stage_date" => text(value).map(|text| form.stage_date = text),
            "topics" => texts(value).map(|slugs| form.topics = slugs),
            _ => Err("there is no such field: email, name, topics, zone and stage_date are known"),
        };
        if let Err(problem) = read {
            problems.push((name.chars().take(40).collect(), problem.to_owned()));
        }
    }
    if problems.is_empty() { Ok(form) } else { Err(problems) }
}

fn texts(value: Value) -> Result<Vec<String>, &'static str> {
    const WANTED: &str = "a list of topics' slugs was expected, at most 100; without the field every open topic is meant";
    match value {
        // An empty list would mean every topic, which nobody who writes one can want.
        Value::Array(items) if !items.is_empty() && items.len() <= MAX_TOPICS => {
            items.into_iter().map(|item| item.as_str().map(str::to_owned).ok_or(WANTED)).collect()
        }
        Value::Null => Ok(Vec::new()),
        _ => Err(WANTED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(body: Value) -> Result<Form, Vec<String>> {
        let Value::Object(object) = body else { panic!("an object") };
        form(object).map_err(|problems| problems.into_iter().map(|(field, problem)| format!("{field}: {problem}")).collect())
    }

    #[test]
    fn a_body_is_read_field_by_field() {
        let read = read(json!({ "email": "ana@example.org", "name": null, "topics": ["back", "sleep"], "zone": "Europe/London" })).unwrap();
        assert_eq!((read.email.as_str(), read.name.as_str(), read.zone.as_str()), ("ana@example.org", "", "Europe/London"));
        assert_eq!(read.topics, ["back", "sleep"]);
    }

    #[test]
    fn what_is_unknown_or_of_another_kind_is_named() {
        for (body, field) in [
            (json!({ "mail": "ana@example.org" }), "mail"),
            (json!({ "email": ["ana@example.org"] }), "email"),
            (json!({ "name": 7 }), "name"),
            (json!({ "stage_date": 20260101 }), "stage_date"),
            (json!({ "topics": "back" }), "topics"),
            (json!({ "topics": [] }), "topics"),
            (json!({ "topics": ["back", 1] }), "topics"),
            (json!({ "topics": vec!["x"; 101] }), "topics"),
        ] {
            let problems = read(body).unwrap_err();
            assert!(problems.len() == 1 && problems[0].starts_with(&format!("{field}: ")), "{problems:?}");
        }
        assert_eq!(read(json!({ "a": 1, "b": 2 })).unwrap_err().len(), 2);
    }
}
