//! Keys: a new one changes nothing for what older ones signed and hashed, and none may be missing.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use tidings::base::keys::{Keyring, record};
use tidings::base::token::{self, UnsubscribeToken};

use crate::support::story::{Story, WEEKLY};

const TOKEN: UnsubscribeToken = UnsubscribeToken { subscriber_id: 1, topic_id: 1 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_rotation_old_links_work_and_old_suppressions_still_block() {
    let mut story = begun().await;
    story.set("TIDINGS_RELAYS__MAIN__URL", "memory:");
    story.set("TIDINGS_DELIVERY__PRETEND", "true");
    let old = story.ring().await;
    let link = format!("/u/{}", token::unsubscribe(&old, TOKEN));
    story.tidings(&["suppress", "add", "stranger@example.org"]).await;
    let running = story.serve().await;

    let made: Value = serde_json::from_str(&story.tidings(&["keys", "new", "--json"]).await).expect("JSON");
    let new = story.ring().await;
    assert_eq!((new.current_id(), new.ids().count()), (made["key"].as_str().expect("an id"), 2));
    assert_ne!(old.current_id(), new.current_id());
    assert_eq!(fs::metadata(story.file("keys")).expect("the file").permissions().mode() & 0o777, 0o600);

    assert_eq!(running.ask("GET", &link, "").await.0, 200, "a process that runs goes on with the key it knows");
    drop(running);
    let anew = story.serve().await;
    assert_ne!(link, format!("/u/{}", token::unsubscribe(&new, TOKEN)), "new links are signed with the new key");
    let (status, page) = anew.ask("POST", &link, "List-Unsubscribe=One-Click").await;
    assert_eq!(status, 200, "{page}");
    assert_eq!(story.texts("SELECT standing FROM subscriptions WHERE subscriber_id = 1").await, ["unsubscribed"]);

    let refused = story.tidings_refuses(&["subscriber", "add", "Stranger@example.org", "--topic", WEEKLY]).await;
    assert!(refused.contains("suppressed") && refused.contains("manual"), "{refused}");
    let again = story.tidings(&["suppress", "add", "stranger@example.org"]).await;
    assert!(again.contains("already"), "{again}");
    story.tidings(&["suppress", "remove", "stranger@example.org", "--reason", "she wrote"]).await;
    story.tidings(&["subscriber", "add", "stranger@example.org", "--topic", WEEKLY]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_of_keys_says_which_is_current_and_what_hangs_on_each_and_shows_no_secret() {
    let story = begun().await;
    let old = story.ring().await.current_id().to_owned();
    story.tidings(&["suppress", "add", "stranger@example.org"]).await;
    story.tidings(&["keys", "new"]).await;
    let json: Value = serde_json::from_str(&story.tidings(&["keys", "list", "--json"]).await).expect("JSON");
    let keys = json["keys"].as_array().expect("keys");
    let about = |key: &Value| (key["id"].as_str().expect("an id").to_owned(), key["current"] == true, key["suppressions"].as_i64());
    assert_eq!(about(&keys[0]), (old.clone(), false, Some(1)));
    assert_eq!((keys.len(), about(&keys[1]).1, about(&keys[1]).2), (2, true, Some(0)));
    let table = story.tidings(&["keys", "list"]).await;
    let file = fs::read_to_string(story.file("keys")).expect("the file");
    let secrets: Vec<&str> = file.lines().filter_map(|line| line.strip_prefix("secret = \"")).collect();
    assert_eq!(secrets.len(), 2, "{file}");
    assert!(table.contains(&old) && secrets.iter().all(|secret| !table.contains(&secret[..10])), "{table}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_without_any_key_that_was_ever_used_is_refused_by_its_name() {
    let story = begun().await;
    let old = story.ring().await.current_id().to_owned();
    story.tidings(&["keys", "new"]).await;
    let file = fs::read_to_string(story.file("keys")).expect("the file");
    let (head, rest) = file.split_once("[[key]]").expect("the first key");
    let newest = rest.split_once("[[key]]").expect("the second key").1;
    fs::write(story.file("keys"), format!("{head}[[key]]{newest}")).expect("a file without the old key");
    for arguments in [&["suppress", "add", "a@example.org"][..], &["keys", "new"], &["subscriber", "show", "person-1@example.org"]] {
        let refused = story.tidings_refuses(arguments).await;
        assert!(refused.contains(&format!("used with key `{old}`")) && refused.contains("copy the key file"), "{refused}");
    }
    fs::write(story.file("keys"), file).expect("the file again");
    story.tidings(&["suppress", "add", "a@example.org"]).await;
}

async fn begun() -> Story {
    let story = Story::new().await;
    story.tips(1).await;
    story.subscribers(2).await;
    story
}

impl Story {
    /// The keys as a start would open them.
    async fn ring(&self) -> Keyring {
        record::open(&self.app.db.pool, &self.file("keys"), &ring::rand::SystemRandom::new()).await.expect("keys")
    }
}
