//! What is posted to an unsubscribe link: a form of our page, or a mail program's one click (RFC 8058, 3.1).
//!
//! Both encodings of HTML's forms are read, urlencoded and multipart; a body without a type is read as urlencoded. Any
//! other field or value makes it none of ours, and nothing is done.

use crate::people::stop::Source;
use axum::{
    extract::{Form, FromRequest, Multipart, Request},
    http::{HeaderValue, header},
};

/// Fields of a form that we would read at most; ours have two.
const MAX_FIELDS: usize = 8;

/// What a person wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Out of the topic of the letter.
    LeaveTopic(Source),
    /// Out of everything.
    LeaveEverything,
    /// Back again.
    Undo,
}

/// Reads a posted body; `None` for one that is none of ours.
pub(super) async fn read(request: Request) -> Option<Act> {
    wanted(&fields(request).await?)
}

/// The fields of a body, in either form that a mail program may post (RFC 8058); `None` for one that is no form.
pub(super) async fn fields(mut request: Request) -> Option<Vec<(String, String)>> {
    let kind = request.headers().get(header::CONTENT_TYPE).map_or(Some(""), |value| value.to_str().ok())?;
    if kind.trim_start().to_ascii_lowercase().starts_with("multipart/form-data") {
        return multipart(Multipart::from_request(request, &()).await.ok()?).await;
    }
    if kind.is_empty() {
        request.headers_mut().insert(header::CONTENT_TYPE, const { HeaderValue::from_static("application/x-www-form-urlencoded") });
    }
    Some(Form::from_request(request, &()).await.ok()?.0)
}

async fn multipart(mut form: Multipart) -> Option<Vec<(String, String)>> {
    let mut fields = Vec::new();
    while let Some(field) = form.next_field().await.ok()? {
        let name = field.name()?.to_owned();
        fields.push((name, field.text().await.ok()?));
        if fields.len() > MAX_FIELDS {
            return None;
        }
    }
    Some(fields)
}

fn wanted(fields: &[(String, String)]) -> Option<Act> {
    let mut fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.trim())).collect();
    fields.sort_unstable();
    match fields.as_slice() {
        [("List-Unsubscribe", "One-Click")] => Some(Act::LeaveTopic(Source::OneClick)),
        [("act", "leave"), ("from", "topic")] => Some(Act::LeaveTopic(Source::Page)),
        [("act", "leave"), ("from", "everything")] => Some(Act::LeaveEverything),
        [("act", "undo")] => Some(Act::Undo),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    async fn posted(kind: Option<&str>, body: &str) -> Option<Act> {
        let mut request = Request::post("/u/x");
        if let Some(kind) = kind {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        read(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    #[tokio::test]
    async fn one_click_is_read_in_both_forms() {
        let one_click = Some(Act::LeaveTopic(Source::OneClick));
        let multipart = "--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--b--\r\n";
        assert_eq!(posted(Some("application/x-www-form-urlencoded"), "List-Unsubscribe=One-Click").await, one_click);
        assert_eq!(posted(Some("application/x-www-form-urlencoded; charset=utf-8"), "List-Unsubscribe=One-Click\r\n").await, one_click);
        assert_eq!(posted(Some("multipart/form-data; boundary=b"), multipart).await, one_click);
        assert_eq!(posted(None, "List-Unsubscribe=One-Click").await, one_click);
    }

    #[tokio::test]
    async fn any_other_body_asks_for_nothing() {
        for body in [
            "",
            "List-Unsubscribe=",
            "List-Unsubscribe=No",
            "list-unsubscribe",
            "act=leave",
            "act=leave&from=all",
            "act=undo&act=leave&from=topic",
            "List-Unsubscribe=One-Click&act=undo",
            "from=topic&act=leave&x=1",
            "%ff=%ff",
        ] {
            assert_eq!(posted(Some("application/x-www-form-urlencoded"), body).await, None, "{body}");
        }
        assert_eq!(posted(Some("application/json"), "{\"List-Unsubscribe\":\"One-Click\"}").await, None);
        assert_eq!(posted(Some("text/plain"), "List-Unsubscribe=One-Click").await, None);
        assert_eq!(posted(Some("multipart/form-data"), "List-Unsubscribe=One-Click").await, None);
        assert_eq!(posted(Some("multipart/form-data; boundary=b"), "--b\r\nbroken").await, None);
    }
}
