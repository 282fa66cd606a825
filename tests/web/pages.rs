//! The pages on a port of their own with one subscriber, and a client that speaks HTTP by hand.

use crate::support::TestApp;
use std::sync::Arc;
use tidings::{
    base::token::{self, UnsubscribeToken},
    web::{self, Web},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

/// The pages on a port of their own, one subscriber and her link.
pub(super) struct Pages {
    pub(super) app: TestApp,
    pub(super) at: std::net::SocketAddr,
    pub(super) subscriber: i64,
    pub(super) topic: i64,
    pub(super) link: String,
    _stop: oneshot::Sender<()>,
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<String> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned()).next()
    }
}

impl Pages {
    pub(super) async fn new() -> Self {
        let app = TestApp::new().await;
        let topic = id(&app, "INSERT INTO topics (slug, name) VALUES ('sleep', 'Sleep & <rest>') RETURNING id").await;
        let subscriber = id(
            &app,
            "INSERT INTO subscribers (address, address_key, created_at) VALUES ('ana@example.org', 'ana@example.org', now()) RETURNING id",
        )
        .await;
        sqlx::query("INSERT INTO subscriptions VALUES ($1, $2, 'confirmed', now())")
            .bind(subscriber)
            .bind(topic)
            .execute(&app.db.pool)
            .await
            .expect("a written row");
        sqlx::query("INSERT INTO consents (subscriber_id, topic_id, act, wording, source, at) VALUES ($1, $2, 'confirmed', 'words', 'page', '2026-01-01T00:00:00Z')")
            .bind(subscriber)
            .bind(topic)
            .execute(&app.db.pool)
            .await
            .expect("a written row");
        let link = format!("/u/{}", token::unsubscribe(&app.keyring, UnsubscribeToken { subscriber_id: subscriber, topic_id: topic }));
        let web = Web::new(app.db.clone(), app.keyring.clone(), &app.config, Arc::new(app.clock.clone())).expect("settings that are right");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("its address");
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(web::serve(listener, web, async { stopped.await.unwrap_or(()) }));
        Self { app, at, subscriber, topic, link, _stop: stop }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "").await
    }

    pub(super) async fn post(&self, path: &str, kind: &str, body: &str) -> Answer {
        self.ask("POST", path, &[("Content-Type", kind)], body).await
    }

    pub(super) async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| *name == "Host") {
            request.push_str("Host: tips.example.org\r\n");
        }
        headers.iter().for_each(|(name, value)| request.push_str(&format!("{name}: {value}\r\n")));
        let mut stream = TcpStream::connect(self.at).await.expect("the server");
        stream.write_all(format!("{request}\r\n").as_bytes()).await.expect("a question that is sent");
        // A body that is too large may be refused before it is read to its end.
        let _ = stream.write_all(body.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).expect("an answer in UTF-8");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer to {method} {path}: {answer}"));
        Answer { status: head[9..12].parse().expect("a status"), head: head.to_owned(), body: body.to_owned() }
    }

    /// Her standing with the topic, and how often she is suppressed.
    pub(super) async fn standing(&self) -> (String, i64) {
        let standing = sqlx::query_scalar("SELECT standing FROM subscriptions").fetch_one(&self.app.db.pool).await.expect("a row");
        (standing, self.count("SELECT count(*) FROM suppressions WHERE lifted_at IS NULL").await)
    }

    /// A delivery of the topic that waits for her.
    pub(super) async fn queue(&self) -> i64 {
        let now = tidings::base::time::to_db(self.app.now());
        sqlx::query("SELECT ensure_deliveries_partition($1::timestamptz::date)")
            .bind(now)
            .execute(&self.app.db.pool)
            .await
            .expect("a written row");
        sqlx::query_scalar(
            "INSERT INTO deliveries (period, subscriber_id, topic_id, due_at, ready_at, basis, template, state)
             VALUES (date_trunc('month', $1 AT TIME ZONE 'UTC')::date, $2, $3, $1, $1, 'topic', 'weekly_tip', 'queued') RETURNING id",
        )
        .bind(now)
        .bind(self.subscriber)
        .bind(self.topic)
        .fetch_one(&self.app.db.pool)
        .await
        .expect("a row")
    }

    pub(super) async fn state_of(&self, delivery: i64) -> String {
        sqlx::query_scalar("SELECT state FROM deliveries WHERE id = $1").bind(delivery).fetch_one(&self.app.db.pool).await.expect("a row")
    }

    pub(super) async fn cancel(&self, delivery: i64) {
        sqlx::query("UPDATE deliveries SET state = 'cancelled', reason = 'end of test', ready_at = NULL WHERE id = $1")
            .bind(delivery)
            .execute(&self.app.db.pool)
            .await
            .expect("a written row");
    }

    pub(super) async fn count(&self, statement: &'static str) -> i64 {
        sqlx::query_scalar(statement).fetch_one(&self.app.db.pool).await.expect("a row")
    }
}

async fn id(app: &TestApp, statement: &'static str) -> i64 {
    sqlx::query_scalar(statement).fetch_one(&app.db.pool).await.expect("a row")
}
