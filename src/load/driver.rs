//! What a driver needs to be made ready.

use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;

use super::client::{Manners, Proxied, Spoken, tls_config};
use super::{LoadError, Values};
use crate::scenario::plan::{Driver, EnginePlan, ProxyPlan};

/// What reqwest does besides asking.
pub(super) fn manners(engine: &EnginePlan, values: &Values) -> Result<Manners, LoadError> {
    if let Some(option) = engine.unsupported() {
        let driver = engine.driver.name();
        return Err(LoadError::Unsupported { option, driver });
    }
    Ok(Manners {
        redirects: engine.redirects(),
        proxy: match &engine.proxy {
            None => Proxied::Nobody,
            Some(ProxyPlan::Environment) => Proxied::Environment,
            Some(ProxyPlan::Url(address)) => {
                let address = address.resolve(&**values);
                Proxied::By(address.map_err(|source| LoadError::Template {
                    place: "proxy".to_owned(),
                    source,
                })?)
            }
        },
    })
}

/// How TLS is spoken. `secure` says whether it will be; where only arrivals will tell, it is made ready if it can be.
pub(super) fn tls(
    engine: &EnginePlan,
    secure: Option<bool>,
    folder: &Path,
) -> Result<Option<Arc<ClientConfig>>, LoadError> {
    let spoken = match engine.driver {
        Driver::Hyper2 => Spoken::Http2,
        Driver::Hyper1 => Spoken::Http1,
        Driver::Raw1 if secure == Some(false) => Spoken::Http1,
        Driver::Raw1 => return Err(LoadError::RawTls),
        // Where a redirect leads, nobody knows before.
        Driver::Reqwest => return Ok(Some(tls_config(&engine.tls, folder, Spoken::Either)?)),
    };
    let config = || tls_config(&engine.tls, folder, spoken);
    Ok(match secure {
        Some(true) => Some(config()?),
        None => config().ok(),
        Some(false) => None,
    })
}
