//! The pages and the API without a socket: requests as if from any host, and what stands in the database after them.

use crate::{
    support::TestApp,
    waitlist::stage::{new_opening, particulars},
};
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::ConnectInfo,
    http::{HeaderMap, Request},
};
use jiff::SignedDuration;
use sqlx::{Postgres, pool::PoolConnection};
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};
use tidings::{
    base::{
        clock::Clock,
        token::{self, Purpose},
    },
    signup::keys::{self, Scope},
    waitlist::{
        opening::{self, NewOpening},
        program,
    },
    web::{self, Web},
};
use tower::ServiceExt;

/// Somebody's host.
pub(super) const HOST: &str = "198.51.100.7";

pub(super) const ANA: &str = "ana@example.org";

/// The pages, with two topics to subscribe to.
pub(super) struct Desk {
    pub(super) app: TestApp,
    pub(super) router: Router,
}

pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("a readable header"))
    }

    /// All that whoever asked can see.
    pub(super) fn seen(&self) -> (u16, BTreeMap<String, String>, &str) {
        let headers = self.headers.iter().map(|(name, value)| (name.to_string(), format!("{value:?}")));
        (self.status, headers.filter(|(name, _)| name != "date").collect(), &self.body)
    }

    /// The hidden fields of the page's form, as a browser sends them back.
    pub(super) fn hidden(&self) -> Vec<(String, String)> {
        let inputs = self.body.split("<input type=\"hidden\" name=\"").skip(1);
        inputs
            .map(|input| {
                let (name, rest) = input.split_once("\" value=\"").expect("a value");
                let value = rest.split_once('"').expect("its end").0;
                (
                    name.to_owned(),
                    value.replace("&#34;", "\"").replace("&#60;", "<").replace("&#62;", ">").replace("&#39;", "'").replace("&#38;", "&"),
                )
            })
            .collect()
    }
}

impl Desk {
    pub(super) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// With settings of its own, by the names of their variables.
    pub(super) async fn with(settings: &[(&str, &str)]) -> Self {
        let app = TestApp::with("2026-01-12T06:00:00Z", settings).await;
        let desk = Self { router: router(&app), app };
        desk.run("INSERT INTO topics (slug, name, description) VALUES ('back', 'Back care', 'Once a week, for your back'), ('sleep', 'Sleep', '')").await;
        desk
    }

    pub(super) async fn ask(&self, method: &str, path: &str, from: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Reply {
        ask(&self.router, method, path, from, headers, body).await
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, HOST, &[], "").await
    }

    pub(super) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        self.post_from(HOST, path, fields).await
    }

    pub(super) async fn post_from(&self, from: &str, path: &str, fields: &[(&str, &str)]) -> Reply {
        self.ask("POST", path, from, &[("content-type", "application/x-www-form-urlencoded")], urlencoded(fields)).await
    }

    /// The sign-up of an address with the form of the page, filled in by a person.
    pub(super) async fn sign_up(&self, email: &str) -> Reply {
        self.post("/subscribe", &[("email", email), ("choice", "shown"), ("topics", "back"), ("stamp", &self.stamp())]).await
    }

    /// The button of a confirmation's page, pressed by somebody who sees the page as it is now.
    pub(super) async fn confirm(&self, link: &str) -> Reply {
        let seen = self.get(link).await.hidden().into_iter().find(|(name, _)| name == "seen").map(|(_, value)| value);
        self.post(link, &[("act", "confirm"), ("seen", seen.as_deref().unwrap_or("an older page"))]).await
    }

    pub(super) async fn call(&self, key: &str, body: &str) -> Reply {
        self.call_at("/api/v1/subscriptions", key, body).await
    }

    pub(super) async fn call_at(&self, path: &str, key: &str, body: &str) -> Reply {
        let bearer = format!("Bearer {key}");
        self.ask("POST", path, HOST, &[("content-type", "application/json"), ("authorization", &bearer)], body.to_owned()).await
    }

    /// The secret of a new key.
    pub(super) async fn key(&self, name: &str) -> String {
        let random = ring::rand::SystemRandom::new();
        let mut conn = self.app.db.pool.acquire().await.expect("a connection");
        keys::create(&mut conn, name, Scope::Subscribe, &random, self.app.now()).await.expect("a key")
    }

    /// The stamp of a form that was made ten seconds ago.
    pub(super) fn stamp(&self) -> String {
        token::of_id(&self.app.keyring, Purpose::Form, self.app.clock.now().as_millisecond() - 10_000)
    }

    /// A program that people can wait for; its number.
    pub(super) async fn program(&self) -> i64 {
        let mut conn = self.app.db.pool.acquire().await.expect("a connection");
        program::create(&mut conn, "course", &particulars(), self.app.now()).await.expect("a program").id
    }

    /// A wish to wait for it, with the form of its page, filled in by a person.
    pub(super) async fn join(&self, email: &str) -> Reply {
        self.post("/waitlist/course", &[("email", email), ("stamp", &self.stamp())]).await
    }

    /// Somebody joins it, a second after whatever was before, and confirms; her entry.
    pub(super) async fn waits(&self, email: &str) -> i64 {
        self.app.wait(SignedDuration::from_secs(1));
        self.join(email).await;
        assert_eq!(self.confirm(&self.confirm_link().await).await.status, 200);
        self.count("SELECT max(id) FROM entries").await
    }

    /// An opening of it that begins now; its offers are given at once.
    pub(super) async fn open(&self, seats: i32) {
        let new = NewOpening { seats, ..new_opening(self.app.now()) };
        opening::create(&mut *self.conn().await, "course", &new, self.app.now()).await.expect("an opening");
    }

    /// The page of an entry.
    pub(super) fn place(&self, entry_id: i64) -> String {
        format!("/waitlist/course/{}", token::of_id(&self.app.keyring, Purpose::Entry, entry_id))
    }

    pub(super) async fn conn(&self) -> PoolConnection<Postgres> {
        self.app.db.pool.acquire().await.expect("a connection")
    }

    /// The link of the newest sign-up.
    pub(super) async fn confirm_link(&self) -> String {
        let id = self.count("SELECT max(id) FROM signups").await;
        format!("/confirm/{}", token::of_id(&self.app.keyring, Purpose::Confirm, id))
    }

    pub(super) async fn run(&self, statement: &'static str) {
        sqlx::query(statement).execute(&self.app.db.pool).await.expect(statement);
    }

    pub(super) async fn count(&self, statement: &'static str) -> i64 {
        sqlx::query_scalar(statement).fetch_one(&self.app.db.pool).await.expect(statement)
    }

    /// The mails of an address that wait or went, oldest first.
    pub(super) async fn mails(&self, email: &str) -> Vec<String> {
        let statement =
            "SELECT template FROM deliveries d JOIN subscribers s ON s.id = d.subscriber_id WHERE address_key = $1 ORDER BY d.id";
        sqlx::query_scalar(statement).bind(email).fetch_all(&self.app.db.pool).await.expect("mails")
    }

    /// A hash of every row of every table.
    pub(super) async fn fingerprint(&self) -> String {
        let tables = "SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables
            WHERE table_schema IN ('public', 'apalis') AND table_type = 'BASE TABLE' ORDER BY 1";
        let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&self.app.db.pool).await.expect("tables");
        assert!(tables.len() > 20, "{tables:?}");
        let each = tables.iter().map(|table| {
            format!(
                "SELECT '{table}' AS name, (SELECT coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') FROM {table} t) AS rows"
            )
        });
        let statement = format!(
            "SELECT string_agg(name || rows, ' ' ORDER BY name) FROM ({}) all_tables",
            each.collect::<Vec<_>>().join(" UNION ALL ")
        );
        sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).fetch_one(&self.app.db.pool).await.expect("a hash")
    }
}

/// The pages and the API of an application.
pub(super) fn router(app: &TestApp) -> Router {
    web::router(Web::new(app.db.clone(), app.keyring.clone(), &app.config, Arc::new(app.clock.clone())).expect("settings that are right"))
}

/// A request as if from any host.
pub(super) async fn ask(router: &Router, method: &str, path: &str, from: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Reply {
    let peer = SocketAddr::new(from.parse().expect("an address"), 40_000);
    let request = Request::builder().method(method).uri(path).header("host", "tips.example.org").extension(ConnectInfo(peer));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let response = router.clone().oneshot(request.body(body.into()).expect("a request")).await.expect("an answer");
    let (head, body) = response.into_parts();
    let body = to_bytes(body, 1 << 20).await.expect("a whole body");
    Reply { status: head.status.as_u16(), headers: head.headers, body: String::from_utf8(body.to_vec()).expect("UTF-8") }
}

pub(super) fn urlencoded(fields: &[(&str, &str)]) -> String {
    let encode = |text: &str| {
        text.bytes().map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") }).collect::<String>()
    };
    fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect::<Vec<_>>().join("&")
}
