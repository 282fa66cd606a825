//! Fetching by https from the public Internet, with bounds on size and time, and only what is new.
//!
//! Owns the rules of a fetch: every address is judged after resolving (`reach`) and connected to as it was judged, redirects are
//! followed by hand and judged anew, no proxy is asked, nothing but the address goes along. `content::feeds` calls it.

pub mod reach;

use super::{
    config::Config,
    trust::{self, NoRoots},
};
use reach::Reach;
use reqwest::{
    Client, Response, StatusCode, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{ACCEPT, ETAG, HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION, RETRY_AFTER},
    redirect::Policy,
};
use std::{net::IpAddr, net::SocketAddr, sync::Arc, time::Duration};
use tokio::time::timeout;
use tokio_rustls::rustls::ClientConfig;

const MOST_REDIRECTS: usize = 5;
/// Longer marks of a version are not kept, in bytes.
const LONGEST_MARK: usize = 1000;
/// What is asked for.
const FEEDS: &str = "application/rss+xml, application/atom+xml, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.5";

/// The bounds of a fetch.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// How we call ourselves.
    pub agent: String,
    /// So many bytes at most, also when they came compressed.
    pub largest: u64,
    /// Within this a host is found and connected to.
    pub connect: Duration,
    /// Within this all of it is done.
    pub whole: Duration,
}

impl Bounds {
    /// Those of the settings. A server that minds us can see in its log whose we are.
    pub fn of(config: &Config) -> Self {
        let home = Some(&config.site.url).filter(|url| !url.is_empty() && url.bytes().all(|byte| byte.is_ascii_graphic()));
        let home = home.map(|url| format!(" (+{url})")).unwrap_or_default();
        Self {
            agent: format!("Tidings/{}{home}", env!("CARGO_PKG_VERSION")),
            largest: u64::from(config.fetch.megabytes) * 1_000_000,
            connect: config.fetch.connect_timeout,
            whole: config.fetch.timeout,
        }
    }
}

/// How a server marks the version that it gave, so that it need not give it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The address that gave it, after all redirects. The marks mean nothing to another.
    pub from: String,
    /// Its ETag.
    pub etag: Option<String>,
    /// Its Last-Modified.
    pub last_modified: Option<String>,
}

/// What a fetch brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// The version that is known already.
    Unchanged,
    /// These bytes.
    New(Vec<u8>, Version),
}

/// Why nothing was fetched. Addresses are shown without what follows a `?`, which may be secret.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the sentence of each variant names its fields")]
pub enum FetchError {
    #[error("`{0}` is no address of the web: expected such as https://example.org/feed.xml")]
    NoAddress(String),
    #[error("`{0}` is not https: write https://; nothing is fetched without encryption")]
    NotHttps(String),
    #[error("`{0}` holds a user or a password: write the address without them; none are sent")]
    Credentials(String),
    #[error("{0}")]
    NoRoots(#[from] NoRoots),
    #[error("the host `{host}` cannot be found: {why}")]
    NoSuchHost { host: String, why: String },
    #[error("the host `{host}` is at {address}, which is no public address: only what is on the public Internet is fetched")]
    NotPublic { host: String, address: IpAddr },
    #[error("`{url}` cannot be reached: {why}")]
    Unreachable { url: String, why: String },
    #[error("`{url}` is not there for us: the server answered {status}{}", hint(*.status))]
    Refused { url: String, status: u16, retry_after: Option<Duration> },
    #[error("`{url}` leads on to `{to}`, and only addresses with https are followed")]
    BadRedirect { url: String, to: String },
    #[error("`{0}` leads from address to address more than {MOST_REDIRECTS} times: give the last of them")]
    TooManyRedirects(String),
    #[error("`{url}` is larger than {most} bytes: raise fetch.megabytes if that is right")]
    TooLarge { url: String, most: u64 },
    #[error("`{url}` did not come within {} s: raise {setting} if it is that slow", .limit.as_secs_f32())]
    TooSlow { url: String, limit: Duration, setting: &'static str },
    #[error("`{url}` broke off: {why}")]
    BrokeOff { url: String, why: String },
}

/// Reads an address that may be fetched: https, with a host, without credentials. What follows a `#` is dropped.
pub fn address(text: &str) -> Result<Url, FetchError> {
    let mut url = Url::parse(text.trim()).map_err(|_| FetchError::NoAddress(bare(text)))?;
    if url.scheme() != "https" {
        return Err(FetchError::NotHttps(bare(text)));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(FetchError::Credentials(shown(&url)));
    }
    url.set_fragment(None);
    Ok(url)
}

/// Fetches an address, unless it is still at the version that is known.
pub async fn fetch(url: &Url, known: Option<&Version>, bounds: &Bounds, reach: &Reach) -> Result<Fetched, FetchError> {
    let following = async {
        let tls = trust::client(&reach.roots)?;
        let mut url = address(url.as_str())?;
        for _ in 0..=MOST_REDIRECTS {
            let response = ask(&url, known, &tls, bounds, reach).await?;
            match led_on(&url, &response)? {
                Some(next) => url = next,
                None => return take(&url, response, known, bounds).await,
            }
        }
        Err(FetchError::TooManyRedirects(shown(&url)))
    };
    let slow = |_| Err(FetchError::TooSlow { url: shown(url), limit: bounds.whole, setting: "fetch.timeout" });
    timeout(bounds.whole, following).await.unwrap_or_else(slow)
}

/// An address for messages: without what follows a `?`.
pub fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // Neither can fail: the address has a host.
    let _ = (url.set_username(""), url.set_password(None));
    url.into()
}

// The same for what is no address; a password stands before the @.
fn bare(text: &str) -> String {
    let text = text.trim().split(['?', '#']).next().unwrap_or_default();
    let text = text.rsplit_once('@').map_or(text, |(_, host)| host);
    text.chars().take(200).collect()
}

fn hint(status: u16) -> &'static str {
    match status {
        401 | 403 => "; it wants a login or lets no programs in",
        404 | 410 => "; has it moved?",
        429 => "; it is asked too often",
        500..=599 => "; it will be worth another try later",
        _ => "",
    }
}

/// The addresses that were judged: whatever name is asked for, the connection goes to one of these.
struct Judged(Vec<SocketAddr>);

impl Resolve for Judged {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses: Addrs = Box::new(self.0.clone().into_iter());
        Box::pin(std::future::ready(Ok(addresses)))
    }
}

async fn ask(url: &Url, known: Option<&Version>, tls: &ClientConfig, bounds: &Bounds, reach: &Reach) -> Result<Response, FetchError> {
    let client = client(resolve(url, bounds, reach).await?, tls, bounds).map_err(|error| unreachable(url, &error))?;
    let mut request = client.get(url.clone()).header(ACCEPT, FEEDS);
    if let Some(known) = known.filter(|known| known.from == url.as_str()) {
        for (name, mark) in [(IF_NONE_MATCH, &known.etag), (IF_MODIFIED_SINCE, &known.last_modified)] {
            if let Some(mark) = mark {
                request = request.header(name, mark);
            }
        }
    }
    let response = request.send().await.map_err(|error| unreachable(url, &error))?;
    match response.remote_addr() {
        // The resolver gave no such address; this is the second bolt on the same door.
        Some(at) if !reach.holds(at.ip()) => Err(FetchError::NotPublic { host: host(url), address: at.ip() }),
        _ => Ok(response),
    }
}

async fn resolve(url: &Url, bounds: &Bounds, reach: &Reach) -> Result<Vec<SocketAddr>, FetchError> {
    let (host, limit) = (host(url), bounds.connect);
    let looking = reach.resolve(&host, url.port_or_known_default().unwrap_or(443));
    let slow = |_| Err(FetchError::TooSlow { url: shown(url), limit, setting: "fetch.connect_timeout" });
    timeout(limit, looking).await.unwrap_or_else(slow)
}

fn client(addresses: Vec<SocketAddr>, tls: &ClientConfig, bounds: &Bounds) -> reqwest::Result<Client> {
    Client::builder()
        .tls_backend_preconfigured(tls.clone())
        .dns_resolver(Arc::new(Judged(addresses)))
        .no_proxy()
        .https_only(true)
        .redirect(Policy::none())
        .referer(false)
        .connect_timeout(bounds.connect)
        .pool_max_idle_per_host(0)
        .user_agent(&bounds.agent)
        .build()
}

/// Where the answer leads on to, if it does.
fn led_on(url: &Url, response: &Response) -> Result<Option<Url>, FetchError> {
    let moved = [301, 302, 303, 307, 308].contains(&response.status().as_u16());
    let Some(to) = text(response.headers(), &LOCATION).filter(|_| moved) else { return Ok(None) };
    let bad = || FetchError::BadRedirect { url: shown(url), to: bare(&to) };
    let next = url.join(&to).map_err(|_| bad())?;
    address(next.as_str()).map(Some).map_err(|_| bad())
}

async fn take(url: &Url, mut response: Response, known: Option<&Version>, bounds: &Bounds) -> Result<Fetched, FetchError> {
    let (status, most) = (response.status(), bounds.largest);
    if status == StatusCode::NOT_MODIFIED && known.is_some_and(|known| known.from == url.as_str()) {
        return Ok(Fetched::Unchanged);
    }
    if status != StatusCode::OK {
        let retry_after = text(response.headers(), &RETRY_AFTER).and_then(|seconds| seconds.trim().parse().ok()).map(Duration::from_secs);
        return Err(FetchError::Refused { url: shown(url), status: status.as_u16(), retry_after });
    }
    let mark = |name| text(response.headers(), &name).filter(|mark| mark.len() <= LONGEST_MARK);
    let version = Version { from: url.as_str().to_owned(), etag: mark(ETAG), last_modified: mark(LAST_MODIFIED) };
    let too_large = || FetchError::TooLarge { url: shown(url), most };
    if response.content_length().is_some_and(|length| length > most) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    while let Some(portion) = response.chunk().await.map_err(|error| FetchError::BrokeOff { url: shown(url), why: cause(&error) })? {
        if bytes.len() as u64 + portion.len() as u64 > most {
            return Err(too_large());
        }
        bytes.extend_from_slice(&portion);
    }
    Ok(Fetched::New(bytes, version))
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

fn unreachable(url: &Url, error: &reqwest::Error) -> FetchError {
    FetchError::Unreachable { url: shown(url), why: cause(error) }
}

/// The innermost cause; the outer ones say only that there is one.
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
