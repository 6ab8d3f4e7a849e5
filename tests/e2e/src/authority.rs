//! An authority of a test's own, and certificates that it gives.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::PrivatePkcs8KeyDer;

const DAY: Duration = Duration::from_secs(86_400);

/// An authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key.
pub struct Certificate {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    /// A new one, which nobody trusts yet.
    ///
    /// # Panics
    /// Where there is no randomness.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names are names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key can be made");
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority signs itself"))
    }

    /// Writes its certificate into a file, as those want it who are to trust it.
    ///
    /// # Panics
    /// Where it can't be written.
    pub fn write(&self, file: &Path) {
        std::fs::write(file, self.0.as_ref().pem()).expect("a file can be written");
    }

    /// A certificate for these names and addresses, valid now.
    pub fn certify(&self, names: &[&str]) -> Certificate {
        self.certify_until(names, SystemTime::now() + DAY)
    }

    /// A certificate that expired three days ago.
    pub fn certify_expired(&self, names: &[&str]) -> Certificate {
        self.certify_until(names, SystemTime::now() - 3 * DAY)
    }

    fn certify_until(&self, names: &[&str], end: SystemTime) -> Certificate {
        let names = names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let mut params = CertificateParams::new(names).expect("they are names");
        (params.not_before, params.not_after) = ((end - 30 * DAY).into(), end.into());
        let key = KeyPair::generate().expect("a key can be made");
        Certificate { certificate: params.signed_by(&key, &self.0).expect("an authority signs"), key }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Certificate {
    /// Writes it and its key into files, in PEM format.
    ///
    /// # Panics
    /// Where they can't be written.
    pub fn write(&self, certificate: &Path, key: &Path) {
        std::fs::write(certificate, self.certificate.pem()).expect("a file can be written");
        std::fs::write(key, self.key.serialize_pem()).expect("a file can be written");
    }

    /// The certificate itself.
    pub fn der(&self) -> &[u8] {
        self.certificate.der()
    }

    /// Its key, after PKCS #8.
    pub fn key(&self) -> Vec<u8> {
        self.key.serialize_der()
    }

    /// A server with it.
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let config = config.with_safe_default_protocol_versions().expect("ring has all of them").with_no_client_auth();
        let key = PrivatePkcs8KeyDer::from(self.key()).into();
        Arc::new(config.with_single_cert(vec![self.certificate.der().clone()], key).expect("the key is the certificate's"))
    }
}
