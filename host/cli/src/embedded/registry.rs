//! Registries: who asks them, as the ecosystem's tools keep it.

use std::path::Path;
use std::sync::Arc;

use bulkhead_core::oci::DOCKER;
use bulkhead_engine::egress::Egress;
use bulkhead_engine::signature::TrustedKeys;
use bulkhead_registry::{Credentials, Login, RegistryClient};
use docker_credential::{CredentialRetrievalError as Error, DockerCredential, get_credential, get_podman_credential};

use crate::error::{CliError, CliResult};

/// What Docker calls its own registry in its file of credentials.
const DOCKER_LOGIN: &str = "https://index.docker.io/v1/";
/// What helpers say that have no credentials for a registry; it is part of their protocol.
const HELPER_HAS_NONE: &str = "credentials not found in native keychain";
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
    find(registry, |server| {
        if std::env::var_os(AUTH_FILE).is_some() {
            // Who names a file wants it read.
            return get_podman_credential(server).map_err(|error| match error {
                Error::ConfigReadError => Unusable::Unread,
                error => Unusable::Other(error),
            });
        }
        match get_credential(server) {
            Err(error) if is_absence(&error) => get_podman_credential(server),
            found => found,
        }
        .map_err(Unusable::Other)
    })
}

/// Why credentials can't be used.
#[derive(Debug)]
enum Unusable {
    /// The file that REGISTRY_AUTH_FILE names can't be read.
    Unread,
    Other(Error),
}

/// Looks for a registry under all that it is called; nobody where no name has credentials.
fn find(registry: &str, look: impl Fn(&str) -> Result<DockerCredential, Unusable>) -> Result<Option<Login>, String> {
    // Docker's own registry has a name of its own in Docker's file and its helpers, and its usual one in Podman's.
    let names = if registry == DOCKER { vec![DOCKER_LOGIN, DOCKER] } else { vec![registry] };
    for name in names {
        return match look(name) {
            Ok(DockerCredential::UsernamePassword(user, password)) => Ok(Some(Login::Password { user, password })),
            Ok(DockerCredential::IdentityToken(token)) => Ok(Some(Login::IdentityToken(token))),
            Err(Unusable::Unread) => Err(format!("the file that {AUTH_FILE} names can't be read, or is no JSON")),
            Err(Unusable::Other(error)) if is_absence(&error) => continue,
            Err(Unusable::Other(error)) => Err(error.to_string()),
        };
    }
    Ok(None)
}

fn is_absence(error: &Error) -> bool {
    match error {
        Error::NoCredentialConfigured | Error::ConfigNotFound | Error::ConfigReadError => true,
        Error::HelperFailure { stdout, .. } => stdout.trim() == HELPER_HAS_NONE,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use docker_credential::get_credential_from_reader;

    fn found(registry: &str, file: &str) -> Result<Option<Login>, String> {
        find(registry, |server| get_credential_from_reader(file.as_bytes(), server).map_err(Unusable::Other))
    }

    fn ann() -> Option<Login> {
        Some(Login::Password { user: "ann".to_owned(), password: "secret".to_owned() })
    }

    #[test]
    fn dockers_registry_is_found_under_all_its_names() {
        for name in ["https://index.docker.io/v1/", "docker.io", "index.docker.io"] {
            let file = format!(r#"{{"auths": {{"{name}": {{"auth": "YW5uOnNlY3JldA=="}}}}}}"#);
            assert_eq!(found("docker.io", &file), Ok(ann()), "{name}");
            assert_eq!(found("ghcr.io", &file), Ok(None));
        }
    }

    #[test]
    fn an_identity_token_comes_before_the_user_beside_it() {
        let file = r#"{"auths": {"corp.example:5000": {"auth": "MDAwMDo=", "identitytoken": "t0ken"}}}"#;
        assert_eq!(found("corp.example:5000", file), Ok(Some(Login::IdentityToken("t0ken".to_owned()))));
    }

    #[test]
    fn a_helper_that_has_none_is_not_one_that_broke() {
        let helper = |stdout: &str| {
            let (stdout, failure) = (stdout.to_owned(), |stdout| Error::HelperFailure {
                helper: "docker-credential-desktop".to_owned(),
                stdout,
                stderr: String::new(),
            });
            find("ghcr.io", move |_| Err(Unusable::Other(failure(stdout.clone()))))
        };
        assert_eq!(helper("credentials not found in native keychain\n"), Ok(None));
        assert!(helper("the keychain is locked").unwrap_err().contains("the keychain is locked"));
        assert!(found("ghcr.io", r#"{"auths": {"ghcr.io": {"auth": "?"}}}"#).is_err());
    }
}
