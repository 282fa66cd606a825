//! Fetching: nothing but the public Internet by https, bounded in size and time, and only what is new.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tidings::base::fetch::{Bounds, FetchError, Fetched, Version, address, fetch, reach::Reach};
use tokio::net::TcpListener;

use super::packed::{bomb, packed};
use crate::support::https::{HttpsServer, Reply, answer, reach};

fn bounds() -> Bounds {
    let minute = Duration::from_secs(60);
    Bounds { agent: "Tidings/test (+https://tips.example.org)".to_owned(), largest: 100_000, connect: minute, whole: minute }
}

async fn get(url: &str, reach: &Reach) -> Result<Fetched, FetchError> {
    fetch(&address(url)?, None, &bounds(), reach).await
}

async fn refusal(url: &str, reach: &Reach) -> String {
    get(url, reach).await.expect_err(url).to_string()
}

fn bytes(fetched: &Fetched) -> &[u8] {
    match fetched {
        Fetched::New(bytes, _) => bytes,
        Fetched::Unchanged => b"",
    }
}

#[tokio::test]
async fn an_address_that_is_not_public_is_refused_in_every_spelling() {
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "10.0.0.1",
        "172.16.3.4",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "[fe80::1]",
        "[fd00::1]",
        "[ff02::1]",
        "224.0.0.1",
        "0.0.0.0",
        "[::]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "localhost",
    ] {
        let said = refusal(&format!("https://{host}/feed.xml"), &Reach::public()).await;
        assert!(said.contains("which is no public address"), "{host}: {said}");
    }
}

#[tokio::test]
async fn a_name_that_leads_to_such_an_address_is_refused_even_if_another_of_its_addresses_is_public() {
    let reach = reach(&[
        ("inside.example.org", &["10.0.0.7"]),
        ("metadata.example.org", &["169.254.169.254"]),
        ("mapped.example.org", &["::ffff:192.168.0.1"]),
        ("both.example.org", &["1.1.1.1", "::1"]),
    ]);
    for (name, at) in [("inside", "10.0.0.7"), ("metadata", "169.254.169.254"), ("mapped", "::ffff:192.168.0.1"), ("both", "::1")] {
        let said = refusal(&format!("https://{name}.example.org/feed.xml"), &reach).await;
        assert_eq!(
            said,
            format!("the host `{name}.example.org` is at {at}, which is no public address: only what is on the public Internet is fetched")
        );
    }
    assert!(refusal("https://nowhere.example.org/", &reach).await.contains("cannot be found"));
}

#[tokio::test]
async fn an_address_without_https_or_with_a_password_is_refused_and_the_password_shown_nowhere() {
    let reach = reach(&[]);
    assert_eq!(
        refusal("http://example.org/feed.xml?key=abc", &reach).await,
        "`http://example.org/feed.xml` is not https: write https://; nothing is fetched without encryption"
    );
    for (url, part) in
        [("https://ana:secret@example.org/", "holds a user or a password"), ("https://", "no address"), ("file:///etc/passwd", "not https")]
    {
        let said = refusal(url, &reach).await;
        assert!(said.contains(part) && !said.contains("secret"), "{said}");
    }
}

#[tokio::test]
async fn redirects_are_followed_and_each_is_judged_anew() {
    let server = HttpsServer::start(|path, _| {
        let to = match path {
            "/1" => "/2",
            "/2" => "3?a=b",
            "/3?a=b" => return answer("200 OK", &[], b"here"),
            "/http" => "http://example.org/",
            "/private" => "https://10.0.0.1/latest/meta-data",
            "/name" => "https://inside.example.org/",
            "/password" => "https://a:b@example.org/",
            "/file" => "file:///etc/passwd",
            _ => "/round",
        };
        answer("302 Found", &[("Location", to), ("Set-Cookie", "a=b")], b"")
    })
    .await;
    let reach = reach(&[("inside.example.org", &["192.168.7.7"])]);
    let fetched = get(&server.url("/1"), &reach).await.expect("an answer");
    assert_eq!(bytes(&fetched), b"here");
    let Fetched::New(_, version) = fetched else { panic!("bytes") };
    assert_eq!(version, Version { from: server.url("/3?a=b"), etag: None, last_modified: None });
    let heads = server.heads();
    let last = heads.last().expect("requests").to_lowercase();
    assert!(
        !last.contains("cookie") && !last.contains("referer") && last.contains("user-agent: tidings/test (+https://tips.example.org)"),
        "{last}"
    );

    for (path, said) in [
        ("/http", "leads on to `http://example.org/`, and only addresses with https are followed"),
        ("/file", "leads on to `file:///etc/passwd`, and only addresses with https"),
        ("/password", "leads on to `example.org/`, and only"),
        ("/private", "the host `10.0.0.1` is at 10.0.0.1, which is no public address"),
        ("/name", "the host `inside.example.org` is at 192.168.7.7, which is no public address"),
        ("/round", "leads from address to address more than 5 times"),
    ] {
        let found = refusal(&server.url(path), &reach).await;
        assert!(found.contains(said), "{path}: {found}");
    }
    assert_eq!(server.heads().iter().filter(|head| head.contains("/round")).count(), 6);
}

#[tokio::test]
async fn what_is_too_large_is_refused_however_it_comes() {
    let server = HttpsServer::start(|path, _| match path {
        "/told" => Reply::SayAndWait(b"HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n".to_vec()),
        "/untold" => Reply::SayAndWait([&b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"[..], &[b' '; 100_001]].concat()),
        "/bomb" => answer("200 OK", &[("Content-Encoding", "gzip")], &bomb(100_000)),
        "/packed" => answer("200 OK", &[("Content-Encoding", "gzip")], &packed(&[b'x'; 100_000])),
        _ => answer("200 OK", &[], &[b'x'; 100_000]),
    })
    .await;
    let reach = reach(&[]);
    for path in ["/told", "/untold", "/bomb"] {
        let said = refusal(&server.url(path), &reach).await;
        assert!(said.ends_with("is larger than 100000 bytes: raise fetch.megabytes if that is right"), "{path}: {said}");
    }
    for path in ["/packed", "/plain"] {
        assert_eq!(bytes(&get(&server.url(path), &reach).await.expect("what is just small enough")), [b'x'; 100_000], "{path}");
    }
}

#[tokio::test]
async fn what_is_too_slow_is_given_up() {
    let server = HttpsServer::start(|path, _| match path {
        "/silent" => Reply::SayAndWait(Vec::new()),
        _ => Reply::SayAndWait(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf".to_vec()),
    })
    .await;
    let short = Duration::from_millis(300);
    for path in ["/silent", "/half"] {
        let url = address(&server.url(path)).expect("an address");
        let error = fetch(&url, None, &Bounds { whole: short, ..bounds() }, &reach(&[])).await.expect_err("a timeout");
        assert!(matches!(error, FetchError::TooSlow { limit, .. } if limit == short), "{error}");
    }
    // Takes connections and says nothing, not even in TLS.
    let deaf = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = address(&format!("https://localhost:{}/", deaf.local_addr().expect("its address").port())).expect("an address");
    let error = fetch(&url, None, &Bounds { connect: short, ..bounds() }, &reach(&[])).await.expect_err("a timeout");
    assert!(matches!(error, FetchError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn what_is_known_is_not_fetched_again_and_its_marks_go_to_nobody_else() {
    let server = HttpsServer::start(|path, head| match path {
        "/moved" => answer("301 Moved Permanently", &[("Location", "/feed")], b""),
        _ if head.to_lowercase().contains("if-none-match: \"v1\"") => answer("304 Not Modified", &[], b""),
        "/unasked" => answer("304 Not Modified", &[], b""),
        _ => answer("200 OK", &[("ETag", "\"v1\""), ("Last-Modified", "Mon, 05 Jan 2026 08:00:00 GMT")], b"one"),
    })
    .await;
    let reach = reach(&[]);
    let again = async |path: &str, known: &Version| {
        fetch(&address(&server.url(path)).expect("an address"), Some(known), &bounds(), &reach).await.expect("an answer")
    };
    let Ok(Fetched::New(_, known)) = get(&server.url("/moved"), &reach).await else { panic!("bytes") };
    assert_eq!((known.from.as_str(), known.etag.as_deref()), (server.url("/feed").as_str(), Some("\"v1\"")));
    assert_eq!(again("/moved", &known).await, Fetched::Unchanged);
    let heads = server.heads();
    assert!(!heads[2].to_lowercase().contains("if-"), "the redirector gave no marks: {}", heads[2]);
    assert!(heads[3].to_lowercase().contains("if-modified-since: mon, 05 jan 2026 08:00:00 gmt"), "{}", heads[3]);
    // Another address may mark its versions alike.
    assert_eq!(bytes(&again("/other", &known).await), b"one");
    assert!(refusal(&server.url("/unasked"), &reach).await.contains("answered 304"));
}

#[tokio::test]
async fn an_answer_that_is_no_feed_is_told_with_its_status() {
    let server = HttpsServer::start(|path, _| match path {
        "/gone?key=secret" => answer("404 Not Found", &[], b"no"),
        "/busy" => answer("429 Too Many Requests", &[("Retry-After", "7200")], b""),
        _ => Reply::Say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf".to_vec()),
    })
    .await;
    let reach = reach(&[]);
    let said = refusal(&server.url("/gone?key=secret"), &reach).await;
    assert!(said.ends_with("/gone` is not there for us: the server answered 404; has it moved?") && !said.contains("secret"), "{said}");
    let busy = get(&server.url("/busy"), &reach).await;
    assert!(matches!(busy, Err(FetchError::Refused { status: 429, retry_after: Some(wait), .. }) if wait == Duration::from_secs(7200)));
    assert!(refusal(&server.url("/half"), &reach).await.contains("broke off"));
}

#[tokio::test]
async fn a_server_whose_certificate_nobody_vouches_for_is_not_believed() {
    let server = HttpsServer::start(|_, _| answer("200 OK", &[], b"here")).await;
    let loopback = [("other.example.org", &["127.0.0.1"][..])];
    let url = server.url("/").replace("localhost", "other.example.org");
    let said = refusal(&url, &reach(&loopback)).await;
    assert!(said.contains("cannot be reached") && said.contains("certificate"), "{said}");
    assert!(server.heads().is_empty(), "nothing was asked of it");
}

#[test]
fn production_reaches_public_addresses_alone() {
    fn sources(folder: &Path, with: &mut impl FnMut(&Path, &str)) {
        for entry in fs::read_dir(folder).expect("a folder of sources").flatten() {
            match entry.path() {
                path if path.is_dir() => sources(&path, with),
                path => with(&path, &fs::read_to_string(&path).expect("a source")),
            }
        }
    }
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("worker"), &mut |path, text| {
        if text.matches("for_tests").count() > 0 {
            found.push(path.file_name().expect("a name").to_string_lossy().into_owned());
        }
    });
    assert_eq!(found, ["reach.rs"], "nobody but the tests widens the reach");
}
