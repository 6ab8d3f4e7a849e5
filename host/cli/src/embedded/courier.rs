//! The courier, as the command line says.

use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use bulkhead_engine::courier::{CourierConfig, SigningSecret};

use crate::args::CourierArgs;
use crate::error::{CliError, CliResult};

/// Reads the secrets; one whose file is missing is made.
pub(crate) fn config(args: &CourierArgs) -> CliResult<CourierConfig> {
    let mut config = CourierConfig {
        allow: args.hooks_allow.clone(),
        attempts: args.hooks_attempts,
        timeout: args.hooks_timeout,
        seed: rand::random(),
        ..CourierConfig::default()
    };
    for (name, file) in &args.hooks_secret {
        if config.secrets.insert(name.clone(), secret(file)?).is_some() {
            return Err(CliError::usage(format!("`--hooks-secret {name}=…` is given twice")));
        }
    }
    Ok(config)
}

fn secret(file: &Path) -> CliResult<SigningSecret> {
    match std::fs::read_to_string(file) {
        Ok(text) => text.parse().map_err(|error| {
            let message = format!("{} holds no secret that signs: {error}", file.display());
            CliError::usage_help(message, "remove the file, and the server makes a new one for the receivers to be given")
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let secret = SigningSecret::new(rand::random());
            let mut options = std::fs::OpenOptions::new();
            let write = options.write(true).create_new(true).mode(0o600).open(file);
            write.and_then(|mut made| made.write_all(secret.reveal().as_bytes())).map_err(CliError::write(file))?;
            tracing::info!(file = %file.display(), "a secret that signs for hooks was made");
            Ok(secret)
        }
        Err(error) => Err(CliError::read(file)(error)),
    }
}
