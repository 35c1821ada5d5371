//! Standing a project up.

use std::collections::BTreeMap;
use std::path::{Path, absolute};

use tokio::time::Instant;

use super::ComposeStack;
use super::cli::{Cli, Subject};
use super::down::{OWNER, RUN};
use super::endpoint::Endpoint;
use super::ready::DEFAULT_WITHIN;
use super::resolved::resolve;
use crate::model::{ComposeSpec, Ready};
use crate::stack::ready::Prober;
use crate::stack::{Resolve, StackContext, StackError, Standing, Surroundings};

impl ComposeStack {
    pub(super) async fn stand_up(&self, spec: &ComposeSpec) -> Result<Standing, StackError> {
        let file = absolute(&spec.file).map_err(|e| io(&spec.file, e))?;
        if !file.is_file() {
            return Err(StackError::InvalidFile {
                file: file.display().to_string(),
                why: "there is no such file".to_owned(),
            });
        }
        let directory = file.parent().unwrap_or(Path::new("/"));
        // Before the engine is asked anything: an invalid file is the author's to mend, whatever engine there is.
        let endpoint = Endpoint::of(&self.context.docker)?;
        let cli = self.cli(spec, directory, &endpoint).await?;
        let marks = BTreeMap::from([
            (RUN, self.context.run.clone()),
            (OWNER, self.context.owner.mark()),
        ]);
        let folder = directory.file_name().unwrap_or_default().to_string_lossy();
        let printed = cli.config(&file).await?;
        let resolved = resolve(&printed, cli.generation, &marks, &folder)?;
        let project = self.project().await?;
        let mut notes = resolved.notes.clone();
        if !endpoint.is_local() {
            notes.push(format!(
                "ports are published on 127.0.0.1 of the machine of {endpoint}"
            ));
        }
        if spec.build && resolved.builds {
            cli.run(&resolved.text, &["build"]).await?;
            notes.push("built the images".to_owned());
        }
        if let Err(e) = cli.run(&resolved.text, &["up", "-d"]).await {
            return Err(project.blame_missing_images(&resolved, e).await);
        }
        self.wait_until_ready(spec.ready.as_ref()).await?;
        Ok(Standing { notes })
    }

    async fn cli(
        &self,
        spec: &ComposeSpec,
        directory: &Path,
        endpoint: &Endpoint,
    ) -> Result<Cli, StackError> {
        let mut env = environment(spec, &self.context)?;
        let reached_by = endpoint.cli_env().into_iter();
        env.extend(reached_by.map(|(name, value)| (name.to_owned(), value)));
        // Compose 1 takes it relative to the project's directory.
        let env_file = match &spec.env_file {
            Some(file) => Some(absolute(file).map_err(|e| io(file, e))?),
            None => None,
        };
        let subject = Subject {
            run: &self.context.run,
            project: &self.name,
            directory,
            profiles: &spec.profiles,
            env_file,
            env,
        };
        Cli::find(&self.context.docker, subject).await
    }

    /// Waits for health checks, then for the scenario's own question.
    pub(super) async fn wait_until_ready(&self, ready: Option<&Ready>) -> Result<(), StackError> {
        let within = ready.map_or(DEFAULT_WITHIN, |r| r.within);
        let deadline = Instant::now() + within;
        self.project()
            .await?
            .wait_until_up(within, deadline)
            .await?;
        let Some(http) = ready.and_then(|r| r.http.as_ref()) else {
            return Ok(());
        };
        let values = Surroundings::gather(&self.context, self, http.variables()).await?;
        let url = values
            .resolve(http)
            .map_err(|source| StackError::Template {
                place: "stack.compose.ready.http".to_owned(),
                source,
            })?;
        let left = deadline.saturating_duration_since(Instant::now());
        let prober = Prober::default();
        // Named as it is written: its values may be secrets.
        prober
            .until_ready(&http.to_string(), &url, left, || Ok(()))
            .await
    }
}

fn io(path: &Path, source: std::io::Error) -> StackError {
    StackError::Io {
        path: path.display().to_string(),
        source,
    }
}

/// The variables of the scenario's `env`, resolved.
fn environment(
    spec: &ComposeSpec,
    context: &StackContext,
) -> Result<Vec<(String, String)>, StackError> {
    let values = Surroundings::of(context);
    let resolve = |(name, template)| {
        let value = values
            .resolve(template)
            .map_err(|source| StackError::Template {
                place: format!("stack.compose.env.{name}"),
                source,
            })?;
        Ok((String::clone(name), value))
    };
    spec.env.iter().map(resolve).collect()
}
