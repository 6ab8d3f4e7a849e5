//! Registries: who asks them, as the ecosystem's tools keep it.

use std::path::Path;
use std::sync::Arc;

use bulkhead_engine::egress::Egress;
use bulkhead_engine::signature::TrustedKeys;
use bulkhead_registry::{Credentials, Login, RegistryClient};
use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential, get_podman_credential};

use crate::error::{CliError, CliResult};

/// What Docker calls its own registry in its file of credentials.
const DOCKER: (&str, &str) = ("docker.io", "https://index.docker.io/v1/");
/// The file of credentials that comes before all others.
const AUTH_FILE: &str = "REGISTRY_AUTH_FILE";

/// A client of registries.
pub(crate) fn client(egress: Arc<dyn Egress>) -> RegistryClient {
    let credentials: Credentials = Arc::new(credentials);
    RegistryClient::new(egress, credentials, bulkhead_api::ApiConfig::default().upload_limit as u64)
}

/// The keys that plugins must be signed with.
pub(crate) fn trusted_keys(file: &Path) -> CliResult<TrustedKeys> {
    let text = std::fs::read_to_string(file).map_err(CliError::read(file))?;
    TrustedKeys::read(&text).map_err(|error| {
        let message = format!("{} holds no keys: {error}", file.display());
        CliError::usage_help(message, "`minisign -G` makes a pair; put the text of the minisign.pub of each signer into the file")
    })
}

/// Who asks a registry: from the file that REGISTRY_AUTH_FILE names, or else from Docker's, or Podman's, with their helpers.
fn credentials(registry: &str) -> Result<Option<Login>, String> {
    let server = if registry == DOCKER.0 { DOCKER.1 } else { registry };
    let found = if std::env::var_os(AUTH_FILE).is_some() {
        get_podman_credential(server)
    } else {
        match get_credential(server) {
            Err(error) if is_absence(&error) => get_podman_credential(server),
            found => found,
        }
    };
    match found {
        Ok(DockerCredential::UsernamePassword(user, password)) => Ok(Some(Login { user, password })),
        Ok(DockerCredential::IdentityToken(_)) => {
            Err("they are an identity token: log in with a user, and an access token as the password".to_owned())
        }
        // Who names a file wants it read.
        Err(CredentialRetrievalError::ConfigReadError) if std::env::var_os(AUTH_FILE).is_some() => {
            Err(format!("the file that {AUTH_FILE} names can't be read"))
        }
        Err(error) if is_absence(&error) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

fn is_absence(error: &CredentialRetrievalError) -> bool {
    use CredentialRetrievalError as Error;
    matches!(error, Error::NoCredentialConfigured | Error::ConfigNotFound | Error::ConfigReadError)
}
