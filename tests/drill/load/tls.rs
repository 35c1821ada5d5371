//! TLS and HTTP/2 against a server that says who came.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use firedrill::load::{ClientChoice, LoadError};
use firedrill::model::Outcome;
use firedrill::scenario::plan::{Driver, TlsPlan};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

use super::bench::{self, get, journey, plan};

/// A folder with `ca.pem`, `other.pem`, `client.pem` and `client.key`, and a server whose certificate the first signed.
pub(crate) struct Secure {
    pub(crate) address: SocketAddr,
    folder: TempDir,
    task: AbortHandle,
}

impl Drop for Secure {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn issuer(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate and its key in PEM form.
fn signed(by: &CertifiedIssuer<'static, KeyPair>, name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, by).unwrap();
    (certificate.pem(), key.serialize_pem())
}

/// What speaks TLS by a certificate for `localhost`, to everyone or only to those that show a certificate of the same
/// authority; and a folder with `ca.pem`, `other.pem`, `client.pem` and `client.key`.
pub(crate) fn server(wants_client: bool) -> (ServerConfig, TempDir) {
    let (ca, other) = (issuer("ca"), issuer("other"));
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    write("ca.pem", ca.pem());
    write("other.pem", other.pem());
    let (client, client_key) = signed(&ca, "client");
    write("client.pem", client);
    write("client.key", client_key);

    let (certificate, key) = signed(&ca, "localhost");
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = if wants_client {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(ca.pem().as_bytes()).unwrap())
            .unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
        builder.with_client_cert_verifier(verifier.unwrap())
    } else {
        builder.with_no_client_auth()
    };
    (builder.with_single_cert(chain, key).unwrap(), folder)
}

impl Secure {
    /// One that wants a client certificate, or does not.
    pub(crate) async fn start(wants_client: bool) -> Self {
        let (mut config, folder) = server(wants_client);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // One that does not trust us, or that we do not trust.
                    let Ok(tls) = acceptor.accept(tcp).await else {
                        return;
                    };
                    serve(TokioIo::new(tls)).await;
                });
            }
        });
        Self {
            address,
            folder,
            task: task.abort_handle(),
        }
    }

    /// TLS of somebody who trusts another authority.
    pub(crate) fn not_trusting(&self) -> TlsPlan {
        relative_to(self.folder.path(), trusting("other.pem"))
    }

    /// How 20 requests end.
    async fn ask(&self, driver: Driver, tls: TlsPlan) -> BTreeMap<Outcome, usize> {
        let url = format!("https://localhost:{}/", self.address.port());
        let mut plan = plan(
            40.0,
            Duration::from_millis(500),
            vec![journey("j", [get(&url)])],
        );
        plan.connections = 2;
        plan.engine.driver = driver;
        plan.engine.tls = relative_to(self.folder.path(), tls);
        let (_, kept) = bench::run(plan, self.address).await;
        if kept.by_outcome().contains_key(&Outcome::Ok) {
            let spoken = match driver {
                Driver::Hyper1 | Driver::Raw1 => "HTTP/1.1",
                Driver::Hyper2 | Driver::Reqwest => "HTTP/2.0",
            };
            for record in kept.records() {
                assert_eq!(kept.name(record.version), spoken);
            }
        }
        kept.by_outcome()
    }
}

fn relative_to(folder: &Path, tls: TlsPlan) -> TlsPlan {
    TlsPlan {
        ca: tls.ca.map(|ca| folder.join(ca)),
        identity: tls.identity.map(|(c, k)| (folder.join(c), folder.join(k))),
        ..tls
    }
}

async fn serve(io: impl hyper::rt::Read + hyper::rt::Write + Unpin + 'static) {
    let answer = |request: Request<hyper::body::Incoming>| async move {
        let answer = Response::builder().header("X-Version", format!("{:?}", request.version()));
        answer.body(Full::new(Bytes::from_static(b"hello")))
    };
    // The client hangs up when its load is over.
    let _ = auto::Builder::new(TokioExecutor::new())
        .serve_connection(io, service_fn(answer))
        .await;
}

fn trusting(ca: &str) -> TlsPlan {
    TlsPlan {
        ca: Some(ca.into()),
        ..TlsPlan::default()
    }
}

#[tokio::test]
async fn a_server_is_trusted_by_its_authority_or_by_name_alone() {
    let server = Secure::start(false).await;
    let all = |outcome| BTreeMap::from([(outcome, 20)]);
    for driver in [Driver::Hyper1, Driver::Hyper2, Driver::Reqwest] {
        assert_eq!(
            server.ask(driver, trusting("ca.pem")).await,
            all(Outcome::Ok)
        );
        assert_eq!(
            server.ask(driver, trusting("other.pem")).await,
            all(Outcome::Tls)
        );
        assert_eq!(
            server.ask(driver, TlsPlan::default()).await,
            all(Outcome::Tls)
        );
        let insecure = TlsPlan {
            insecure: true,
            ..TlsPlan::default()
        };
        assert_eq!(server.ask(driver, insecure).await, all(Outcome::Ok));
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_one_is_given() {
    let server = Secure::start(true).await;
    let known = TlsPlan {
        identity: Some(("client.pem".into(), "client.key".into())),
        ..trusting("ca.pem")
    };
    for driver in [Driver::Hyper1, Driver::Reqwest] {
        assert_eq!(
            server.ask(driver, known.clone()).await,
            BTreeMap::from([(Outcome::Ok, 20)])
        );
    }
    // TLS 1.3 tells a client without one only after its own part of the handshake is over.
    let unknown = server.ask(Driver::Hyper1, trusting("ca.pem")).await;
    assert!(!unknown.contains_key(&Outcome::Ok), "{unknown:?}");
    assert!(unknown.contains_key(&Outcome::Tls), "{unknown:?}");
}

#[tokio::test]
async fn plain_http_2_is_spoken_where_both_sides_know() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&accepted);
    let server = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve(TokioIo::new(stream)));
        }
    });
    let mut plan = plan(
        200.0,
        Duration::from_millis(500),
        vec![journey("j", [get("/")])],
    );
    plan.connections = 1;
    plan.engine.driver = Driver::Hyper2;
    let (_, kept) = bench::run(plan, address).await;
    assert_eq!(kept.by_outcome(), BTreeMap::from([(Outcome::Ok, 100)]));
    assert_eq!(
        accepted.load(Ordering::SeqCst),
        1,
        "one connection carries all"
    );
    server.abort();
}

#[test]
fn what_tls_cannot_be_spoken_with_is_told_beforehand() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("empty.pem"), "").unwrap();
    let prepared = |driver, tls| {
        let mut plan = plan(
            1.0,
            Duration::from_secs(1),
            vec![journey("j", [get("https://localhost:1/")])],
        );
        plan.engine.driver = driver;
        plan.engine.tls = relative_to(folder.path(), tls);
        bench::prepare(plan, &bench::nowhere(), ClientChoice::Http)
            .err()
            .unwrap()
    };
    let missing = prepared(Driver::Hyper1, trusting("missing.pem")).to_string();
    assert!(missing.contains("missing.pem: "), "{missing}");
    let empty = prepared(Driver::Hyper2, trusting("empty.pem")).to_string();
    assert!(empty.contains("holds no certificate"), "{empty}");
    assert!(matches!(
        prepared(Driver::Raw1, TlsPlan::default()),
        LoadError::RawTls
    ));
}
