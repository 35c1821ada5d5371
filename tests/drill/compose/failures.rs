//! What goes wrong: the words for it, and that nothing stays behind.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use firedrill::model::{ComponentId, Ready, Template};
use firedrill::stack::{ComposeStack, Stack, StackError};
use tokio::time::{Instant, sleep};

use super::engine::{Bench, Flavour, docker};

const PLAIN: &str = "services: { web: { image: 'firedrill-test/http:1', init: true, ports: [ '${PORT:-80}:80' ] } }\n";

async fn fails_to_stand(bench: &Bench, stack: &ComposeStack) -> StackError {
    let error = stack.up().await.unwrap_err();
    stack.down().await.unwrap();
    assert_eq!(bench.left(), "");
    error
}

async fn an_invalid_file_is_named(flavour: Flavour) {
    let Some(mut bench) = Bench::new(flavour, "invalid", "services: { web: { imag: x } }\n") else {
        return;
    };
    let error = fails_to_stand(&bench, &bench.stack()).await;
    assert!(
        matches!(&error, StackError::InvalidFile { file, why }
        if file.ends_with("docker-compose.yml") && why.contains("imag")),
        "{error}"
    );
    fs::write(
        &bench.spec.file,
        "services: { web: { image: '${WHERE:?say where}' } }\n",
    )
    .unwrap();
    let error = fails_to_stand(&bench, &bench.stack()).await;
    assert!(
        matches!(&error, StackError::InvalidFile { why, .. } if why.contains("say where")),
        "{error}"
    );
    bench.spec.file = bench.folder.path().join("none.yml");
    let error = fails_to_stand(&bench, &bench.stack()).await;
    assert!(
        matches!(&error, StackError::InvalidFile { why, .. } if why.contains("no such file")),
        "{error}"
    );
}

async fn a_failed_start_says_why(flavour: Flavour) {
    let missing = "services: { web: { image: 'firedrill-test/nowhere:1' } }\n";
    let Some(mut bench) = Bench::new(flavour, "failed", missing) else {
        return;
    };
    let error = fails_to_stand(&bench, &bench.stack()).await.to_string();
    assert!(
        error.contains("image firedrill-test/nowhere:1 is not on this engine"),
        "{error}"
    );

    fs::write(&bench.spec.file, PLAIN).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    bench
        .spec
        .env
        .insert("PORT".to_owned(), Template::literal(&port));
    let error = fails_to_stand(&bench, &bench.stack()).await.to_string();
    assert!(
        error.contains("already") && error.contains(&port),
        "{error}"
    );

    let dies = "services: { web: { image: 'firedrill-test/http:1', command: [ sh, -c, 'echo no luck; sleep 0.4; exit 3' ] } }\n";
    fs::write(&bench.spec.file, dies).unwrap();
    let error = fails_to_stand(&bench, &bench.stack()).await;
    assert!(matches!(error, StackError::NotUp { .. }), "{error}");
    let error = error.to_string();
    assert!(
        error.contains("web/1 ended with 3") && error.contains("no luck"),
        "{error}"
    );

    let sick = "services: { web: { image: 'firedrill-test/http:1', init: true,
        healthcheck: { test: [ CMD, 'false' ], interval: 1s, retries: 1 } } }\n";
    fs::write(&bench.spec.file, sick).unwrap();
    bench.spec.ready = Some(Ready {
        http: None,
        within: Duration::from_secs(3),
    });
    let error = fails_to_stand(&bench, &bench.stack()).await;
    assert!(
        matches!(&error, StackError::NotReady { what, .. } if what == "web/1"),
        "{error}"
    );
    assert!(error.to_string().contains("serving 1"), "{error}");
}

async fn cut_short_leaves_nothing(flavour: Flavour) {
    let Some(bench) = Bench::new(flavour, "cut", PLAIN) else {
        return;
    };
    let stack = bench.stack();
    // As soon as anything is there, Compose is in the middle of it.
    let begun = async {
        while bench.left().is_empty() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        done = stack.up() => panic!("not cut short: {done:?}"),
        () = begun => {}
    }
    stack.down().await.unwrap();
    assert_eq!(bench.left(), "");
}

async fn builds_what_has_no_image(flavour: Flavour) {
    let file = "services: { web: { build: ., init: true, ports: [ '80' ] } }\n";
    let Some(mut bench) = Bench::new(flavour, "builds", file) else {
        return;
    };
    fs::write(
        bench.folder.path().join("Dockerfile"),
        "FROM firedrill-test/http:1\nENV VERSION=built\n",
    )
    .unwrap();
    bench.spec.build = true;
    let stack = bench.stack();
    let standing = stack.up().await.unwrap();
    assert_eq!(standing.notes, ["built the images"]);
    let component = stack.component(&ComponentId::new("web", 1)).await.unwrap();
    let image = component.image;
    stack.down().await.unwrap();
    docker(&["image", "rm", "-f", &image]).unwrap();
    let folder = bench
        .folder
        .path()
        .file_name()
        .unwrap()
        .to_string_lossy()
        .to_lowercase();
    assert!(
        image.starts_with(&folder),
        "not named by the run, so the next finds it: {image}"
    );
    assert_eq!(bench.left(), "");
}

/// A socket that this test may see and not use; root may use any.
fn forbidden(folder: &Path) -> Option<String> {
    let path = folder.join("socket");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    drop(listener);
    std::os::unix::net::UnixStream::connect(&path)
        .is_err_and(|e| e.kind() == std::io::ErrorKind::PermissionDenied)
        .then(|| format!("unix://{}", path.display()))
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_told_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut hosts = vec![
        (
            format!("unix://{}/none.sock", folder.path().display()),
            "Start the Docker engine",
        ),
        (
            format!("tcp://{free}"),
            "Check that an engine listens there",
        ),
        ("ssh://somewhere".to_owned(), "not supported yet"),
    ];
    hosts.extend(forbidden(folder.path()).map(|host| (host, "join the group `docker`")));
    for (host, advice) in hosts {
        let mut context = crate::stacks::context(folder.path(), "nobody");
        context.docker.docker_host = Some(host.clone());
        let stack = ComposeStack::adopt("nobody".to_owned(), context);
        let begun = Instant::now();
        let error = stack.components().await.unwrap_err();
        assert!(
            matches!(error, StackError::Engine { .. }),
            "{host}: {error}"
        );
        assert!(error.to_string().contains(advice), "{host}: {error}");
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{host} takes its time"
        );
    }
}

macro_rules! by_both {
    ($($name:ident: $one:ident, $two:ident;)+) => { $(
        #[tokio::test(flavor = "multi_thread")]
        async fn $one() {
            $name(Flavour::One).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn $two() {
            $name(Flavour::Two).await;
        }
    )+ };
}

by_both! {
    an_invalid_file_is_named: compose_1_names_an_invalid_file, compose_2_names_an_invalid_file;
    a_failed_start_says_why: compose_1_says_why_a_start_failed, compose_2_says_why_a_start_failed;
    cut_short_leaves_nothing: compose_1_cut_short_leaves_nothing, compose_2_cut_short_leaves_nothing;
    builds_what_has_no_image: compose_1_builds_what_has_no_image, compose_2_builds_what_has_no_image;
}
