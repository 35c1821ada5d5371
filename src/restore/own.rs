//! The user's own calls and commands: faults and undos that firedrill only carries out.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::model::{CUT, HttpCall, TemplateError};
use crate::stack::{GroupGuard, Resolve, hand};

/// Why a call or command of the user's own failed.
#[derive(Debug, thiserror::Error)]
pub enum OwnError {
    /// A variable has no value.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The method is not one.
    #[error("`{0}` is not an HTTP method")]
    Method(String),
    /// No answer.
    #[error("{method} {url}: {why}")]
    NoAnswer {
        method: String,
        url: String,
        why: String,
    },
    /// Another answer than 2xx.
    #[error("{method} {url} was answered with {status}: {body}")]
    Status {
        method: String,
        url: String,
        status: u16,
        body: String,
    },
    /// Nothing to run.
    #[error("the command is empty")]
    Empty,
    /// Could not be started.
    #[error("`{program}` could not be started: {source}")]
    Start {
        program: String,
        source: std::io::Error,
    },
    /// Ended otherwise than with 0.
    #[error("`{program}` ended with {status}: {stderr}")]
    Failed {
        program: String,
        status: String,
        stderr: String,
    },
    /// Took too long.
    #[error("`{what}` was not through within {limit:?}")]
    TooLong { what: String, limit: Duration },
}

/// The last lines of an output, enough to tell what went wrong.
fn tail(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.trim().lines().collect();
    let last = lines[lines.len().saturating_sub(5)..].join(" | ");
    match last.char_indices().nth(500) {
        // The mark tells whoever hides secrets that a part of one may stand before it.
        Some((at, _)) => format!("{}{CUT}", &last[..at]),
        None => last,
    }
}

/// Makes the call and demands a 2xx answer within `limit`.
///
/// # Errors
/// [`OwnError`]; the message holds the URL with its variables unresolved, for they may be secrets.
pub async fn call(call: &HttpCall, values: &dyn Resolve, limit: Duration) -> Result<(), OwnError> {
    let (method, shown) = (call.method.clone(), call.url.to_string());
    let verb = reqwest::Method::from_bytes(call.method.as_bytes())
        .map_err(|_| OwnError::Method(method.clone()))?;
    let silent = |e: reqwest::Error| OwnError::NoAnswer {
        method: method.clone(),
        url: shown.clone(),
        why: cause(&e.without_url()),
    };
    // Redirects would hide which address answered; the answer asked for is 2xx.
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(limit)
        .no_proxy()
        .build()
        .map_err(silent)?;
    let mut request = client.request(verb, values.resolve(&call.url)?);
    for (name, value) in &call.headers {
        request = request.header(name, values.resolve(value)?);
    }
    if let Some(body) = &call.body {
        request = request.body(values.resolve(body)?);
    }
    let answer = request.send().await.map_err(silent)?;
    let status = answer.status();
    let body = answer.bytes().await.map_err(silent)?;
    if status.is_success() {
        return Ok(());
    }
    Err(OwnError::Status {
        method,
        url: shown,
        status: status.as_u16(),
        body: tail(&body),
    })
}

/// An error with its causes, outermost first.
fn cause(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(inner) = next {
        text = format!("{text}: {inner}");
        next = inner.source();
    }
    text
}

/// Runs the command in `folder` and demands exit code 0 within `limit`. It is killed, with its group, when it takes
/// longer or when the future is dropped. What makes a fault `acts_for` a run: whoever mends in the run's place stops it
/// first ([`stay_hands`](crate::stack::stay_hands)); an undo may go on, for it is done again.
///
/// # Errors
/// [`OwnError`], with the last lines of its standard error.
pub async fn command(
    run: &[crate::model::Template],
    folder: &Path,
    values: &dyn Resolve,
    limit: Duration,
    acts_for: Option<&str>,
) -> Result<(), OwnError> {
    let words = run
        .iter()
        .map(|w| values.resolve(w))
        .collect::<Result<Vec<_>, _>>()?;
    let (program, arguments) = words.split_first().ok_or(OwnError::Empty)?;
    let shown = run.first().map(ToString::to_string).unwrap_or_default();
    let mut child = Command::new(program);
    if let Some(run) = acts_for {
        hand(&mut child, run);
    }
    let child = child
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own: the Ctrl-C that asks for mending must not kill the mending.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| OwnError::Start {
            program: shown.clone(),
            source,
        })?;
    // The direct child dies by kill_on_drop; what it started does not.
    let group = GroupGuard::of(&child);
    let Ok(output) = tokio::time::timeout(limit, child.wait_with_output()).await else {
        return Err(OwnError::TooLong { what: shown, limit });
    };
    group.ended();
    let output = output.map_err(|source| OwnError::Start {
        program: shown.clone(),
        source,
    })?;
    if output.status.success() {
        return Ok(());
    }
    Err(OwnError::Failed {
        program: shown,
        status: output.status.to_string(),
        stderr: tail(&output.stderr),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Template;
    use crate::stack::SecretStore;

    /// Whether it runs: neither gone nor dead and not yet reaped.
    fn runs(pid: &str) -> bool {
        std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| !stat.contains(") Z "))
    }

    #[tokio::test]
    async fn a_command_cut_short_takes_along_what_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let values = SecretStore::new(std::collections::BTreeMap::new(), folder.path().to_owned());
        let script = "sh -c 'echo $$ > begun && mv begun pid && exec sleep 600'; true";
        let run = ["sh", "-c", script].map(Template::literal);
        let file = folder.path().join("pid");
        let begun = async {
            while !file.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let limit = Duration::from_secs(600);
        tokio::select! {
            ended = command(&run, folder.path(), &values, limit, None) => panic!("{ended:?}"),
            () = begun => {}
        }
        let pid = std::fs::read_to_string(file).unwrap();
        while runs(pid.trim()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
