//! What a stack is handed, by a run's first record: the same for the run, its guardian and whoever recovers it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::surface::Surface;
use crate::model::Variable;
use crate::stack::{DockerEnv, SecretStore, StackContext};
use crate::timeline::RunDir;
use crate::timeline::event::Opened;

/// The surroundings of a run.
///
/// # Errors
/// The system's, where this binary or the run's directory has no path.
pub(super) fn context(
    surface: &Surface,
    opened: &Opened,
    dir: &RunDir,
) -> std::io::Result<StackContext> {
    let env = surface.environment();
    let scenario_dir = PathBuf::from(&opened.scenario_dir);
    let secrets = SecretStore::new(env.clone(), scenario_dir.clone());
    let secrets = secrets.telling(surface.redactor().clone());
    surface.redactor().spare(opened.stack.services());
    let named: Vec<Variable> = opened
        .secrets
        .iter()
        .filter_map(|name| Variable::parse(name).ok())
        .collect();
    Ok(StackContext {
        run: opened.run.clone(),
        run_dir: std::path::absolute(dir.path())?,
        scenario_dir,
        firedrill: std::env::current_exe()?,
        ports: opened.ports.clone(),
        redactor: secrets.redactor(&named),
        secrets: Arc::new(secrets),
        docker: docker_env(&env),
    })
}

/// Surroundings for asking the stack of a scenario file before any run: nothing can be recorded, and no port is drawn.
///
/// # Errors
/// The system's, where this binary or the file has no path.
pub(super) fn asking(surface: &Surface, file: &Path) -> std::io::Result<StackContext> {
    let env = surface.environment();
    let file = std::path::absolute(file)?;
    let scenario_dir = file.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    Ok(StackContext {
        run: "none".to_owned(),
        run_dir: scenario_dir.clone(),
        scenario_dir: scenario_dir.clone(),
        firedrill: std::env::current_exe()?,
        ports: BTreeMap::new(),
        redactor: surface.redactor().clone(),
        docker: docker_env(&env),
        secrets: Arc::new(SecretStore::new(env, scenario_dir).telling(surface.redactor().clone())),
    })
}

/// How the environment says that an engine is reached.
pub(super) fn docker(surface: &Surface) -> DockerEnv {
    docker_env(&surface.environment())
}

fn docker_env(env: &BTreeMap<String, String>) -> DockerEnv {
    let get = |name: &str| env.get(name).filter(|v| !v.is_empty()).cloned();
    DockerEnv {
        docker_host: get("DOCKER_HOST"),
        docker_context: get("DOCKER_CONTEXT"),
        docker_config: get("DOCKER_CONFIG").map(PathBuf::from),
        docker_cert_path: get("DOCKER_CERT_PATH").map(PathBuf::from),
        docker_tls_verify: get("DOCKER_TLS_VERIFY"),
        home: get("HOME").map(PathBuf::from),
        path: std::env::var_os("PATH"),
    }
}
