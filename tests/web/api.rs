//! The API of signing up: who may call it, what it takes, and what it answers to everything else.

use super::desk::{ANA, Desk, HOST};
use tidings::signup::keys;

const PATH: &str = "/api/v1/subscriptions";

#[tokio::test]
async fn a_sign_up_with_everything_is_taken() {
    let desk = Desk::new().await;
    let key = desk.key("shop").await;
    let body = r#"{"email": "ana@example.org", "name": "Ana", "topics": ["sleep"], "zone": "europe/lisbon", "stage_date": "2025-11-30"}"#;
    let answer = desk.call(&key, body).await;
    assert_eq!((answer.status, answer.body.as_str()), (202, "{\"taken\":true}\n"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let kept: (String, String, String, String) =
        sqlx::query_as("SELECT name, zone, stage_date::text, source FROM signups").fetch_one(&desk.app.db.pool).await.unwrap();
    assert_eq!(kept, ("Ana".to_owned(), "Europe/Lisbon".to_owned(), "2025-11-30".to_owned(), "api".to_owned()));
    assert_eq!(desk.mails(ANA).await, ["confirmation"]);
    assert_eq!(desk.count("SELECT count(*) FROM request_counts WHERE scope IN ('host', 'network')").await, 0);
}

#[tokio::test]
async fn without_a_key_that_is_good_for_it_nothing_is_read() {
    let desk = Desk::new().await;
    let key = desk.key("shop").await;
    let gone = desk.key("old").await;
    let mut conn = desk.app.db.pool.acquire().await.unwrap();
    keys::revoke(&mut conn, "old", desk.app.now()).await.unwrap();
    drop(conn);
    let before = desk.fingerprint().await;
    let lower = key.to_lowercase();
    for authorization in [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        &format!("Basic {key}"),
        &key,
        &format!("Bearer {gone}"),
        &format!("Bearer {lower}"),
        &format!("Bearer {key}x"),
    ] {
        let answer = desk.ask("POST", PATH, HOST, &[("authorization", authorization)], "not json").await;
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")), "{authorization}");
    }
    assert_eq!(desk.ask("POST", PATH, HOST, &[], "{}").await.status, 401);
    assert_eq!(desk.fingerprint().await, before);
}

#[tokio::test]
async fn a_key_for_something_else_is_forbidden() {
    let desk = Desk::new().await;
    let key = desk.key("shop").await;
    desk.run("ALTER TABLE api_keys DROP CONSTRAINT api_keys_scope_check").await;
    desk.run("UPDATE api_keys SET scope = 'read'").await;
    let answer = desk.call(&key, r#"{"email": "ana@example.org"}"#).await;
    assert!(answer.status == 403 && answer.body.contains("`subscribe`"), "{}", answer.body);
    assert_eq!(desk.mails(ANA).await, [""; 0]);
}

#[tokio::test]
async fn what_cannot_be_taken_is_named_by_its_field() {
    let desk = Desk::new().await;
    let key = desk.key("shop").await;
    for (body, field) in [
        (r#"{}"#, "email"),
        (r#"{"email": "nobody"}"#, "email"),
        (r#"{"email": null}"#, "email"),
        (r#"{"email": 7}"#, "email"),
        (r#"{"email": "ana@example.org", "topics": ["food"]}"#, "topics"),
        (r#"{"email": "ana@example.org", "topics": []}"#, "topics"),
        (r#"{"email": "ana@example.org", "zone": "Nowhere/Land"}"#, "zone"),
        (r#"{"email": "ana@example.org", "stage_date": "soon"}"#, "stage_date"),
        (r#"{"email": "ana@example.org", "name": "a\u0000b"}"#, "name"),
        (r#"{"email": "ana@example.org", "confirmed": true}"#, "confirmed"),
    ] {
        let answer = desk.call(&key, body).await;
        let told: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!((answer.status, told["error"]["field"].as_str()), (422, Some(field)), "{body}: {told}");
        assert!(told["error"]["problem"].as_str().is_some_and(|problem| problem.len() > 10), "{told}");
        assert_eq!(told.get("also"), None, "{told}");
    }
    let two = desk.call(&key, r#"{"email": "nobody", "zone": "Nowhere/Land"}"#).await;
    assert!(two.body.contains("\"also\":[{\"field\":\"zone\""), "{}", two.body);
    assert_eq!(desk.count("SELECT count(*) FROM subscribers").await, 0);
}

#[tokio::test]
async fn a_body_that_is_no_json_object_of_ours_is_refused_by_its_kind() {
    let desk = Desk::new().await;
    let bearer = format!("Bearer {}", desk.key("shop").await);
    let large = format!(r#"{{"email": "{}"}}"#, "x".repeat(20_000));
    let deep = "[".repeat(5_000);
    for (kind, body, status) in [
        ("application/json", "", 400),
        ("application/json", "[]", 400),
        ("application/json", "{\"email\":", 400),
        ("application/json", "\u{feff}{}", 400),
        ("application/json", deep.as_str(), 400),
        ("application/json", large.as_str(), 413),
        ("application/x-www-form-urlencoded", "email=ana@example.org", 415),
        ("text/plain", "{\"email\": \"ana@example.org\"}", 415),
        ("", "{\"email\": \"ana@example.org\"}", 415),
    ] {
        let answer = desk.ask("POST", PATH, HOST, &[("content-type", kind), ("authorization", &bearer)], body.to_owned()).await;
        assert_eq!(answer.status, status, "{kind} {}", &body[..body.len().min(30)]);
        assert!(answer.body.starts_with("{\"error\":{\"problem\":"), "{}", answer.body);
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    let fits = desk
        .ask(
            "POST",
            PATH,
            HOST,
            &[("content-type", "Application/JSON; charset=utf-8"), ("authorization", &bearer)],
            "{\"email\": \"ana@example.org\"}",
        )
        .await;
    assert_eq!(fits.status, 202);
}
