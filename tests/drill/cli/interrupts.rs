//! Ctrl-C while a run waits for somebody else, and between two runs.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::Instant;

use super::SMALL;
use crate::binary::{Folder, until};

/// Less than the patience that the checks have, more than any machine needs for an abort.
const SOON: Duration = Duration::from_secs(25);

/// A server that says 200 so many times and then takes connections and says nothing. Its address.
fn falls_silent(after: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let mut silent: Vec<TcpStream> = Vec::new();
        for (n, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            if n < after {
                let mut line = String::new();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                while reader.read_line(&mut line).unwrap() > 2 {
                    line.clear();
                }
                let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                stream.write_all(answer.as_bytes()).unwrap();
            } else {
                silent.push(stream);
            }
        }
    });
    address
}

fn says(journal: &Path, what: &str) -> bool {
    fs::read_to_string(journal).is_ok_and(|text| text.contains(what))
}

#[test]
fn an_interrupt_ends_the_checks_after_the_load() {
    let folder = Folder::new();
    let check = format!(
        "steady_state: {{ http: {{ get: \"http://{}/\", within: 60s }} }}\n",
        falls_silent(1)
    );
    folder.write("small.yaml", &format!("{SMALL}{check}"));
    let drill = folder.start(&["run", "small.yaml"]);
    let journal = folder.latest("small").join("journal.ndjson");
    until("the checks", || says(&journal, "\"collecting\""));
    drill.signal(Signal::INT);
    let begun = Instant::now();
    let said = drill.end();
    assert!(begun.elapsed() < SOON, "{:?}: {said:?}", begun.elapsed());
    assert_eq!(said.code, 130, "{said:?}");
    let result = folder.result("small");
    assert_eq!(result["recovery"]["clean"], true);
    assert_eq!(result["reasons"][0]["code"], "aborted");
    assert!(says(&journal, "\"closed\""));
    assert_eq!(folder.processes(), []);
}

#[test]
fn an_interrupt_between_two_runs_ends_the_command() {
    let folder = Folder::new();
    folder.write("small.yaml", SMALL);
    let mark = folder.path().join("broken");
    let second = SMALL.replace("name: small", "name: second").replace(
        "kill: { target: backend }, hold: 1s",
        r#"command: { run: [touch, "${scenario_dir}/broken"], undo: none }, hold: 1s"#,
    );
    assert!(second.contains("touch"));
    folder.write("second.yaml", &second);
    // Whoever adds to a pipe waits for its reader: the first run is over, and the second not begun.
    let pipe = folder.path().join("summary");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let mut command = folder.command(&["run", "small.yaml", "second.yaml"]);
    command.env("GITHUB_STEP_SUMMARY", &pipe);
    let drill = folder.start_command(command);
    let reported = folder.latest("small").join("junit.xml");
    until("the first report", || reported.exists());
    drill.signal(Signal::INT);
    // Open for both, it lets the second run's report pass, too, should the signal have come to that run's ears only.
    let _reader = fs::File::options()
        .read(true)
        .write(true)
        .open(&pipe)
        .unwrap();
    let said = drill.end();
    assert_eq!(said.code, 130, "{said:?}");
    let last = said.out.lines().last().unwrap();
    assert!(last.starts_with("exit 130  INCONCLUSIVE second"), "{last}");
    assert!(!mark.exists(), "the second run broke nothing: {said:?}");
    assert_eq!(folder.processes(), []);
}
