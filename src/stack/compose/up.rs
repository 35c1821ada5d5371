//! Standing a project up.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, absolute};

use futures_util::future::try_join_all;
use tokio::time::Instant;

use super::ComposeStack;
use super::cli::{Cli, Subject};
use super::down::{OWNER, RUN};
use super::ready::DEFAULT_WITHIN;
use super::resolved::{Resolved, resolve};
use crate::model::{ComposeSpec, Ready, RunState, Template};
use crate::stack::docker::{Container, Endpoint};
use crate::stack::ready::Prober;
use crate::stack::{Resolve, StackContext, StackError, Standing, Surroundings};

impl ComposeStack {
    /// What everything that the run makes bears.
    pub(super) fn marks(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            (RUN, self.context.run.clone()),
            (OWNER, self.context.owner.mark()),
        ])
    }

    /// Uses the project as it stands, starts what of it has stopped, and makes it where there is nothing of it.
    pub(super) async fn stand_up_once(
        &self,
        spec: &ComposeSpec,
        keep: bool,
    ) -> Result<Standing, StackError> {
        let there = self.project().await?.containers().await?;
        if there.is_empty() {
            let marks = if keep { BTreeMap::new() } else { self.marks() };
            let mut standing = self.stand_up(spec, &marks).await?;
            if keep {
                standing.notes.push(format!(
                    "the cluster {} is kept for later runs; `docker compose -p {} -f {} down -v`, with the environment of the \
                     scenario's `cluster`, takes it away",
                    self.name,
                    self.name,
                    spec.file.display()
                ));
            }
            return Ok(standing);
        }
        self.refuse_part(spec, &there).await?;
        let stopped: Vec<&Container> = there
            .iter()
            .filter(|c| c.state() == RunState::Exited)
            .collect();
        let project = self.project().await?;
        try_join_all(stopped.iter().map(|c| project.start(&c.id, c.handle()))).await?;
        self.wait_until_ready(None).await?;
        let mut notes = vec![format!("the cluster {} stood already", self.name)];
        if !stopped.is_empty() {
            let names: Vec<&str> = stopped.iter().map(|c| c.name()).collect();
            notes.push(format!(
                "started machines that had stopped: {}; it may take them up to a minute to reach one another's tasks",
                names.join(", ")
            ));
        }
        Ok(Standing { notes })
    }

    /// # Errors
    /// [`StackError::NotUp`] where a start is not enough for all of the file to run: one of its services was never made, as
    /// whoever is cut short leaves it, or somebody has paused one.
    async fn refuse_part(&self, spec: &ComposeSpec, there: &[Container]) -> Result<(), StackError> {
        let paused = there.iter().filter(|c| c.state() == RunState::Paused);
        let mut lacking: Vec<String> = paused.map(|c| format!("{} (paused)", c.name())).collect();
        let made: BTreeSet<&str> = there.iter().map(|c| c.id.service.as_str()).collect();
        let of_file = self.services_of(spec).await?.into_iter();
        let missing = of_file.filter(|name| !made.contains(name.as_str()));
        lacking.extend(missing.map(|name| format!("{name} (never made)")));
        if lacking.is_empty() {
            return Ok(());
        }
        Err(StackError::NotUp {
            why: format!(
                "the cluster {} stands only in part; not running: {}. Let what is paused go on (`docker unpause`), or take all of \
                 it away (`docker compose -p {} -f {} down -v`)",
                self.name,
                lacking.join(", "),
                self.name,
                spec.file.display()
            ),
        })
    }

    pub(super) async fn stand_up(
        &self,
        spec: &ComposeSpec,
        marks: &BTreeMap<&str, String>,
    ) -> Result<Standing, StackError> {
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
        let folder = directory.file_name().unwrap_or_default().to_string_lossy();
        let printed = cli.config(&file).await?;
        let resolved = resolve(&printed, cli.generation, marks, &folder)?;
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

    /// The services of the project's file.
    async fn services_of(&self, spec: &ComposeSpec) -> Result<BTreeSet<String>, StackError> {
        let file = absolute(&spec.file).map_err(|e| io(&spec.file, e))?;
        Ok(self.read(spec, &file).await?.services)
    }

    async fn read(&self, spec: &ComposeSpec, file: &Path) -> Result<Resolved, StackError> {
        let endpoint = Endpoint::of(&self.context.docker)?;
        let directory = file.parent().unwrap_or(Path::new("/"));
        let cli = self.cli(spec, directory, &endpoint).await?;
        let printed = cli.config(file).await?;
        resolve(&printed, cli.generation, &BTreeMap::new(), "stack")
    }

    /// The images that a file names, by Compose's reading of it.
    ///
    /// # Errors
    /// As `config`: the file is not valid.
    pub(in crate::stack) async fn images_of(
        &self,
        file: &Path,
        env: &BTreeMap<String, Template>,
    ) -> Result<BTreeSet<String>, StackError> {
        let spec = ComposeSpec {
            file: file.to_owned(),
            profiles: Vec::new(),
            env: env.clone(),
            env_file: None,
            build: false,
            ready: None,
            services: Vec::new(),
        };
        let resolved = self.read(&spec, file).await?;
        Ok(resolved.pulled.into_values().collect())
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
