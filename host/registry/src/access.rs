//! Who asks: what a registry wants to know, and what it is told.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http_auth::ChallengeParser;

/// Who asks.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// A user.
    Password {
        /// The user.
        user: String,
        /// The password, or a token that stands for one.
        password: String,
    },
    /// What `docker login` keeps where a token service gave it for the password: a refresh token, which only that service takes.
    IdentityToken(String),
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Password { user, .. } => f.debug_struct("Password").field("user", user).finish_non_exhaustive(),
            Self::IdentityToken(_) => f.debug_struct("IdentityToken").finish_non_exhaustive(),
        }
    }
}

/// Finds who asks a registry, by its host with the port; nobody in particular where absent. It may block. The error says what is
/// wrong with the credentials that there are.
pub type Credentials = Arc<dyn Fn(&str) -> Result<Option<Login>, String> + Send + Sync>;

/// What a registry wants to know before it answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// The login itself.
    Basic,
    /// A token from the service at this URL.
    Bearer { realm: String, service: Option<String> },
}

impl Challenge {
    /// Reads `WWW-Authenticate`. A token is preferred, as registries that offer both give it fewer rights.
    pub(crate) fn read<'a>(headers: impl Iterator<Item = &'a HeaderValue>) -> Option<Self> {
        let mut basic = None;
        for header in headers.filter_map(|header| header.to_str().ok()) {
            for challenge in ChallengeParser::new(header).map_while(Result::ok) {
                let parameter = |name: &str| {
                    let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                    found.map(|(_, value)| value.to_unescaped())
                };
                if challenge.scheme.eq_ignore_ascii_case("bearer")
                    && let Some(realm) = parameter("realm")
                {
                    return Some(Self::Bearer { realm, service: parameter("service") });
                }
                if challenge.scheme.eq_ignore_ascii_case("basic") {
                    basic = Some(Self::Basic);
                }
            }
        }
        basic
    }
}

/// The header of basic authentication; none where it can't stand in a header.
pub(crate) fn basic(user: &str, password: &str) -> Option<HeaderValue> {
    secret(&format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
}

/// The header of a token; none where it can't stand in a header.
pub(crate) fn bearer(token: &str) -> Option<HeaderValue> {
    secret(&format!("Bearer {token}"))
}

fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(header: &'static str) -> Option<Challenge> {
        Challenge::read([HeaderValue::from_static(header)].iter())
    }

    #[test]
    fn challenges_are_understood() {
        let token = read(r#"Bearer realm="https://auth.example/token",service="registry",scope="repository:a:pull""#);
        let realm = "https://auth.example/token".to_owned();
        assert_eq!(token, Some(Challenge::Bearer { realm, service: Some("registry".to_owned()) }));
        assert_eq!(read(r#"Basic realm="x""#), Some(Challenge::Basic));
        assert!(matches!(read(r#"Basic realm="x", bearer realm="https://y""#), Some(Challenge::Bearer { .. })));
        assert_eq!(read(r#"Bearer service="x""#), None);
        assert_eq!(read("Negotiate"), None);
        assert_eq!(read("\"\""), None);
    }

    #[test]
    fn a_login_shows_no_password() {
        let login = Login::Password { user: "ann".to_owned(), password: "secret".to_owned() };
        assert_eq!(format!("{login:?}"), "Password { user: \"ann\", .. }");
        assert!(!format!("{:?}", Login::IdentityToken("secret".to_owned())).contains("secret"));
        let header = basic("ann", "secret").unwrap();
        assert_eq!((header.to_str().unwrap(), header.is_sensitive()), ("Basic YW5uOnNlY3JldA==", true));
        assert!(!format!("{header:?}").contains("YW5u"));
    }
}
