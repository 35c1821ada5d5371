//! Which engine is meant: `DOCKER_HOST`, then `DOCKER_CONTEXT`, then the current context of `config.json`, in the
//! order of the Docker command line.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::stack::{DockerEnv, StackError};

const DEFAULT_SOCKET: &str = "unix:///var/run/docker.sock";

/// How an engine is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::stack) enum Endpoint {
    /// A socket on this machine, as a path.
    Unix(String),
    /// `host:port`, in the clear.
    Tcp(String),
    /// `host:port` by TLS, with `ca.pem`, `cert.pem` and `key.pem` in this folder.
    Tls { host: String, certs: PathBuf },
}

impl Endpoint {
    /// The endpoint that this environment asks for.
    ///
    /// # Errors
    /// [`StackError::Engine`] for a context that does not exist and for a way of reaching engines that is not
    /// supported.
    pub(in crate::stack) fn of(env: &DockerEnv) -> Result<Self, StackError> {
        let config = env
            .docker_config
            .clone()
            .or_else(|| env.home.as_ref().map(|home| home.join(".docker")));
        let verify = env
            .docker_tls_verify
            .as_ref()
            .is_some_and(|v| !v.is_empty());
        if let Some(host) = set(env.docker_host.as_ref()) {
            let certs = env.docker_cert_path.clone().or_else(|| config.clone());
            return parse(host, certs.filter(|_| verify), "DOCKER_HOST");
        }
        let current = config.as_deref().and_then(current_context);
        match set(env.docker_context.as_ref()).map_or(current, |name| Some(name.to_owned())) {
            Some(name) if name != "default" => of_context(&name, config.as_deref()),
            Some(_) | None => parse(DEFAULT_SOCKET, None, "the default"),
        }
    }

    /// Whether containers' addresses are within reach, and ports on the engine's loopback on ours.
    pub(in crate::stack) fn is_local(&self) -> bool {
        match self.host() {
            None => true,
            Some(host) => matches!(host, "localhost" | "127.0.0.1" | "[::1]"),
        }
    }

    /// The host on which published ports are found, for an engine elsewhere.
    pub(in crate::stack) fn host(&self) -> Option<&str> {
        match self {
            Self::Unix(_) => None,
            Self::Tcp(host) | Self::Tls { host, .. } => Some(
                host.rsplit_once(':')
                    .map_or(host.as_str(), |(name, _)| name),
            ),
        }
    }

    /// The environment that sends the Compose command line to the same engine.
    pub(in crate::stack) fn cli_env(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Unix(path) => vec![("DOCKER_HOST", format!("unix://{path}"))],
            Self::Tcp(host) => vec![("DOCKER_HOST", format!("tcp://{host}"))],
            Self::Tls { host, certs } => vec![
                ("DOCKER_HOST", format!("tcp://{host}")),
                ("DOCKER_TLS_VERIFY", "1".to_owned()),
                ("DOCKER_CERT_PATH", certs.display().to_string()),
            ],
        }
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{path}"),
            Self::Tcp(host) | Self::Tls { host, .. } => write!(f, "tcp://{host}"),
        }
    }
}

/// A variable that is set to nothing is as good as unset.
fn set(value: Option<&String>) -> Option<&str> {
    value.map(String::as_str).filter(|v| !v.is_empty())
}

fn parse(host: &str, certs: Option<PathBuf>, from: &str) -> Result<Endpoint, StackError> {
    if let Some(path) = host.strip_prefix("unix://") {
        return Ok(Endpoint::Unix(path.to_owned()));
    }
    let tcp = ["tcp://", "http://", "https://"]
        .iter()
        .find_map(|scheme| host.strip_prefix(scheme));
    match (tcp, certs) {
        (Some(host), Some(certs)) => Ok(Endpoint::Tls {
            host: host.trim_end_matches('/').to_owned(),
            certs,
        }),
        (Some(_), None) if host.starts_with("https://") => Err(unusable(
            host,
            "it asks for TLS without client certificates",
            "Set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH",
        )),
        (Some(host), None) => Ok(Endpoint::Tcp(host.trim_end_matches('/').to_owned())),
        (None, _) => Err(unusable(
            host,
            &format!("{from} reaches it in a way that is not supported yet"),
            "Use a unix:// or tcp:// address (`ssh -L` can forward the engine's socket)",
        )),
    }
}

fn current_context(config: &Path) -> Option<String> {
    let text = fs::read_to_string(config.join("config.json")).ok()?;
    let json: Value = serde_json::from_str(&text).ok()?;
    Some(json.get("currentContext")?.as_str()?.to_owned())
}

/// Contexts lie in folders named by a digest of their name; the name is inside.
fn of_context(name: &str, config: Option<&Path>) -> Result<Endpoint, StackError> {
    let missing = || {
        unusable(
            &format!("Docker context `{name}`"),
            "it does not exist",
            "`docker context ls` lists those that do",
        )
    };
    let contexts = config.ok_or_else(missing)?.join("contexts");
    let folders = fs::read_dir(contexts.join("meta")).map_err(|_| missing())?;
    for folder in folders.filter_map(Result::ok) {
        let Ok(text) = fs::read_to_string(folder.path().join("meta.json")) else {
            continue;
        };
        let Ok(meta) = serde_json::from_str::<Value>(&text) else {
            continue;
        };
        if meta["Name"] != name {
            continue;
        }
        let docker = &meta["Endpoints"]["docker"];
        let host = docker["Host"].as_str().ok_or_else(missing)?;
        let certs = contexts.join("tls").join(folder.file_name()).join("docker");
        if docker["SkipTLSVerify"] == true {
            return Err(unusable(
                host,
                "its context skips the check of the engine's certificate, which is not supported",
                "Give the context the engine's CA",
            ));
        }
        return parse(host, Some(certs).filter(|c| c.is_dir()), name);
    }
    Err(missing())
}

fn unusable(engine: &str, why: &str, advice: &str) -> StackError {
    StackError::Engine {
        engine: engine.to_owned(),
        why: why.to_owned(),
        advice: advice.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config_with(current: &str, contexts: &[(&str, &str, bool)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let json = serde_json::json!({ "currentContext": current });
        fs::write(dir.path().join("config.json"), json.to_string()).unwrap();
        for (i, (name, host, tls)) in contexts.iter().enumerate() {
            let meta = dir.path().join(format!("contexts/meta/{i}"));
            fs::create_dir_all(&meta).unwrap();
            let json =
                serde_json::json!({ "Name": name, "Endpoints": { "docker": { "Host": host } } });
            fs::write(meta.join("meta.json"), json.to_string()).unwrap();
            if *tls {
                fs::create_dir_all(dir.path().join(format!("contexts/tls/{i}/docker"))).unwrap();
            }
        }
        dir
    }

    fn env(config: &tempfile::TempDir) -> DockerEnv {
        DockerEnv {
            docker_config: Some(config.path().to_owned()),
            ..DockerEnv::default()
        }
    }

    #[test]
    fn the_order_is_host_then_context_then_current_context() {
        let config = config_with(
            "here",
            &[("here", "unix:///a", false), ("there", "tcp://b:1", false)],
        );
        let mut env = env(&config);
        assert_eq!(Endpoint::of(&env).unwrap(), Endpoint::Unix("/a".into()));
        env.docker_context = Some("there".into());
        assert_eq!(Endpoint::of(&env).unwrap(), Endpoint::Tcp("b:1".into()));
        env.docker_host = Some("unix:///c".into());
        assert_eq!(Endpoint::of(&env).unwrap(), Endpoint::Unix("/c".into()));
        env.docker_host = Some(String::new());
        env.docker_context = Some("default".into());
        let default = Endpoint::of(&env).unwrap();
        assert_eq!(default, Endpoint::Unix("/var/run/docker.sock".into()));
        assert_eq!(Endpoint::of(&DockerEnv::default()).unwrap(), default);
    }

    #[test]
    fn tls_material_comes_from_the_context_or_the_cert_path() {
        let config = config_with("safe", &[("safe", "tcp://b:2376", true)]);
        let of_context = Endpoint::of(&env(&config)).unwrap();
        let certs = config.path().join("contexts/tls/0/docker");
        let host = "b:2376".to_owned();
        assert_eq!(of_context, Endpoint::Tls { host, certs });
        assert_eq!(of_context.host(), Some("b"));
        let by_hand = DockerEnv {
            docker_host: Some("tcp://c:2376".into()),
            docker_tls_verify: Some("1".into()),
            docker_cert_path: Some("/certs".into()),
            ..DockerEnv::default()
        };
        let cli = Endpoint::of(&by_hand).unwrap().cli_env();
        assert!(
            cli.contains(&("DOCKER_CERT_PATH", "/certs".to_owned())),
            "{cli:?}"
        );
    }

    #[test]
    fn what_cannot_be_reached_says_so() {
        let config = config_with("gone", &[("far", "ssh://host", false)]);
        let mut env = env(&config);
        let gone = Endpoint::of(&env).unwrap_err().to_string();
        assert!(
            gone.contains("Docker context `gone`") && gone.contains("does not exist"),
            "{gone}"
        );
        env.docker_context = Some("far".into());
        let far = Endpoint::of(&env).unwrap_err().to_string();
        assert!(far.contains("not supported yet"), "{far}");
    }
}
