//! TLS: whom to trust, who to be.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::BuilderVerifierExt;

use crate::scenario::plan::TlsPlan;

/// What is spoken over TLS, by its name in ALPN (RFC 7301).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::load) enum Spoken {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// Whichever the server chooses, HTTP/2 first.
    Either,
}

/// Why TLS cannot be spoken as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct TlsError {
    what: String,
    why: String,
}

impl TlsError {
    fn of(what: impl fmt::Display) -> impl FnOnce(&dyn fmt::Display) -> Self {
        move |why| Self {
            what: what.to_string(),
            why: why.to_string(),
        }
    }
}

/// How to speak TLS. Sessions are resumed, as clients do.
///
/// # Errors
/// A certificate or a key that cannot be read or used. Relative paths lie in `folder`.
pub(in crate::load) fn config(
    plan: &TlsPlan,
    folder: &Path,
    spoken: Spoken,
) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| TlsError::of("TLS")(&e))?;
    let builder = if plan.insecure {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(TrustsAll(provider)))
    } else if let Some(ca) = &plan.ca {
        let ca = folder.join(ca);
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&ca)? {
            roots
                .add(certificate)
                .map_err(|e| TlsError::of(ca.display())(&e))?;
        }
        builder.with_root_certificates(roots)
    } else {
        builder
            .with_platform_verifier()
            .map_err(|e| TlsError::of("the certificates that this machine trusts")(&e))?
    };
    let mut config = match &plan.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let (certificate, key) = (folder.join(certificate), folder.join(key));
            builder
                .with_client_auth_cert(certificates(&certificate)?, private_key(&key)?)
                .map_err(|e| {
                    TlsError::of(format!("{} with {}", certificate.display(), key.display()))(&e)
                })?
        }
    };
    let (one, two) = (b"http/1.1".to_vec(), b"h2".to_vec());
    config.alpn_protocols = match spoken {
        Spoken::Http1 => vec![one],
        Spoken::Http2 => vec![two],
        Spoken::Either => vec![two, one],
    };
    Ok(Arc::new(config))
}

fn certificates(path: &PathBuf) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = || CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>();
    let found = read().map_err(|e| TlsError::of(path.display())(&e))?;
    if found.is_empty() {
        return Err(TlsError::of(path.display())(
            &"it holds no certificate in PEM form",
        ));
    }
    Ok(found)
}

fn private_key(path: &PathBuf) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|e| TlsError::of(path.display())(&e))
}

/// Takes any certificate: for those who asked for it by name.
#[derive(Debug)]
struct TrustsAll(Arc<CryptoProvider>);

impl ServerCertVerifier for TrustsAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
