//! How the gateway reaches PostgreSQL: a small pool of connections, TLS when the URL asks for it.
//!
//! `sslmode=require` in the URL turns TLS on, and then the server's certificate is checked, by
//! the machine's certificate authorities or those in `sslrootcert=FILE`. Without it the
//! connection is in the clear: for a server on the same machine only.

use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio_postgres::config::SslMode;

use crate::store::StoreError;

/// How long a caller waits for a connection from the pool.
const TURN_WAIT: Duration = Duration::from_secs(10);
/// How long the server may take to accept a connection.
const CONNECT_WAIT: Duration = Duration::from_secs(10);
/// Settings of every connection: commits are on disk when they return, and each search is
/// planned for its own values.
const OPTIONS: &str = "-c synchronous_commit=on -c plan_cache_mode=force_custom_plan";

/// A pool of at most `connections`, none of which is open yet.
pub(super) fn pool(url: &str, connections: usize) -> Result<Pool, StoreError> {
    let (url, root_file) = without_root_file(url);
    // The parser's words may quote the URL, and that holds a password.
    let mut config: tokio_postgres::Config = url.parse().map_err(|_| fault("store.url is not a PostgreSQL URL"))?;
    let options = config.get_options().map_or(OPTIONS.to_owned(), |options| format!("{options} {OPTIONS}"));
    config.options(options).connect_timeout(CONNECT_WAIT).application_name("fingerpost");
    let manage = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = if config.get_ssl_mode() == SslMode::Require {
        Manager::from_config(config, tls(root_file.as_deref())?, manage)
    } else {
        config.ssl_mode(SslMode::Disable);
        Manager::from_config(config, tokio_postgres::NoTls, manage)
    };
    Pool::builder(manager)
        .max_size(connections)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(TURN_WAIT))
        .create_timeout(Some(CONNECT_WAIT))
        .build()
        .map_err(|error| fault(&format!("the pool cannot be made: {error}")))
}

fn fault(text: &str) -> StoreError {
    StoreError::Engine(format!("postgresql: {text}"))
}

/// Takes `sslrootcert=FILE` out of a URL; the driver does not know it.
fn without_root_file(url: &str) -> (String, Option<String>) {
    let Some((base, query)) = url.split_once('?') else { return (url.to_owned(), None) };
    let (root, rest): (Vec<&str>, Vec<&str>) = query.split('&').partition(|part| part.starts_with("sslrootcert="));
    let file = root.first().and_then(|part| part.split_once('=')).map(|(_, file)| file.to_owned());
    let url = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
    (url, file)
}

fn tls(root_file: Option<&str>) -> Result<tokio_postgres_rustls::MakeRustlsConnect, StoreError> {
    let roots = match root_file {
        Some(file) => CertificateDer::pem_file_iter(file)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|_| fault("the file of sslrootcert is not a readable PEM file"))?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let mut store = rustls::RootCertStore::empty();
    let (added, _) = store.add_parsable_certificates(roots);
    if added == 0 {
        return Err(fault("no certificate authority to check the server with: name one by sslrootcert=FILE"));
    }
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| fault("TLS cannot be set up"))?
        .with_root_certificates(store)
        .with_no_client_auth();
    Ok(tokio_postgres_rustls::MakeRustlsConnect::new(config))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_root_file_is_taken_out_of_the_url_and_nothing_else() {
        let (url, file) = without_root_file("postgres://u@h/d?sslmode=require&sslrootcert=/ca.pem");
        assert_eq!((url.as_str(), file.as_deref()), ("postgres://u@h/d?sslmode=require", Some("/ca.pem")));
        assert_eq!(without_root_file("postgres://h/d"), ("postgres://h/d".to_owned(), None));
    }

    #[test]
    fn a_bad_url_or_certificate_file_is_told_without_the_password() {
        let told = pool("postgres://user:secret@host:port/d", 1).err().unwrap().to_string();
        assert!(!told.contains("secret"), "{told}");
        let told = pool("postgres://h/d?sslmode=require&sslrootcert=/no/such.pem", 1).err().unwrap().to_string();
        assert!(told.contains("sslrootcert"), "{told}");
    }
}
