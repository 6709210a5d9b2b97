//! TLS: only a certificate that fits the host and comes from a trusted authority is talked to.

use std::sync::Arc;

use crate::support::*;
use fastsync_core::{ErrorKind, Transport};
use fastsync_transport_http::{HttpTransport, Limits};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A server with a certificate of `authority` for `host`; gives its port.
async fn serve_tls(authority: &Authority, host: &str, expired: bool, fake: &Fake) -> u16 {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    if expired {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    }
    let certificate = params.signed_by(&key, authority).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let sync = service(fake, Limits::default());
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                let service = TowerToHyperService::new(sync.clone());
                let io = TokioIo::new(stream);
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(io, service));
            }
        }
    });
    address.port()
}

async fn kind_of(base: String, root: Option<&Authority>, fake: &Fake) -> Option<ErrorKind> {
    let mut builder = HttpTransport::builder(base).bearer_token(TOKEN);
    if let Some(root) = root {
        builder = builder.root_certificates_pem(root.pem()).without_public_roots();
    }
    let calls = fake.calls();
    let result = builder.build().unwrap().pull(&pull_request()).await;
    assert_eq!(fake.calls() > calls, result.is_ok(), "credentials were sent");
    result.err().map(|error| error.kind())
}

#[tokio::test]
async fn only_the_right_certificate_is_talked_to() {
    let (ours, theirs, fake) = (authority(), authority(), Fake::default());
    let by_name = serve_tls(&ours, "localhost", false, &fake).await;
    let by_address = serve_tls(&ours, "127.0.0.1", false, &fake).await;
    let expired = serve_tls(&ours, "localhost", true, &fake).await;

    assert_eq!(kind_of(format!("https://localhost:{by_name}"), Some(&ours), &fake).await, None);
    assert_eq!(kind_of(format!("https://127.0.0.1:{by_address}"), Some(&ours), &fake).await, None);

    let refused = Some(ErrorKind::Unavailable);
    assert_eq!(kind_of(format!("https://localhost:{by_name}"), None, &fake).await, refused);
    assert_eq!(kind_of(format!("https://localhost:{by_name}"), Some(&theirs), &fake).await, refused);
    assert_eq!(kind_of(format!("https://127.0.0.1:{by_name}"), Some(&ours), &fake).await, refused);
    assert_eq!(kind_of(format!("https://localhost:{by_address}"), Some(&ours), &fake).await, refused);
    assert_eq!(kind_of(format!("https://localhost:{expired}"), Some(&ours), &fake).await, refused);
}

#[tokio::test]
async fn neither_protocol_is_taken_for_the_other() {
    let (ours, fake) = (authority(), Fake::default());
    let tls = serve_tls(&ours, "localhost", false, &fake).await;
    let plain = Server::plain().await;
    let broken = Some(ErrorKind::Unavailable);
    assert_eq!(kind_of(format!("http://localhost:{tls}"), Some(&ours), &fake).await, broken);
    assert_eq!(
        kind_of(format!("https://localhost:{}", plain.address.port()), Some(&ours), &plain.fake).await,
        broken
    );
}
