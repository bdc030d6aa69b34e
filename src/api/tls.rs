//! TLS, and the client's certificate where `serve.client_ca_file` asks for mutual TLS.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::config::Serve;

/// The acceptor that the configuration asks for; `None` for plain HTTP.
///
/// # Errors
/// What is wrong with a file, by its name.
pub fn acceptor(config: &Serve) -> Result<Option<TlsAcceptor>, String> {
    if config.tls_cert_file.is_empty() {
        return Ok(None);
    }
    let chain = certificates(&config.tls_cert_file)?;
    let key = PrivateKeyDer::from_pem_file(&config.tls_key_file)
        .map_err(|fault| format!("serve.tls_key_file {}: {fault}", config.tls_key_file))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|fault| fault.to_string())?;
    let builder = if config.client_ca_file.is_empty() {
        builder.with_no_client_auth()
    } else {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&config.client_ca_file)? {
            roots.add(certificate).map_err(|fault| format!("{}: {fault}", config.client_ca_file))?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|fault| format!("{}: {fault}", config.client_ca_file))?;
        builder.with_client_cert_verifier(verifier)
    };
    let mut tls = builder.with_single_cert(chain, key).map_err(|fault| format!("the TLS certificate: {fault}"))?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(TlsAcceptor::from(Arc::new(tls))))
}

fn certificates(file: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file).map_err(|fault| format!("{file}: {fault}"))?;
    let all: Result<Vec<_>, _> = read.collect();
    match all {
        Ok(all) if all.is_empty() => Err(format!("{file}: holds no certificate")),
        other => other.map_err(|fault| format!("{file}: {fault}")),
    }
}
