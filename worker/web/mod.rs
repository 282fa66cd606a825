//! The web server: the public pages, and what a machine asks for (health, readiness, metrics).
//!
//! Owns the routes, the headers that every answer carries and the pages of errors; what is done to people's standing is
//! done by `people`. `cli` and `demo` start it. Routes are logged by their templates: a URI holds a token.

mod error;
mod health;
pub mod metrics;
mod pages;
mod public;

use crate::{
    base::{clock::Clock, database::Db, keys::Keyring},
    delivery::render::Site,
};
use axum::{
    Router,
    extract::{DefaultBodyLimit, MatchedPath, Request},
    http::{HeaderName, HeaderValue, header},
    middleware::{self, Next},
    response::Response,
    routing::get,
};
use std::{sync::Arc, time::Duration};
use tokio::net::TcpListener;
use tower_http::{catch_panic::CatchPanicLayer, set_header::SetResponseHeaderLayer, timeout::TimeoutLayer};

/// The largest body that a form of ours, or a mail program's one-click post, may have.
const MAX_BODY: usize = 16 * 1024;

const PATIENCE: Duration = Duration::from_secs(30);

/// What pages may do: carry our style sheet and post to us. No scripts, no frames, nothing from elsewhere.
const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What the pages stand on; cheap to clone.
#[derive(Debug, Clone)]
pub struct Web {
    db: Db,
    keyring: Keyring,
    site: Arc<Site>,
    clock: Arc<dyn Clock>,
    metrics: Arc<metrics::Cache>,
}

impl Web {
    /// The pages of `site`, over `db`.
    pub fn new(db: Db, keyring: Keyring, site: Site, clock: Arc<dyn Clock>) -> Self {
        metrics::start();
        Self { db, keyring, site: Arc::new(site), clock, metrics: Arc::default() }
    }
}

/// Every route. Any Host is answered, and nothing is redirected.
pub fn router(web: Web) -> Router {
    let routes = Router::new()
        .route("/", get(pages::home))
        .route("/style.css", get(pages::style))
        .route("/robots.txt", get(pages::robots))
        .route("/u/{token}", get(public::unsubscribe::show).post(public::unsubscribe::act))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::show))
        .fallback(error::no_page)
        .method_not_allowed_fallback(error::no_method);
    let panicked = web.clone();
    routes
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn(log))
        .layer(TimeoutLayer::with_status_code(axum::http::StatusCode::SERVICE_UNAVAILABLE, PATIENCE))
        .layer(CatchPanicLayer::custom(move |_: Box<dyn std::any::Any + Send>| error::panicked(&panicked)))
        .layer(always(header::CONTENT_SECURITY_POLICY, POLICY))
        .layer(always(header::REFERRER_POLICY, "no-referrer"))
        .layer(always(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(SetResponseHeaderLayer::if_not_present(header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .with_state(web)
}

/// Serves the routes on `listener` until `stop` ends; answers that are being made are finished.
pub async fn serve(listener: TcpListener, web: Web, stop: impl Future<Output = ()> + Send + 'static) -> std::io::Result<()> {
    axum::serve(listener, router(web)).with_graceful_shutdown(stop).await
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
