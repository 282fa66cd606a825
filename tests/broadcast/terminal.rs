//! What operators type, through the real binary: tried first, refused with a sentence, made, shown.

use serde_json::{Value, json};

use super::stage::{NEWS, make_program, subscribed};
use crate::support::story::Story;

#[tokio::test]
async fn a_broadcast_is_tried_made_shown_and_refused_from_the_terminal() {
    let story = subscribed(14).await;
    make_program(&story, 3).await;
    story.tamper("UPDATE subscriptions SET standing = 'unsubscribed' WHERE subscriber_id <= 2").await;
    story.tamper("UPDATE subscribers SET paused_until = '2100-01-01' WHERE id = 3").await;
    story.tamper("UPDATE entries SET state = 'unconfirmed', confirmed_at = NULL WHERE id = 2").await;
    let body = file(&story, "news.md", b"---\ntitle: x\n---\nFrom May on you find us **round the corner**.\n");
    let to_topic = ["campaign", "create", "broadcast", NEWS, "--subject", "We move house", "--body", &body, "--to", "topic:weekly"];
    let to_waitlist = [&to_topic[..8], &["--to", "waitlist:course"]].concat();

    let dry: Value = json_of(&story, &[&to_topic[..], &["--dry-run", "--json"]].concat()).await;
    assert_eq!(
        (&dry["recipients"], &dry["skipped"], &dry["left_out"]),
        (&json!(12), &json!({ "subscriber_paused": 1 }), &json!({ "unsubscribed": 2 })),
        "{dry}"
    );
    assert_eq!(dry["first"].as_array().map(Vec::len), Some(10));
    let first = "SELECT s.address FROM subscribers s JOIN subscriptions n ON n.subscriber_id = s.id WHERE s.id > 3 ORDER BY s.id LIMIT 10";
    assert_eq!(dry["first"], json!(story.texts(first).await));
    let shown = story.tidings(&[&to_waitlist[..], &["--dry-run"]].concat()).await;
    for sign in
        ["Recipients: 2", "Left out: 1 unconfirmed", "wait-1@example.org, wait-3@example.org", "Subject: We move house", "round the corner"]
    {
        assert!(shown.contains(sign), "{sign}: {shown}");
    }
    assert!(shown.ends_with("Nothing was written.\n"));
    assert!(shown.contains("https://tips.example.org/waitlist/") && !shown.contains("letters.example.org"), "{shown}");
    assert_eq!(story.number("SELECT count(*) FROM campaigns").await, 0);

    let later = [&to_topic[..], &["--at", "2100-05-01 09:00", "--zone", "Europe/London"]].concat();
    assert!(story.tidings(&later).await.contains("2100-05-01: Sat 2100-05-01 09:00 BST"));
    let made = json_of(&story, &["campaign", "show", NEWS, "--json"]).await;
    assert_eq!(
        (&made["kind"], &made["to"], &made["subject"]),
        (&json!("broadcast"), &json!("topic:weekly"), &json!("We move house")),
        "{made}"
    );
    assert!(story.tidings(&["campaign", "show", NEWS]).await.contains("once, 2100-05-01 09:00 Europe/London"));
    assert!(story.tidings(&["campaign", "list"]).await.contains("to topic:weekly"));
    assert!(story.tidings(&["campaign", "next", NEWS]).await.contains("goes out once, on 2100-05-01"));
    assert!(story.tidings(&["campaign", "report", NEWS]).await.contains("It has no editions yet"));
    assert!(story.tidings_refuses(&to_waitlist).await.contains("there is a campaign `weekly` already"));
    assert!(story.tidings_refuses(&["campaign", "run", NEWS, "--yes"]).await.contains("goes out once"));
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_with_a_sentence() {
    let story = subscribed(1).await;
    let body = file(&story, "news.md", b"Hello.\n");
    let front = file(&story, "front.md", b"---\ntitle: x\n---\n");
    let latin = file(&story, "latin.md", b"caf\xe9");
    let link = file(&story, "link.md", b"See [this](/page).");
    let absent = story.file("absent.md").display().to_string();
    let refused = async |subject: &str, body: &str, more: &[&str]| {
        let arguments = [&["campaign", "create", "broadcast", NEWS, "--subject", subject, "--body", body], more].concat();
        story.tidings_refuses(&arguments).await
    };
    let to = ["--to", "topic:weekly"];
    assert!(refused("", &body, &to).await.contains("`` cannot be a subject"));
    assert!(refused("x", &front, &to).await.contains("below any front matter"));
    assert!(refused("x", &latin, &to).await.contains("is not UTF-8: byte 3"));
    assert!(refused("x", &link, &to).await.contains("the link `/page`"));
    assert!(refused("x", &absent, &to).await.contains("absent.md` cannot be read"));
    assert!(refused("x", &body, &["--to", "topic:weakly"]).await.contains("there is no topic `weakly`: the only one is `weekly`"));
    assert!(refused("x", &body, &["--to", "waitlist:corse"]).await.contains("there is no program `corse`; make one with"));
    make_program(&story, 0).await;
    assert!(refused("x", &body, &["--to", "waitlist:corse"]).await.contains("the only program is `course`"));
    assert!(refused("x", &body, &["--to", "waitlist:course"]).await.contains("nobody would get it: waitlist:course has no recipients"));
    assert!(refused("x", &body, &["--to", "everyone"]).await.contains("expected topic:NAME or waitlist:PROGRAM"));
    assert!(refused("x", &body, &["--to", "topic:weekly", "--at", "2020-01-01 09:00", "--zone", "UTC"]).await.contains("which is past"));
    assert!(
        refused("x", &body, &["--to", "topic:weekly", "--at", "2100-01-01 09:00", "--zone", "Europe/Londn"])
            .await
            .contains("Europe/London")
    );
    let huge = file(&story, "huge.md", "word ".repeat(30_000).as_bytes());
    assert!(refused("x", &huge, &to).await.contains("shorten the"));
    assert_eq!(story.number("SELECT count(*) FROM campaigns").await, 0);
}

fn file(story: &Story, name: &str, text: &[u8]) -> String {
    let path = story.file(name);
    std::fs::write(&path, text).expect("a file");
    path.display().to_string()
}

async fn json_of(story: &Story, arguments: &[&str]) -> Value {
    serde_json::from_str(&story.tidings(arguments).await).expect("JSON")
}
