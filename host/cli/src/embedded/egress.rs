//! The way out, as the command line says.

use std::sync::Arc;

use bulkhead_egress::{EgressConfig, EgressConfigError, HttpEgress, Proxy, SystemResolver, read_certificates};
use bulkhead_engine::egress::Egress;
use tokio::runtime::Handle;

use crate::args::EgressArgs;
use crate::error::{CliError, CliResult};

/// Makes the way out. Nothing is sent before the first request.
pub(crate) fn open(args: &EgressArgs) -> CliResult<Arc<dyn Egress>> {
    let unusable = |error: EgressConfigError| CliError::usage(error.to_string());
    let mut config = EgressConfig { per_host: args.egress_per_host, rate: args.egress_rate, ..EgressConfig::default() };
    for file in &args.egress_ca {
        config.extra_roots.extend(read_certificates(file).map_err(unusable)?);
    }
    if let Some(url) = &args.egress_proxy {
        config.proxy = Some(Proxy::new(url, &args.egress_no_proxy).map_err(unusable)?);
    }
    let egress = HttpEgress::new(config, Arc::new(SystemResolver::default()), Handle::current()).map_err(unusable)?;
    Ok(Arc::new(egress))
}
