//! Defects of a real nginx, Prometheus and Alertmanager: a small Compose project that several drills share.

mod balancer;
mod monitoring;

use std::fs;
use std::path::Path;
use std::time::Duration;

use firedrill::model::{Ready, Template};
use firedrill::stack::Stack;

use super::finding::Finding;
use crate::binary::Folder;
use crate::compose::engine::{Bench, Flavour, docker};

/// `tests/stacks/small`, standing, and gone when this is.
struct Small {
    bench: Bench,
}

impl Small {
    /// `None`, and a word, where there is no engine.
    async fn stand(name: &str, profiles: &[&str], env: &[(&str, String)]) -> Option<Self> {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stacks/small");
        let file = fs::read_to_string(own.join("docker-compose.yml")).unwrap();
        let mut bench = Bench::new(Flavour::One, name, &file)?;
        let conf = bench.folder.path().join("conf");
        fs::create_dir(&conf).unwrap();
        for entry in fs::read_dir(own.join("conf")).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, conf.join(path.file_name().unwrap())).unwrap();
        }
        bench.spec.profiles = profiles.iter().map(|p| (*p).to_owned()).collect();
        bench.spec.env = env
            .iter()
            .map(|(k, v)| ((*k).to_owned(), Template::literal(v)))
            .collect();
        bench.spec.ready = Some(Ready {
            http: Some(Template::parse("http://${addr:edge:8001}/").unwrap()),
            within: Duration::from_secs(60),
        });
        bench.spec.services = ["backend", "edge", "prometheus", "alertmanager"]
            .map(str::to_owned)
            .into();
        bench.stack().up().await.unwrap();
        Some(Self { bench })
    }

    /// The scenario `healthy.yaml` on this project, as `change` makes it.
    fn scenario(&self, folder: &Folder, change: &dyn Fn(&str) -> String) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stacks/small/healthy.yaml");
        let text = fs::read_to_string(path).unwrap();
        let (before, rest) = text.split_once("stack:\n").unwrap();
        let (_, after) = rest.split_once("\n\n").unwrap();
        let project = self.bench.project();
        let stack = format!(
            "stack: {{ external: {{ compose_project: {project} }} }}\nguards: {{ allow_external: true }}\n\n"
        );
        let text = [before, &stack, after].concat();
        folder.write("small.yaml", &change(&text));
    }

    fn drilled(&self, change: &dyn Fn(&str) -> String) -> Finding {
        let folder = Folder::new();
        self.scenario(&folder, change);
        Finding::of(&folder, "small.yaml", "small-healthy")
    }

    /// The containers of a service.
    fn containers(&self, service: &str) -> Vec<String> {
        let project = format!("label=com.docker.compose.project={}", self.bench.project());
        let service = format!("label=com.docker.compose.service={service}");
        let ids = docker(&["ps", "-aq", "--filter", &project, "--filter", &service]).unwrap();
        ids.lines().map(str::to_owned).collect()
    }

    /// Takes it down, and says so if anything is left.
    async fn fall(self) {
        self.bench.stack().down().await.unwrap();
        assert_eq!(self.bench.left(), "");
    }
}

/// A change of a text that must change it.
fn with(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "no `{from}` in\n{text}");
    text.replace(from, to)
}

/// The text up to a line, and from another on.
fn without(text: &str, from: &str, to: &str) -> String {
    let (before, rest) = text
        .split_once(from)
        .unwrap_or_else(|| panic!("no `{from}` in\n{text}"));
    let (_, after) = rest
        .split_once(to)
        .unwrap_or_else(|| panic!("no `{to}` in\n{rest}"));
    [before, to, after].concat()
}
