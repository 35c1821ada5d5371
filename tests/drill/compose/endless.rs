//! An engine that begins to answer and never ends: whoever reads a log from it is not held up for ever.

use std::fs;

use firedrill::stack::{ComposeStack, Stack};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// One container, whose log has one line and no end. Time goes on in leaps from there, as nothing else will happen.
async fn answer(stream: TcpStream) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut asked = String::new();
        while !asked.ends_with("\r\n\r\n") {
            if stream.read_line(&mut asked).await? == 0 {
                return Ok(());
            }
        }
        let labels = json!({
            "com.docker.compose.project": "p",
            "com.docker.compose.service": "web",
            "com.docker.compose.container-number": "1",
        });
        let body = if asked.contains("/version") {
            json!({ "ApiVersion": "1.41" })
        } else if asked.contains("/containers/json") {
            json!([{ "Id": "abc", "Labels": labels }])
        } else if asked.contains("/containers/abc/json") {
            json!({ "Id": "abc", "Name": "/p-web-1", "Config": { "Labels": labels, "Tty": true },
                "State": { "Status": "running", "Running": true } })
        } else {
            assert!(asked.contains("/containers/abc/logs"), "{asked}");
            let begun = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-type: application/vnd.docker.raw-stream\r\n\r\n";
            stream.write_all(begun.as_bytes()).await?;
            let line = b"\x01\0\0\0\0\0\0\x06hello\n";
            let size = format!("{:x}\r\n", line.len());
            stream
                .write_all(&[size.as_bytes(), line, b"\r\n"].concat())
                .await?;
            stream.flush().await?;
            tokio::time::pause();
            return std::future::pending().await;
        };
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).await?;
    }
}

#[tokio::test]
async fn a_log_without_an_end_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = format!("tcp://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let mut context = crate::stacks::context(folder.path(), "endless");
    context.docker.docker_host = Some(host);
    let stack = ComposeStack::adopt("p".to_owned(), context);
    let log = folder.path().join("stack.log");
    let why = stack.logs(0, &log).await.unwrap_err().to_string();
    serving.abort();
    assert!(
        why.contains("project p") && why.contains("within 2m"),
        "{why}"
    );
    assert_eq!(fs::read_to_string(&log).unwrap(), "web/1 hello\n");
}
