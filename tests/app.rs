//! The harness itself: every test has a database of its own, and work left undone fails its test.

use sqlx::query_scalar;

use crate::support::TestApp;

#[tokio::test]
async fn tests_do_not_see_each_others_databases() {
    let (one, other) = tokio::join!(TestApp::new(), TestApp::new());
    sqlx::query("INSERT INTO operator_acts (at, act, subject) VALUES (now(), 'x', 'tip')").execute(&one.db.pool).await.expect("a row");
    let count =
        async |app: &TestApp| query_scalar::<_, i64>("SELECT count(*) FROM operator_acts").fetch_one(&app.db.pool).await.expect("a count");
    assert_eq!((count(&one).await, count(&other).await), (1, 0));
}

#[tokio::test]
async fn a_database_goes_with_its_application() {
    let app = TestApp::new().await;
    let name = app.database_url().rsplit_once('/').expect("a name").1.to_owned();
    drop(app);
    let other = TestApp::new().await;
    let statement = "SELECT count(*) FROM pg_database WHERE datname = $1";
    let gone = async {
        while query_scalar::<_, i64>(statement).bind(&name).fetch_one(&other.db.pool).await.expect("a count") != 0 {
            // It is dropped on a thread of its own: between two looks, with the limit below.
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let gone = tokio::time::timeout(std::time::Duration::from_secs(60), gone).await;
    assert!(gone.is_ok(), "the database {name} is still there");
}
