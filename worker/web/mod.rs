//! The web server: the public pages, the API, and what a machine asks for (health, readiness, metrics).
//!
//! Owns the routes, the headers that every answer carries and the pages of errors; what is done to people's standing is
//! done by `signup` and `people`. `cli` and `demo` start it. Routes are logged by their templates: a URI holds a token.

mod api;
mod error;
mod health;
mod logo;
pub mod metrics;
mod origin;
mod pages;
mod public;
mod stamp;

use crate::{
    base::{
        clock::Clock,
        config::{self, Config},
        database::Db,
        keys::Keyring,
        network::Networks,
    },
    delivery::render::Site,
    signup::Desk,
};
use axum::{
    Router,
    extract::{DefaultBodyLimit, MatchedPath, Request},
    http::{HeaderName, HeaderValue, header},
    middleware::{self, Next},
    response::Response,
    routing::{get, post},
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::net::TcpListener;
use tower_http::{catch_panic::CatchPanicLayer, set_header::SetResponseHeaderLayer, timeout::TimeoutLayer};

/// The largest body that a form of ours, a mail program's one-click post, or a request of the API may have.
const MAX_BODY: usize = 16 * 1024;

const PATIENCE: Duration = Duration::from_secs(30);

/// What no page asks the browser for.
const PERMISSIONS: &str = "camera=(), geolocation=(), microphone=(), payment=(), usb=()";

/// What the pages stand on; cheap to clone.
#[derive(Debug, Clone)]
pub struct Web {
    db: Db,
    keyring: Keyring,
    site: Arc<Site>,
    languages: Arc<[String]>,
    rules: Arc<config::Signup>,
    proxies: Arc<Networks>,
    logo: Option<Arc<logo::Logo>>,
    clock: Arc<dyn Clock>,
    /// The settings, for the metrics of what they limit.
    config: Arc<Config>,
    metrics: Arc<metrics::Cache>,
}

impl Web {
    /// The pages of the settings, over `db`; the error names the setting that is wrong.
    pub fn new(db: Db, keyring: Keyring, config: &Config, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        metrics::start();
        Ok(Self {
            db,
            keyring,
            site: Arc::new(Site::of(&config.site)?),
            languages: config.site.languages.clone().into(),
            rules: Arc::new(config.signup.clone()),
            proxies: Arc::new(Networks::parse(&config.web.trusted_proxies)?),
            logo: logo::read(&config.site.logo)?.map(Arc::new),
            clock,
            config: Arc::new(config.clone()),
            metrics: Arc::default(),
        })
    }

    /// What sign-ups are taken with.
    fn desk(&self) -> Desk<'_> {
        Desk { pool: &self.db.pool, keyring: &self.keyring, rules: &self.rules, publisher: pages::Frame::of(self).publisher }
    }
}

/// Every route. Any Host is answered, and nothing is redirected.
pub fn router(web: Web) -> Router {
    let (panicked, policy) = (web.clone(), pages::policy(&web, pages::Scripts::None));
    routes()
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn(log))
        .layer(TimeoutLayer::with_status_code(axum::http::StatusCode::SERVICE_UNAVAILABLE, PATIENCE))
        .layer(CatchPanicLayer::custom(move |_: Box<dyn std::any::Any + Send>| error::panicked(&panicked)))
        .layer(SetResponseHeaderLayer::if_not_present(header::CONTENT_SECURITY_POLICY, policy))
        .layer(always(HeaderName::from_static("permissions-policy"), PERMISSIONS))
        .layer(always(header::REFERRER_POLICY, "no-referrer"))
        .layer(always(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(SetResponseHeaderLayer::if_not_present(header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .with_state(web)
}

fn routes() -> Router<Web> {
    Router::new()
        .route("/", get(public::home::show))
        .route("/subscribe", get(public::subscribe::show).post(public::subscribe::act))
        .route("/confirm/{token}", get(public::confirm::show).post(public::confirm::act))
        .route("/preferences", get(public::link::show).post(public::link::act))
        .route("/preferences/{token}", get(public::preferences::show).post(public::preferences::act))
        .route("/u/{token}", get(public::unsubscribe::show).post(public::unsubscribe::act))
        .route("/waitlist/{program}", get(public::waitlist::show).post(public::waitlist::act))
        .route("/waitlist/{program}/{token}", get(public::entry::show).post(public::entry::act))
        .route("/offers/{token}", get(public::offer::show).post(public::offer::act))
        .route("/api/v1/subscriptions", post(api::subscriptions::add))
        .route("/api/v1/waitlist/{program}", post(api::waitlist::add))
        .route("/style.css", get(pages::style))
        .route("/zone.js", get(pages::zone_script))
        .route("/logo", get(logo::show))
        .route("/robots.txt", get(pages::robots))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::show))
        .fallback(error::no_page)
        .method_not_allowed_fallback(error::no_method)
}

/// Serves the routes on `listener` until `stop` ends; answers that are being made are finished.
pub async fn serve(listener: TcpListener, web: Web, stop: impl Future<Output = ()> + Send + 'static) -> std::io::Result<()> {
    let routes = router(web).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, routes).with_graceful_shutdown(stop).await
}

fn always(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value))
}

async fn log(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("(none)".to_owned(), |path| path.as_str().to_owned());
    let response = next.run(request).await;
    tracing::debug!(%method, route, status = response.status().as_u16(), "answered");
    response
}
