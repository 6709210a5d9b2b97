//! How a client reaches its server.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use fastsync_core::{Error, ErrorKind, Result};
use http::header::AUTHORIZATION;
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::connector::Connector;
use super::dialect::Dialect;
use super::{HttpTransport, Inner};
use fastsync_codec::Format;

pub(crate) type Headers = dyn Fn() -> HeaderMap + Send + Sync;

/// Builds an [`HttpTransport`].
#[must_use]
pub struct HttpTransportBuilder {
    base: String,
    headers: Option<Arc<Headers>>,
    token: Option<String>,
    connect_timeout: Duration,
    request_timeout: Duration,
    response_bytes: usize,
    user_agent: String,
    format: Format,
    accept_compressed: Option<bool>,
    compress_over: Option<usize>,
    roots: Vec<Vec<u8>>,
    public_roots: bool,
    plain_http: bool,
}

/// Shows no token and no header.
impl fmt::Debug for HttpTransportBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransportBuilder")
            .field("connect_timeout", &self.connect_timeout)
            .field("request_timeout", &self.request_timeout)
            .field("response_bytes", &self.response_bytes)
            .finish_non_exhaustive()
    }
}

impl HttpTransportBuilder {
    pub(super) fn new(base: String) -> Self {
        Self {
            base,
            headers: None,
            token: None,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(60),
            response_bytes: 64 << 20,
            user_agent: concat!("fastsync-transport-http/", env!("CARGO_PKG_VERSION")).to_owned(),
            format: Format::MessagePack,
            accept_compressed: None,
            compress_over: None,
            roots: Vec::new(),
            public_roots: true,
            plain_http: false,
        }
    }

    /// Sends `Authorization: Bearer TOKEN` with every request.
    pub fn bearer_token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Asks `headers` before every attempt what to send along: for tokens that are renewed while the application
    /// runs. Its headers come on top of, and in doubt instead of, those that are set here otherwise.
    pub fn headers(mut self, headers: impl Fn() -> HeaderMap + Send + Sync + 'static) -> Self {
        self.headers = Some(Arc::new(headers));
        self
    }

    /// The longest time for a connection to be made, TLS included. 10 s unless set.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// The longest time from the start of a request to the last byte of its answer. 60 s unless set.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// The largest answer that is read, both as sent and decompressed. 64 MiB unless set.
    pub fn response_bytes(mut self, bytes: usize) -> Self {
        self.response_bytes = bytes;
        self
    }

    /// The `User-Agent`.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// How messages are written. MessagePack unless set, and JSON with a server that does not know it.
    pub fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// Whether answers may be compressed: with gzip, or zstd where the feature `zstd` is on at both ends. Unless set:
    /// yes, but not from this machine itself (a loopback host), where it costs more than it saves.
    pub fn accept_compressed(mut self, accept: bool) -> Self {
        self.accept_compressed = Some(accept);
        self
    }

    /// Compresses requests larger than `bytes`: with zstd if that feature is on and the server knows it, else with
    /// gzip. Off unless set.
    pub fn compress_requests_over(mut self, bytes: usize) -> Self {
        self.compress_over = Some(bytes);
        self
    }

    /// Also trusts the certificate authorities in this PEM text, for servers with a private one.
    pub fn root_certificates_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots.push(pem.into());
        self
    }

    /// Trusts only the certificate authorities that are named here, not the public ones.
    pub fn without_public_roots(mut self) -> Self {
        self.public_roots = false;
        self
    }

    /// Allows `http` to hosts other than this one. Tokens and data travel unprotected then.
    pub fn allow_plain_http(mut self) -> Self {
        self.plain_http = true;
        self
    }

    /// The transport. Connects to nothing yet.
    ///
    /// # Errors
    /// `Config`, with every mistake in its message.
    pub fn build(self) -> Result<HttpTransport> {
        let mut problems = Vec::new();
        let base = check_base(&self.base, self.plain_http).map_err(|problem| problems.push(problem)).ok();
        let headers = self.fixed_headers(&mut problems);
        let tls = self.tls(&mut problems);
        let (Some((push, pull, loopback)), Some(tls), true) = (base, tls, problems.is_empty()) else {
            return Err(Error::new(ErrorKind::Config, "build", problems.join("; ")).with_backend("http"));
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(Duration::from_secs(30)) // below what servers keep
            .pool_max_idle_per_host(4)
            .pool_timer(TokioTimer::new())
            .build(Connector::new(tls, self.connect_timeout));
        Ok(HttpTransport {
            inner: Arc::new(Inner {
                client,
                push,
                pull,
                headers,
                provider: self.headers,
                request_timeout: self.request_timeout,
                response_bytes: self.response_bytes,
                dialect: Dialect::new(self.format),
                accept_compressed: self.accept_compressed.unwrap_or(!loopback),
                compress_over: self.compress_over,
            }),
        })
    }

    fn fixed_headers(&self, problems: &mut Vec<String>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        match HeaderValue::from_str(&self.user_agent) {
            Ok(value) => {
                headers.insert(http::header::USER_AGENT, value);
            }
            Err(_) => problems.push("the user agent holds a character that a header cannot".to_owned()),
        }
        if let Some(token) = &self.token {
            match HeaderValue::from_str(&format!("Bearer {token}")) {
                Ok(mut value) => {
                    value.set_sensitive(true);
                    headers.insert(AUTHORIZATION, value);
                }
                Err(_) => problems.push("the token holds a character that a header cannot".to_owned()),
            }
        }
        headers
    }

    fn tls(&self, problems: &mut Vec<String>) -> Option<rustls::ClientConfig> {
        let roots = self.trusted(problems);
        // The provider is named, so that it does not matter which one the application installed for itself.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map(|builder| builder.with_root_certificates(roots).with_no_client_auth())
            .map_err(|_| problems.push("TLS cannot be set up".to_owned()))
            .ok()
    }

    /// The certificate authorities that are trusted.
    fn trusted(&self, problems: &mut Vec<String>) -> rustls::RootCertStore {
        let mut roots = rustls::RootCertStore::empty();
        if self.public_roots {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        for pem in &self.roots {
            let mut found = false;
            for certificate in CertificateDer::pem_slice_iter(pem) {
                found = certificate.is_ok_and(|certificate| roots.add(certificate).is_ok());
                if !found {
                    break;
                }
            }
            if !found {
                problems.push("the root certificates are not a PEM text with certificates only".to_owned());
            }
        }
        roots
    }
}

/// The addresses of push and pull, and whether they are on this machine.
fn check_base(base: &str, plain_http: bool) -> Result<(Uri, Uri, bool), String> {
    // The text itself is in no message: it may hold a password.
    let uri: Uri = base.parse().map_err(|_| "the base URL is not a URL".to_owned())?;
    let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
        return Err("the base URL has no scheme or no host".to_owned());
    };
    if authority.as_str().contains('@') {
        return Err("the base URL holds a user name: authenticate by a token or a header".to_owned());
    }
    if uri.query().is_some() {
        return Err("the base URL has a query".to_owned());
    }
    let loopback = is_loopback(authority.host());
    if *scheme == Scheme::HTTP {
        if !loopback && !plain_http {
            return Err("plain http to another machine: use https, or say `allow_plain_http()`".to_owned());
        }
    } else if *scheme != Scheme::HTTPS {
        return Err("the base URL is neither http nor https".to_owned());
    }
    let at = |route: &str| {
        let path = format!("{}{route}", uri.path().trim_end_matches('/'));
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = PathAndQuery::try_from(path).ok();
        Uri::from_parts(parts).map_err(|_| "the base URL has no valid path".to_owned())
    };
    Ok((at("/push")?, at("/pull")?, loopback))
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.trim_matches(['[', ']']).parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails if the public authorities are trusted unasked, or are not by default.
    #[test]
    fn only_the_authorities_that_are_asked_for_are_trusted() {
        let public = webpki_roots::TLS_SERVER_ROOTS.len();
        let own = rcgen::generate_simple_self_signed(["own".to_owned()]).unwrap().cert.pem();
        let builder = || HttpTransportBuilder::new("https://example.com".to_owned());
        for (builder, trusted) in [
            (builder(), public),
            (builder().root_certificates_pem(own.clone()), public + 1),
            (builder().without_public_roots(), 0),
            (builder().without_public_roots().root_certificates_pem(own), 1),
        ] {
            let mut problems = Vec::new();
            assert_eq!((builder.trusted(&mut problems).len(), problems), (trusted, Vec::new()));
        }
    }

    #[test]
    fn the_base_may_end_in_a_slash_and_have_a_path() {
        for base in ["https://example.com/api/sync", "https://example.com/api/sync/"] {
            let (push, pull, loopback) = check_base(base, false).unwrap();
            assert_eq!(push, "https://example.com/api/sync/push");
            assert_eq!(pull, "https://example.com/api/sync/pull");
            assert!(!loopback);
        }
        assert_eq!(check_base("https://example.com", false).unwrap().0, "https://example.com/push");
    }

    #[test]
    fn plain_http_stays_on_this_machine_unless_allowed() {
        for base in ["http://localhost:1", "http://127.0.0.1", "http://127.9.9.9:8080/x", "http://[::1]:80"] {
            assert!(check_base(base, false).unwrap().2, "{base}");
        }
        for base in
            ["http://example.com", "http://127.0.0.1.example.com", "http://192.168.0.1", "http://0.0.0.0"]
        {
            assert!(check_base(base, false).is_err(), "{base}");
            assert!(check_base(base, true).is_ok(), "{base}");
        }
    }

    #[test]
    fn other_urls_are_refused_without_repeating_them() {
        for base in [
            "",
            "secret",
            "/sync",
            "ftp://secret",
            "https://u:secret@host",
            "https://host/?secret",
            "https://",
        ] {
            let problem = check_base(base, true).unwrap_err();
            assert!(!problem.contains("secret"), "{base}: {problem}");
        }
    }
}
