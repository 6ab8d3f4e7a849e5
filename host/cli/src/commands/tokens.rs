//! Tokens: at a server, or in a data directory that no server holds.

use std::sync::Arc;

use bulkhead_api::auth::new_token;
use bulkhead_api::model::{NewToken, NewTokenRequest, Token};
use bulkhead_core::name::Name;
use bulkhead_engine::store::{Role, Store};

use super::runs::segment;
use crate::args::{TokenArgs, TokenCommand};
use crate::client::Client;
use crate::embedded::open_store;
use crate::error::{CliError, CliResult};
use crate::exit_codes;
use crate::output::table::{Cell, Table};
use crate::output::{Output, format};

/// Where tokens are kept.
enum Tokens {
    Server(Client),
    Store(Arc<dyn Store>),
}

/// Makes, lists and removes tokens.
pub(crate) async fn tokens(args: TokenArgs, output: &Output) -> CliResult<u8> {
    let tokens = match &args.data_dir {
        // The first token of a server that is to be reached from elsewhere is made before its first start.
        Some(dir) => Tokens::Store(open_store(dir)?),
        None => Tokens::Server(Client::new(&args.client)?),
    };
    match args.command {
        TokenCommand::Create { name, role } => {
            let made = tokens.create(&name, role).await?;
            output.result(&made, |made| made.secret.clone())?;
            output.note("keep it: only its digest is stored, so it cannot be shown again");
        }
        TokenCommand::List => output.result(&tokens.list().await?, |tokens| {
            let mut table = Table::new(&["token", "role", "created"]);
            for token in tokens {
                let created = Cell::text(format::date(token.created_at));
                table.row(vec![Cell::text(&token.name), Cell::text(format::name(&token.role)), created]);
            }
            if table.is_empty() { "no tokens".to_owned() } else { table.render(output.paint()) }
        })?,
        TokenCommand::Delete { name } => tokens.delete(&name).await?,
    }
    Ok(exit_codes::SUCCEEDED)
}

impl Tokens {
    async fn create(&self, name: &str, role: Role) -> CliResult<NewToken> {
        match self {
            Self::Server(client) => {
                let request = NewTokenRequest { name: name.to_owned(), role: role.into() };
                client.create("/tokens", &request, &format!("{:032x}", rand::random::<u128>())).await
            }
            Self::Store(store) => {
                let name = parse(name)?;
                if store.tokens().await?.iter().any(|token| token.name == name) {
                    let message = format!("there is a token `{name}` already");
                    return Err(CliError::Refused { message, help: Some("take another name, or remove that one first".into()) });
                }
                let (record, secret) = new_token(name, role, store.now());
                let token = Token::from(&record);
                store.put_token(record).await?;
                Ok(NewToken { token, secret })
            }
        }
    }

    async fn list(&self) -> CliResult<Vec<Token>> {
        match self {
            Self::Server(client) => client.list("/tokens", &[], 10_000).await,
            Self::Store(store) => Ok(store.tokens().await?.iter().map(Token::from).collect()),
        }
    }

    async fn delete(&self, name: &str) -> CliResult<()> {
        match self {
            Self::Server(client) => client.delete(&format!("/tokens/{}", segment(name))).await,
            Self::Store(store) => Ok(store.delete_token(parse(name)?).await?),
        }
    }
}

fn parse(name: &str) -> CliResult<Name> {
    name.parse().map_err(|error| CliError::usage(format!("{error}")))
}
