//! The connection to an engine, and what its errors mean.

use std::time::Duration;

use bollard::Docker;

use crate::stack::docker::{Endpoint, chain, connect, unusable};
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
        let docker = connect(&endpoint, TIMEOUT_S).await?;
        Ok(Self {
            docker,
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
