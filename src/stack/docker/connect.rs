//! The connection to an engine, and what its errors mean.

use std::io::ErrorKind;

use bollard::{API_DEFAULT_VERSION, Docker};

use super::Endpoint;
use crate::stack::StackError;

/// Connects and agrees on an API version. A call on the connection may take `timeout_s` seconds before it is given up.
///
/// # Errors
/// [`StackError::Engine`] with advice.
pub(in crate::stack) async fn connect(
    endpoint: &Endpoint,
    timeout_s: u64,
) -> Result<Docker, StackError> {
    let docker = match endpoint {
        Endpoint::Unix(path) => Docker::connect_with_unix(path, timeout_s, API_DEFAULT_VERSION),
        Endpoint::Tcp(host) => {
            Docker::connect_with_http(&format!("tcp://{host}"), timeout_s, API_DEFAULT_VERSION)
        }
        Endpoint::Tls { host, certs } => Docker::connect_with_ssl(
            &format!("tcp://{host}"),
            &certs.join("key.pem"),
            &certs.join("cert.pem"),
            &certs.join("ca.pem"),
            timeout_s,
            API_DEFAULT_VERSION,
        ),
    };
    let docker = match docker {
        Ok(docker) => docker.negotiate_version().await,
        Err(e) => Err(e),
    };
    docker.map_err(|e| unusable(endpoint, &e))
}

/// The status of an answer that is an error.
pub(in crate::stack) fn status(error: &bollard::errors::Error) -> Option<u16> {
    match error {
        bollard::errors::Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// An error with its causes, each once.
pub(in crate::stack) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        let more = source.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = source.source();
    }
    text
}

/// An engine that cannot be used, with what to do about it.
pub(in crate::stack) fn unusable(
    endpoint: &Endpoint,
    error: &bollard::errors::Error,
) -> StackError {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    let mut kind = None;
    while let Some(source) = cause {
        kind = kind.or_else(|| {
            source
                .downcast_ref::<std::io::Error>()
                .map(std::io::Error::kind)
        });
        cause = source.source();
    }
    let advice = match (kind, endpoint) {
        (Some(ErrorKind::PermissionDenied), _) => {
            "You may not use its socket: join the group `docker` (and log in again), or run as a user who may"
        }
        (_, Endpoint::Unix(_)) => {
            "Start the Docker engine, or say where it is by DOCKER_HOST or a Docker context"
        }
        (_, Endpoint::Tcp(_)) => "Check that an engine listens there, and whether it wants TLS",
        (_, Endpoint::Tls { .. }) => {
            "Check that an engine listens there and that the certificates are the ones it expects"
        }
    };
    StackError::Engine {
        engine: format!("the Docker engine at {endpoint}"),
        why: chain(error),
        advice: advice.to_owned(),
    }
}
