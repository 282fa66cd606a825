//! The real binary killed in the middle of an import, and run again.

use std::fmt::Write;
use std::process::Stdio;

use rand::RngExt;
use sqlx::query_scalar;

use super::{contents, import, run, topic};
use crate::support::TestApp;

const ROWS: usize = 30_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_is_killed_again_and_again_ends_as_one_that_was_not() {
    let (killed, whole) = (ready().await, ready().await);
    let mut dice = killed.dice("import");
    let (mut kills, mut runs) = (0, 0);
    loop {
        runs += 1;
        let before = rows_done(&killed).await;
        let mut child = start(&killed);
        let further = dice.random_range(1..6) * 2_000;
        let ended = loop {
            if let Some(status) = child.try_wait().expect("its state") {
                break Some(status);
            }
            if rows_done(&killed).await >= before + further {
                // The kill falls at a moment of the dice, anywhere in a batch: that is what is tested.
                tokio::time::sleep(std::time::Duration::from_millis(dice.random_range(0..30))).await;
                break None;
            }
            tokio::task::yield_now().await;
        };
        if let Some(status) = ended {
            assert!(status.success());
            break;
        }
        child.kill().expect("SIGKILL");
        child.wait().expect("its end");
        kills += 1;
        assert!(runs < 60, "it comes to an end");
    }
    assert!(kills >= 3, "it was killed {kills} times");
    assert!(start(&whole).wait().expect("its end").success());
    let (one, other) = (contents(&killed).await, contents(&whole).await);
    assert_eq!(one.len(), other.len());
    assert!(one == other, "{:?}", one.iter().zip(&other).find(|(one, other)| one != other));
    assert_eq!(query_scalar::<_, i64>("SELECT count(*) FROM imports").fetch_one(&killed.db.pool).await.expect("a count"), 2);
}

// People who are known, who left and who come up several times are in the file, and rows that cannot be taken.
async fn ready() -> TestApp {
    let app = TestApp::new().await;
    let weekly = topic(&app, "weekly").await;
    let known: String = (0..200).fold("email\n".to_owned(), |mut file, n| {
        let _ = writeln!(file, "p{}@example.org", n * 100);
        file
    });
    import(&app, Some(&weekly), None, known).await.expect("an import");
    run(&app, "UPDATE subscriptions SET standing = 'unsubscribed' WHERE subscriber_id % 3 = 0").await;
    let file = (0..ROWS).fold("email,name,zone\n".to_owned(), |mut file, n| {
        let _ = match n % 10 {
            9 => writeln!(file, "nobody {n},,"),
            8 => writeln!(file, "P{}@example.org,Again,Europe/London", n / 2),
            _ => writeln!(file, "p{n}@example.org,Person {n},"),
        };
        file
    });
    std::fs::write(app.folder().join("people.csv"), file).expect("a file");
    app
}

fn start(app: &TestApp) -> std::process::Child {
    let mut command = app.process();
    command.args(["import", "subscribers", "people.csv", "--topic", "weekly", "--confirmed-because", "a card"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary")
}

async fn rows_done(app: &TestApp) -> i64 {
    let statement = "SELECT coalesce(max(rows_done), 0) FROM imports WHERE id > 1";
    query_scalar(statement).fetch_one(&app.db.pool).await.expect("a number")
}
