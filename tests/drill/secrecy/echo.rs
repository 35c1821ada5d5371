//! A server that says back whatever it was told, in more than one form.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

/// Answers by the path: `/ok` with 200, `/broken` with 500, `/flaky` with 500 as long as its patience is short.
pub(super) struct Echo {
    pub(super) address: String,
    /// How often `/flaky` was asked.
    pub(super) asked: Arc<AtomicU32>,
    /// Whether `/flaky` answers with 200 from now on.
    pub(super) patient: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
}

impl Echo {
    pub(super) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let echo = Self {
            address: listener.local_addr().unwrap().to_string(),
            asked: Arc::default(),
            patient: Arc::default(),
            over: Arc::default(),
        };
        let (asked, patient, over) = (
            Arc::clone(&echo.asked),
            Arc::clone(&echo.patient),
            Arc::clone(&echo.over),
        );
        thread::spawn(move || {
            while let Ok((connection, _)) = listener.accept() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let (asked, patient) = (Arc::clone(&asked), Arc::clone(&patient));
                thread::spawn(move || while answer(&connection, &asked, &patient).is_some() {});
            }
        });
        echo
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        let _over = TcpStream::connect(&self.address);
    }
}

/// Answers one request; `None` when there are no more.
fn answer(mut connection: &TcpStream, asked: &AtomicU32, patient: &AtomicBool) -> Option<()> {
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    let said = loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                let is = name.eq_ignore_ascii_case("content-length");
                is.then(|| value.trim().parse::<usize>().unwrap())
            });
            if body.len() >= length.unwrap_or(0) {
                break text;
            }
        }
        match connection.read(&mut piece) {
            Ok(0) | Err(_) => return None,
            Ok(read) => request.extend_from_slice(&piece[..read]),
        }
    };
    let path = said.split(' ').nth(1).unwrap_or("");
    let well = match path {
        _ if path.starts_with("/flaky") => {
            asked.fetch_add(1, Ordering::Relaxed);
            patient.load(Ordering::Relaxed)
        }
        _ => !path.starts_with("/broken"),
    };
    let status = if well { "200 OK" } else { "500 Broken" };
    let head = said.split("\r\n\r\n").next().unwrap_or("");
    let key = head.lines().find_map(|l| l.strip_prefix("x-key: "));
    let instance = key.map_or(String::new(), |key| format!("X-Backend: pod-{key}\r\n"));
    let quoted =
        serde_json::json!({ "you_said": said, "by_line": said.lines().collect::<Vec<_>>() });
    // The longest words last, so that what is cut off an error is a secret's end.
    let body = format!("{quoted}\n{}\n{said}", said.replace("\r\n", " "));
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\n{instance}\r\n{body}",
        body.len()
    );
    connection.write_all(answer.as_bytes()).ok()
}
