//! What a stack is handed, by a run's first record: the same for the run, its guardian and whoever recovers it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::surface::Surface;
use crate::model::Variable;
use crate::stack::{self, DockerEnv, Owner, Scan, SecretStore, StackContext};
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
    let run_dir = std::path::absolute(dir.path())?;
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
        owner: owner(opened, &run_dir, &scenario_dir),
        run_dir,
        scenario_dir,
        state_dir: state_dir(&env),
        firedrill: std::env::current_exe()?,
        ports: opened.ports.clone(),
        redactor: secrets.redactor(&named),
        secrets: Arc::new(secrets),
        docker: docker_env(&env),
    })
}

fn owner(opened: &Opened, run_dir: &Path, scenario_dir: &Path) -> Owner {
    let (host, pid_namespace) = Owner::here();
    Owner {
        host,
        boot_id: opened.boot_id.clone(),
        pid_namespace,
        pid: opened.pid,
        pid_start: opened.pid_start,
        run_dir: run_dir.to_owned(),
        scenario_dir: scenario_dir.to_owned(),
        takes_down: opened.takes_down,
        secrets: opened.secrets.clone(),
    }
}

/// The surroundings of a run of which only the marks are left.
///
/// # Errors
/// The system's, where this binary has no path.
pub(super) fn context_of_marks(
    surface: &Surface,
    run: &str,
    owner: &Owner,
) -> std::io::Result<StackContext> {
    let env = surface.environment();
    let secrets = SecretStore::new(env.clone(), owner.scenario_dir.clone());
    let secrets = secrets.telling(surface.redactor().clone());
    let named: Vec<Variable> = owner
        .secrets
        .iter()
        .filter_map(|name| Variable::parse(name).ok())
        .collect();
    Ok(StackContext {
        run: run.to_owned(),
        owner: owner.clone(),
        run_dir: owner.run_dir.clone(),
        scenario_dir: owner.scenario_dir.clone(),
        state_dir: state_dir(&env),
        firedrill: std::env::current_exe()?,
        ports: BTreeMap::new(),
        redactor: secrets.redactor(&named),
        secrets: Arc::new(secrets),
        docker: docker_env(&env),
    })
}

/// What bears the marks of runs, wherever this environment leads.
pub(super) async fn scan(surface: &Surface) -> Scan {
    let env = surface.environment();
    stack::scan(&docker_env(&env), state_dir(&env).as_deref()).await
}

/// Where undos are kept that have no other place: in the user's folder for state (XDG Base Directory Specification).
fn state_dir(env: &BTreeMap<String, String>) -> Option<PathBuf> {
    let absolute = |name: &str| env.get(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let state = absolute("XDG_STATE_HOME");
    let state = state.or_else(|| Some(absolute("HOME")?.join(".local/state")));
    Some(state?.join("firedrill/undo"))
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
        owner: Owner::default(),
        run_dir: scenario_dir.clone(),
        scenario_dir: scenario_dir.clone(),
        state_dir: None,
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
