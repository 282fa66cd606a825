//! What is left of the words about somebody who was erased.

use sqlx::AssertSqlSafe;
use tidings::audience::consent::Source;
use tidings::people::erase;
use tidings::waitlist::{entry, offer};

use crate::waitlist::stage::{HOUR, SLUG, Stage, refused_saying};

#[tokio::test]
async fn erasing_leaves_no_word_of_an_operator_or_a_relay_about_her_and_every_sum() {
    let (stage, entries) = Stage::with(3).await;
    let zoe = entries[0];
    stage
        .run("UPDATE subscribers SET name = 'Zoe Quill' WHERE id = (SELECT subscriber_id FROM entries ORDER BY id LIMIT 1)")
        .await
        .unwrap();
    stage.open(1).await;
    // Every kind of reason, with her name in it: a relay's, and an operator's for each act there is.
    stage.post_with(|offer| if offer.is_some() { refused_saying("554 5.7.1 Zoe Quill is not welcome") } else { Default::default() }).await;
    stage.advance().await;
    stage.post().await;
    stage.decline(entries[1]).await;
    entry::readmit(&mut *stage.conn().await, zoe, "Zoe Quill called", stage.now()).await.unwrap();
    entry::prioritise(&mut *stage.conn().await, zoe, 1, "Zoe Quill is ill", stage.now()).await.unwrap();
    let by_hand = offer::give(&mut *stage.conn().await, SLUG, None, zoe, "Zoe Quill asked", stage.now()).await.unwrap();
    offer::revoke(&mut *stage.conn().await, by_hand, "Zoe Quill moved", stage.now()).await.unwrap();
    entry::remove(&mut *stage.conn().await, zoe, "Zoe Quill has a seat elsewhere", stage.now()).await.unwrap();
    stage.app.wait(HOUR);
    let anew = stage.waits(0).await;
    let traces = stage.traces("zoe quill").await;
    for table in ["offers", "entry_events", "operator_acts", "deliveries"] {
        assert!(traces.iter().any(|row| row.starts_with(table)), "the search finds what is there, in {table}: {traces:?}");
    }
    let sums =
        "SELECT string_agg(concat(state, ' ', n), ', ' ORDER BY state) FROM (SELECT state, count(*) AS n FROM offers GROUP BY state) s";
    let before = stage.text(sums).await;

    erase::erase(&stage.app.db.pool, &stage.app.keyring, stage.person(0).await, Source::Operator, stage.now()).await.unwrap();
    assert_eq!(stage.traces("zoe quill").await, [""; 0]);
    assert_eq!(stage.traces("person-0@").await, [""; 0]);
    assert_eq!(stage.text(sums).await, before);
    assert_eq!(stage.state(anew).await, "withdrawn");
    let kept = stage.text("SELECT string_agg(reason, ', ' ORDER BY id) FROM offers WHERE state = 'revoked'").await;
    assert_eq!(kept, "undeliverable: (erased), (erased)", "that a mail did not leave is kept, and no word more");
    assert!(stage.run("UPDATE offers SET reason = 'another' WHERE state = 'revoked'").await.is_err(), "history is closed again");
}

impl Stage {
    /// The rows of the whole database that hold a word.
    async fn traces(&self, word: &str) -> Vec<String> {
        let mut conn = self.conn().await;
        let tables: Vec<String> = sqlx::query_scalar(
            "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema')",
        )
        .fetch_all(&mut *conn)
        .await
        .expect("tables");
        let mut traces = Vec::new();
        for table in tables {
            let rows = format!("SELECT '{table}: ' || t::text FROM {table} t WHERE lower(t::text) LIKE '%{word}%'");
            traces.extend(sqlx::query_scalar::<_, String>(AssertSqlSafe(rows)).fetch_all(&mut *conn).await.expect("rows"));
        }
        let jobs =
            format!("SELECT 'job: ' || convert_from(job, 'UTF8') FROM apalis.jobs WHERE lower(convert_from(job, 'UTF8')) LIKE '%{word}%'");
        traces.extend(sqlx::query_scalar::<_, String>(AssertSqlSafe(jobs)).fetch_all(&mut *conn).await.expect("jobs"));
        traces
    }
}
