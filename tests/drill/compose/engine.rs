//! The engine that the drills use, a test image made of what the machine's own package mirror has, and a Compose
//! project that is gone when its value is, whatever happened.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use firedrill::model::{ComposeSpec, Ready, Redactor, Template};
use firedrill::stack::{ComposeStack, DockerEnv, Owner, Resolve, SecretStore, StackContext};
use tempfile::TempDir;

/// Serves its host name and version on port 80, and ends on SIGTERM.
pub(crate) const IMAGE: &str = "firedrill-test/http:1";
/// The same, as version 2.
pub(crate) const SECOND: &str = "firedrill-test/http:2";
/// Starts, and answers nothing.
pub(crate) const BROKEN: &str = "firedrill-test/http:broken";

/// Version of what the images are made of.
const RECIPE: &str = "2";

const SERVE: &str = "#!/bin/sh
trap 'echo ending; exit 0' TERM
mkdir -p /www && echo \"$(hostname) $VERSION\" >/www/index.html
echo \"serving $VERSION\"
[ \"$VERSION\" = broken ] || httpd -f -p 80 -h /www &
while :; do sleep 3600 & wait $!; done
";

/// Which `docker-compose` a test runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// 1.29.
    One,
    /// 2, as a program of its own.
    Two,
}

/// Says why a test cannot be made here. Where everything has to be, it fails.
#[expect(
    clippy::print_stdout,
    reason = "whoever reads the suite's output is to see what it left out"
)]
pub(crate) fn skipped(why: &str) {
    assert!(
        std::env::var_os("CI").is_none_or(|v| v != "true"),
        "skipped, which CI may not: {why}"
    );
    println!("skipped: {why}");
}

fn run(command: &mut Command) -> Result<Output, String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    if output.status.success() {
        return Ok(output);
    }
    Err(format!(
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    ))
}

pub(crate) fn docker(args: &[&str]) -> Result<String, String> {
    let output = run(Command::new("docker").args(args))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn target() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_firedrill"))
        .ancestors()
        .nth(2)
        .expect("target/debug/firedrill")
        .to_owned()
}

/// The folder to look for `docker-compose` in before others.
fn folder_of(flavour: Flavour) -> Result<PathBuf, String> {
    match flavour {
        Flavour::One => {
            let said = run(Command::new("docker-compose").args(["version", "--short"]))?;
            let version = String::from_utf8_lossy(&said.stdout).trim().to_owned();
            let found = version.starts_with("1.").then(|| PathBuf::from("/usr/bin"));
            found.ok_or_else(|| format!("docker-compose here is {version}, not 1.x"))
        }
        Flavour::Two => {
            let given = std::env::var_os("FIREDRILL_COMPOSE_V2").map(PathBuf::from);
            let folder = given.unwrap_or_else(|| target().join("compose-v2"));
            let found = folder.join("docker-compose").is_file();
            found
                .then_some(folder)
                .ok_or_else(|| "no Compose 2 here: scripts/compose-v2 target/compose-v2".to_owned())
        }
    }
}

/// Makes the test images unless they are there.
fn images() -> Result<(), String> {
    docker(&["version", "--format", "{{.Server.Version}}"])?;
    // Tests are processes side by side; one makes the images.
    let lock = File::create(target().join("test-image.lock")).map_err(|e| e.to_string())?;
    lock.lock().map_err(|e| e.to_string())?;
    let recipe = ["inspect", "--format", "{{.Config.Labels.recipe}}"];
    let made = |image| docker(&[recipe.as_slice(), &[image]].concat()).is_ok_and(|r| r == RECIPE);
    if [IMAGE, SECOND, BROKEN].into_iter().all(made) {
        return Ok(());
    }
    let work = tempfile::tempdir().map_err(|e| e.to_string())?;
    run(Command::new("apt-get")
        .args(["download", "busybox-static"])
        .current_dir(work.path()))?;
    let script = format!(
        "dpkg-deb -x busybox-static_*.deb deb && mkdir -p root/bin root/tmp root/etc && \
         cp $(find deb -name busybox -type f -perm -1) root/bin/busybox && \
         for a in sh httpd wget sleep hostname mkdir nslookup cat touch rm test true false; do ln -s busybox root/bin/$a; done && \
         printf '%s' {} >root/serve && chmod 755 root/serve && tar -C root -cf image.tar .",
        shell_quoted(SERVE)
    );
    run(Command::new("sh")
        .args(["-c", &script])
        .current_dir(work.path()))?;
    let tar = work.path().join("image.tar").display().to_string();
    for (image, version) in [(IMAGE, "1"), (SECOND, "2"), (BROKEN, "broken")] {
        let env = format!("ENV VERSION={version} FLAVOUR=plain");
        let label = format!("LABEL recipe={RECIPE}");
        let changes = [&env, &label, "EXPOSE 80", "CMD [\"/serve\"]"];
        let change: Vec<&str> = changes.iter().flat_map(|c| ["--change", c]).collect();
        docker(&[&["import"], change.as_slice(), &[&tar, image]].concat())?;
    }
    Ok(())
}

fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A Compose file in a folder of its own, for one run.
pub(crate) struct Bench {
    pub(crate) folder: TempDir,
    run: String,
    path: std::ffi::OsString,
    pub(crate) spec: ComposeSpec,
}

impl Bench {
    /// `None`, and a word, where it cannot be had here.
    pub(crate) fn new(flavour: Flavour, name: &str, file: &str) -> Option<Self> {
        let folder_of_cli = match folder_of(flavour).and_then(|folder| images().map(|()| folder)) {
            Ok(folder) => folder,
            Err(why) => {
                skipped(&why);
                return None;
            }
        };
        let folder = tempfile::Builder::new().prefix("drill").tempdir().unwrap();
        fs::write(folder.path().join("docker-compose.yml"), file).unwrap();
        let others = std::env::var_os("PATH").unwrap_or_default();
        let all = [folder_of_cli]
            .into_iter()
            .chain(std::env::split_paths(&others));
        let spec = ComposeSpec {
            file: folder.path().join("docker-compose.yml"),
            profiles: Vec::new(),
            env: BTreeMap::new(),
            env_file: None,
            build: false,
            ready: Some(Ready {
                http: Some(Template::parse("http://${addr:web}/").unwrap()),
                within: Duration::from_secs(60),
            }),
            services: vec!["web".to_owned()],
        };
        Some(Self {
            run: format!("{name}-{flavour:?}-{}", std::process::id()).to_lowercase(),
            path: std::env::join_paths(all).unwrap(),
            folder,
            spec,
        })
    }

    pub(crate) fn secrets(&self) -> Arc<dyn Resolve> {
        let env = BTreeMap::from([("DRILL_PASSWORD".to_owned(), "hunter2".to_owned())]);
        Arc::new(SecretStore::new(env, self.folder.path().to_owned()))
    }

    pub(crate) fn context(&self) -> StackContext {
        let var = |name| std::env::var(name).ok();
        StackContext {
            run: self.run.clone(),
            owner: Owner::default(),
            run_dir: self.folder.path().to_owned(),
            scenario_dir: self.folder.path().to_owned(),
            state_dir: None,
            firedrill: env!("CARGO_BIN_EXE_firedrill").into(),
            ports: BTreeMap::new(),
            secrets: self.secrets(),
            redactor: Redactor::new(["hunter2".to_owned()]),
            docker: DockerEnv {
                docker_host: var("DOCKER_HOST"),
                docker_context: var("DOCKER_CONTEXT"),
                docker_config: var("DOCKER_CONFIG").map(PathBuf::from),
                docker_cert_path: var("DOCKER_CERT_PATH").map(PathBuf::from),
                docker_tls_verify: var("DOCKER_TLS_VERIFY"),
                home: var("HOME").map(PathBuf::from),
                path: Some(self.path.clone()),
            },
        }
    }

    /// The stack, as any process of the run would open it.
    pub(crate) fn stack(&self) -> ComposeStack {
        ComposeStack::new(self.spec.clone(), self.context())
    }

    /// The project's name.
    pub(crate) fn project(&self) -> String {
        format!("fd-{}", self.run)
    }

    /// What the engine itself says is left of the project.
    pub(crate) fn left(&self) -> String {
        let filter = format!("label=com.docker.compose.project={}", self.project());
        let containers = docker(&["ps", "-aq", "--filter", &filter]).unwrap();
        let networks = docker(&["network", "ls", "-q", "--filter", &filter]).unwrap();
        let volumes = docker(&["volume", "ls", "-q", "--filter", &filter]).unwrap();
        [containers, networks, volumes].concat()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        remove(&self.project());
    }
}

/// Removes all of a project by the engine's own command line: nothing is left even where firedrill's `down` is what failed.
pub(crate) fn remove(project: &str) {
    let filter = format!("label=com.docker.compose.project={project}");
    let each = |list: &[&str], remove: &[&str]| {
        let list = [list, &["-q", "--filter", &filter]].concat();
        for id in docker(&list).unwrap_or_default().lines() {
            let _ = docker(&[remove, &[id]].concat());
        }
    };
    each(&["ps", "-a"], &["rm", "-fv"]);
    each(&["network", "ls"], &["network", "rm"]);
    each(&["volume", "ls"], &["volume", "rm", "-f"]);
}
