//! TLS: 1.2 and 1.3, with ring; whom to trust.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

use crate::config::{EgressConfig, EgressConfigError};

/// The configuration of all connections. Reads the machine's store of certificates, so it blocks for some milliseconds.
pub(crate) fn client_config(native: bool, extra: &[CertificateDer<'static>]) -> Result<ClientConfig, EgressConfigError> {
    let mut roots = RootCertStore::empty();
    if native {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "a part of the machine's certificates can't be read");
        }
        // Stores hold old certificates that are none by today's rules.
        let (usable, _) = roots.add_parsable_certificates(found.certs);
        if usable == 0 {
            tracing::warn!(
                "the machine has no store of certificates: nothing can be asked over https, unless --egress-ca says whom to trust"
            );
        }
    }
    for certificate in extra {
        roots.add(certificate.clone())?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// Refuses certificates that can't be trusted, before the first connection needs them.
pub(crate) fn check(config: &EgressConfig) -> Result<(), EgressConfigError> {
    client_config(false, &config.extra_roots).map(drop)
}
