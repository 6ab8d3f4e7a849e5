//! How requests get where they may: turns, connections that are kept, TLS, proxies.

mod support;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bulkhead_egress::{EgressConfig, Proxy};
use bulkhead_engine::egress::EgressError;
use futures::future::join_all;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use support::{Names, Peer, Server, Way, answer};
use tokio::net::TcpListener;
use tokio::sync::Barrier;
use tokio_rustls::TlsAcceptor;

fn way() -> Way {
    Way::with(Names::of(&[]))
}

#[tokio::test]
async fn a_connection_is_used_again_under_its_grant_only() {
    let server = Server::answering(|_| answer("200 OK", "", b"hello")).await;
    let (way, url) = (way(), server.url("/"));
    let grant = [server.address.to_string()];
    for _ in 0..5 {
        assert_eq!(way.text(&url, &grant).await.unwrap(), "hello");
    }
    assert_eq!((server.counts.requests(), server.counts.connections()), (5, 1));
    let other = [format!("127.0.0.0/8:{}", server.port())];
    assert_eq!(way.text(&url, &other).await.unwrap(), "hello");
    assert_eq!(server.counts.connections(), 2);
    let statistics = way.statistics();
    assert_eq!((statistics.answered, statistics.connections_made, statistics.bytes_received), (6, 2, 30));
    assert!(matches!(way.text(&url, &[]).await, Err(EgressError::Denied { .. })));
    assert_eq!((way.statistics().denied, server.counts.requests()), (1, 6));
}

#[tokio::test]
async fn a_host_is_asked_by_so_many_at_once() {
    // Each request waits for a second one, so two must be there at once; a third would be seen.
    let (pair, present, most) = (Arc::new(Barrier::new(2)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let server = Server::start(move |mut peer: Peer| {
        let (pair, present, seen) = (Arc::clone(&pair), Arc::clone(&present), Arc::clone(&seen));
        async move {
            while peer.read().await?.is_some() {
                seen.fetch_max(present.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                pair.wait().await;
                present.fetch_sub(1, Ordering::SeqCst);
                peer.write(&answer("200 OK", "", b"")).await?;
            }
            Ok(())
        }
    })
    .await;
    let config = EgressConfig { per_host: NonZeroUsize::new(2).unwrap(), ..EgressConfig::default() };
    let way = Way::new(config, Names::of(&[]));
    // Of several grants, as of several steps.
    let grants = [[server.address.to_string()], [format!("127.0.0.0/8:{}", server.port())]];
    let url = server.url("/");
    let requests = (0..10).map(|number| way.text(&url, &grants[number % 2]));
    for result in join_all(requests).await {
        result.unwrap();
    }
    assert_eq!((server.counts.requests(), most.load(Ordering::SeqCst)), (10, 2));
}

#[tokio::test]
async fn when_connections_run_out_idle_ones_go() {
    let config = EgressConfig { connections: NonZeroUsize::MIN, ..EgressConfig::default() };
    let way = Way::new(config, Names::of(&[]));
    let servers =
        [Server::answering(|_| answer("200 OK", "", b"a")).await, Server::answering(|_| answer("200 OK", "", b"b")).await];
    for server in servers.iter().chain(&servers) {
        way.text(&server.url("/"), &[server.address.to_string()]).await.unwrap();
    }
    assert!(way.statistics().connections_open <= 1);
}

/// An authority, and a server for `a.test` whose certificate it gave.
struct Secure {
    authority: CertificateDer<'static>,
    port: u16,
}

impl Secure {
    async fn start(protocols: &[&str]) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["a.test".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let serve = hyper::service::service_fn(|request: http::Request<hyper::body::Incoming>| async move {
                        let version = format!("{:?}", request.version());
                        Ok::<_, std::convert::Infallible>(http::Response::new(http_body_util::Full::<bytes::Bytes>::from(
                            version,
                        )))
                    });
                    let io = hyper_util::rt::TokioIo::new(stream);
                    let _ = hyper_util::server::conn::auto::Builder::new(hyper_util::rt::TokioExecutor::new())
                        .serve_connection(io, serve)
                        .await;
                });
            }
        });
        Self { authority: issuer.as_ref().der().clone(), port }
    }

    /// What comes of a request for `name` from who trusts this authority, or nobody.
    async fn text(&self, name: &str, trusted: bool) -> Result<String, EgressError> {
        let extra_roots = if trusted { vec![self.authority.clone()] } else { Vec::new() };
        let names = Names::of(&[(name, &["127.0.0.1"])]);
        let way = Way::new(EgressConfig { extra_roots, ..EgressConfig::default() }, names);
        let grant = [format!("{name}:{}", self.port), format!("127.0.0.1:{}", self.port)];
        way.text(&format!("https://{name}:{}/", self.port), &grant).await
    }
}

#[tokio::test]
async fn tls_settles_what_is_spoken() {
    assert_eq!(Secure::start(&["h2", "http/1.1"]).await.text("a.test", true).await.unwrap(), "HTTP/2.0");
    assert_eq!(Secure::start(&["http/1.1"]).await.text("a.test", true).await.unwrap(), "HTTP/1.1");
}

#[tokio::test]
async fn a_certificate_that_shows_nothing_is_refused() {
    let server = Secure::start(&["http/1.1"]).await;
    for (name, trusted) in [("a.test", false), ("b.test", true)] {
        let error = server.text(name, trusted).await.unwrap_err();
        assert!(matches!(error, EgressError::Tls { certificate: true, .. }), "{error:?}");
    }
    let plain = Server::start(|mut peer| async move { peer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n").await }).await;
    let error = way().text(&format!("https://{}/", plain.address), &[plain.address.to_string()]).await.unwrap_err();
    assert!(matches!(error, EgressError::Tls { certificate: false, .. }), "{error:?}");
}

#[tokio::test]
async fn a_proxy_is_asked_for_what_is_granted() {
    let proxy = Server::answering(|asked| {
        let seen = format!("{} {:?}", asked.line, asked.headers.get("proxy-authorization"));
        match asked.line.starts_with("CONNECT") {
            true => answer("403 Forbidden", "", b""),
            false => answer("200 OK", "", seen.as_bytes()),
        }
    })
    .await;
    let names = Names::of(&[]);
    let via = Proxy::new(&format!("http://user:word@{}", proxy.address), "direct.test").unwrap();
    let way = Way::new(EgressConfig { proxy: Some(via), ..EgressConfig::default() }, names.clone());
    let grant = ["a.test", "direct.test"].map(str::to_owned);
    let seen = way.text("http://a.test/x", &grant).await.unwrap();
    assert!(seen.starts_with("GET http://a.test/x HTTP/1.1 Some(\"Basic "), "{seen}");
    let refused = way.text("https://a.test/", &grant).await.unwrap_err();
    assert!(matches!(&refused, EgressError::Connect { reason, .. } if reason.contains("proxy")), "{refused:?}");
    for denied in ["http://b.test/", "http://10.0.0.1/", "http://169.254.169.254/"] {
        assert!(matches!(way.text(denied, &grant).await, Err(EgressError::Denied { .. })), "{denied}");
    }
    assert!(matches!(way.text("http://direct.test/", &grant).await, Err(EgressError::Unresolved(_))));
    assert_eq!(proxy.counts.requests(), 2);
}
