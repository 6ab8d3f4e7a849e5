//! Tokens.

use bulkhead_engine::store as engine;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Time;

/// What a token may do. Each role may do all that the one before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Read.
    Viewer,
    /// Start, cancel, pause, resume and retry runs.
    Operator,
    /// Change definitions, plugins and tokens.
    Admin,
}

/// A token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When it was made.
    pub created_at: Time,
}

/// A token to make.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTokenRequest {
    /// What people call it: 1 to 64 characters of a-z, 0-9, `-` and `_`.
    pub name: String,
    /// What it may do.
    pub role: Role,
}

/// A token that was just made. Its secret is shown this once.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NewToken {
    /// The token.
    #[serde(flatten)]
    pub token: Token,
    /// What goes after `Authorization: Bearer`. The server keeps only its SHA-256.
    pub secret: String,
}

impl From<engine::Role> for Role {
    fn from(role: engine::Role) -> Self {
        match role {
            engine::Role::Viewer => Self::Viewer,
            engine::Role::Operator => Self::Operator,
            engine::Role::Admin => Self::Admin,
        }
    }
}

impl From<Role> for engine::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Viewer => Self::Viewer,
            Role::Operator => Self::Operator,
            Role::Admin => Self::Admin,
        }
    }
}

impl From<&engine::TokenRecord> for Token {
    fn from(record: &engine::TokenRecord) -> Self {
        Self { name: record.name.to_string(), role: record.role.into(), created_at: record.created_at.into() }
    }
}
