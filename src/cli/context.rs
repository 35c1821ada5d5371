//! What a stack is handed, by a run's first record: the same for the run, its guardian and whoever recovers it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::surface::Surface;
use crate::model::{Redactor, Variable};
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

/// The surroundings of a look at a stack that is there already: nothing is started, nothing is kept.
///
/// # Errors
/// The system's, where this binary has no path.
pub(super) fn looking(surface: &Surface, scenario_dir: PathBuf) -> std::io::Result<StackContext> {
    let env = surface.environment();
    Ok(StackContext {
        run: String::new(),
        run_dir: PathBuf::new(),
        firedrill: std::env::current_exe()?,
        ports: BTreeMap::new(),
        redactor: Redactor::default(),
        secrets: Arc::new(SecretStore::new(env.clone(), scenario_dir.clone())),
        scenario_dir,
        docker: docker_env(&env),
    })
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
