//! The connection to an engine, and what its errors mean.

use std::io::ErrorKind;
use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, Docker};

use super::endpoint::Endpoint;
use crate::stack::{DockerEnv, StackError};

/// Seconds that a call may take before it is given up; calls that wait for a container get more.
const TIMEOUT_S: u64 = 60;

/// A Compose project on an engine, by its labels.
#[derive(Clone)]
pub(super) struct Project {
    pub(super) docker: Docker,
    pub(super) endpoint: Endpoint,
    /// The project's name, the value of its label.
    pub(super) name: String,
    /// The run that made it: what bears the project's label without this run's is none of its. `None` for a project that
    /// was there already.
    pub(super) run: Option<String>,
}

impl Project {
    /// Connects and agrees on an API version.
    ///
    /// # Errors
    /// [`StackError::Engine`] with advice.
    pub(super) async fn reach(
        env: &DockerEnv,
        name: &str,
        run: Option<&str>,
    ) -> Result<Self, StackError> {
        let endpoint = Endpoint::of(env)?;
        let docker = match &endpoint {
            Endpoint::Unix(path) => Docker::connect_with_unix(path, TIMEOUT_S, API_DEFAULT_VERSION),
            Endpoint::Tcp(host) => {
                Docker::connect_with_http(&format!("tcp://{host}"), TIMEOUT_S, API_DEFAULT_VERSION)
            }
            Endpoint::Tls { host, certs } => Docker::connect_with_ssl(
                &format!("tcp://{host}"),
                &certs.join("key.pem"),
                &certs.join("cert.pem"),
                &certs.join("ca.pem"),
                TIMEOUT_S,
                API_DEFAULT_VERSION,
            ),
        };
        let docker = match docker {
            Ok(docker) => docker.negotiate_version().await,
            Err(e) => Err(e),
        };
        Ok(Self {
            docker: docker.map_err(|e| unusable(&endpoint, &e))?,
            endpoint,
            name: name.to_owned(),
            run: run.map(str::to_owned),
        })
    }

    /// The same connection with patience for a call that waits so long itself.
    pub(super) fn patient(&self, wait: Duration) -> Docker {
        let timeout = wait + Duration::from_secs(TIMEOUT_S);
        self.docker.clone().with_timeout(timeout)
    }

    /// The error of a call on `component`.
    pub(super) fn error(
        &self,
        call: &str,
        component: impl std::fmt::Display,
        source: &bollard::errors::Error,
    ) -> StackError {
        match source {
            bollard::errors::Error::DockerResponseServerError { message, .. } => StackError::Call {
                call: call.to_owned(),
                component: component.to_string(),
                why: message.trim().to_owned(),
            },
            bollard::errors::Error::HyperLegacyError { .. }
            | bollard::errors::Error::SocketNotFoundError(_) => unusable(&self.endpoint, source),
            other => StackError::Call {
                call: call.to_owned(),
                component: component.to_string(),
                why: chain(other),
            },
        }
    }
}

/// The status of an answer that is an error.
pub(super) fn status(error: &bollard::errors::Error) -> Option<u16> {
    match error {
        bollard::errors::Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// An error with its causes, each once.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
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

fn unusable(endpoint: &Endpoint, error: &bollard::errors::Error) -> StackError {
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
