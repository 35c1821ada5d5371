//! A run's directory: where it is, and what its files are called.

use std::fs;
use std::path::{Path, PathBuf};

use super::TimelineError;

/// The directory of one run, `<reports>/<scenario>/<utc start>-<id>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// Makes the directory of a new run and points the scenario's `latest` link at it.
    /// `started_ns` is the run's zero, ns since 1970.
    ///
    /// # Errors
    /// [`TimelineError::Create`] if it cannot be made or is there already.
    pub fn create(
        reports: &Path,
        scenario: &str,
        started_ns: i64,
        id: &str,
    ) -> Result<Self, TimelineError> {
        let folder = reports.join(file_name(scenario));
        let name = format!("{}-{}", utc_stamp(started_ns), file_name(id));
        let path = folder.join(&name);
        fs::create_dir_all(&folder).map_err(|e| TimelineError::create(&folder, e))?;
        fs::create_dir(&path).map_err(|e| TimelineError::create(&path, e))?;
        // Made beside it and renamed over it, so that a reader never finds it missing.
        let (link, fresh) = (
            folder.join("latest"),
            folder.join(format!(".latest-{name}")),
        );
        std::os::unix::fs::symlink(&name, &fresh)
            .and_then(|()| fs::rename(&fresh, &link))
            .map_err(|e| TimelineError::create(&link, e))?;
        Ok(Self { path })
    }

    /// The run in this directory.
    ///
    /// # Errors
    /// [`TimelineError::NoRun`] if it holds no journal.
    pub fn open(path: &Path) -> Result<Self, TimelineError> {
        let run = Self {
            path: path.to_owned(),
        };
        if run.journal().is_file() {
            Ok(run)
        } else {
            Err(TimelineError::NoRun {
                path: path.to_owned(),
            })
        }
    }

    /// The run that a person means: a directory, the id of a run (or the name of its directory) under `reports`, or
    /// a scenario, of which it is the latest.
    ///
    /// # Errors
    /// [`TimelineError::NoRun`] if there is none, [`TimelineError::Read`] if `reports` cannot be listed.
    pub fn find(reports: &Path, run: &str) -> Result<Self, TimelineError> {
        let latest = reports.join(file_name(run)).join("latest");
        if let Ok(found) = Self::open(Path::new(run)).or_else(|_| Self::open(&latest)) {
            return Ok(found);
        }
        let named = |dir: &Self| {
            let name = dir.name();
            name == run || name.rsplit_once('-').is_some_and(|(_, id)| id == run)
        };
        Self::all(reports)?
            .into_iter()
            .find(named)
            .ok_or_else(|| TimelineError::NoRun { path: run.into() })
    }

    /// Every run under `reports`, oldest first; none if the folder is not there.
    ///
    /// # Errors
    /// [`TimelineError::Read`] if a folder cannot be listed.
    pub fn all(reports: &Path) -> Result<Vec<Self>, TimelineError> {
        let mut runs = Vec::new();
        for scenario in subfolders(reports)? {
            for path in subfolders(&scenario)? {
                runs.extend(Self::open(&path).ok());
            }
        }
        runs.sort_by_key(Self::name);
        Ok(runs)
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The run's id, the last part of its name.
    #[must_use]
    pub fn id(&self) -> String {
        let name = self.name();
        name.rsplit_once('-')
            .map_or(&*name, |(_, id)| id)
            .to_owned()
    }

    /// Its last part, `<utc start>-<id>`.
    #[must_use]
    pub fn name(&self) -> String {
        let last = self.path.file_name().unwrap_or(self.path.as_os_str());
        last.to_string_lossy().into_owned()
    }
}

macro_rules! files {
    ($($(#[$doc:meta])* $method:ident = $file:literal;)*) => {
        impl RunDir {$(
            $(#[$doc])*
            #[must_use]
            pub fn $method(&self) -> PathBuf {
                self.path.join($file)
            }
        )*}
    };
}
files! {
    /// The scenario as run.
    scenario = "scenario.yaml";
    /// The plan.
    plan = "plan.json";
    /// Events and undo data.
    journal = "journal.ndjson";
    /// Held by whoever acts for the run.
    lock = "run.lock";
    /// Requests.
    requests = "requests.bin";
    /// Latency histograms, tagged by window.
    latency = "latency.hlog";
    /// Figures of each second.
    timeline = "timeline.csv";
    /// The verdict and every figure.
    result = "result.json";
    /// The report, as Markdown.
    summary = "summary.md";
    /// The objectives as test cases.
    junit = "junit.xml";
    /// The components' logs.
    stack_log = "stack.log";
    /// firedrill's own log.
    run_log = "run.log";
}

/// Directories in a folder, links left out; none if it is not there.
fn subfolders(folder: &Path) -> Result<Vec<PathBuf>, TimelineError> {
    let unread = |e| TimelineError::read(folder, e);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(unread(e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(unread)?;
        if entry.file_type().map_err(unread)?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// A name that is one component of a path, whatever it holds.
fn file_name(name: &str) -> String {
    let safe = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = name
        .chars()
        .map(|c| if safe(c) { c } else { '-' })
        .collect();
    if name.chars().all(|c| c == '.') {
        "-".to_owned()
    } else {
        name
    }
}

/// `20261121T092403Z`.
fn utc_stamp(ns: i64) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(ns))
        .expect("every i64 of nanoseconds is a date between 1677 and 2262");
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(reports: &Path, scenario: &str, started_ns: i64, id: &str) -> RunDir {
        let dir = RunDir::create(reports, scenario, started_ns, id).unwrap();
        fs::write(dir.journal(), "").unwrap();
        dir
    }

    #[test]
    fn a_run_is_found_by_path_id_name_and_scenario() {
        let tmp = tempfile::tempdir().unwrap();
        let old = run(tmp.path(), "kill", 1_000_000_000, "aaaa");
        let new = run(tmp.path(), "kill", 2_000_000_000, "bbbb");
        let other = run(tmp.path(), "stop", 1_500_000_000, "cccc");
        assert_eq!(old.name(), "19700101T000001Z-aaaa");
        let find = |what: &str| {
            RunDir::find(tmp.path(), what)
                .unwrap()
                .path()
                .canonicalize()
                .unwrap()
        };
        assert_eq!(
            find(old.path().to_str().unwrap()),
            old.path().canonicalize().unwrap()
        );
        assert_eq!(find("aaaa"), old.path().canonicalize().unwrap());
        assert_eq!(find(&other.name()), other.path().canonicalize().unwrap());
        assert_eq!(find("kill"), new.path().canonicalize().unwrap());
        assert_eq!(RunDir::all(tmp.path()).unwrap(), [old, other, new]);
        assert!(matches!(
            RunDir::find(tmp.path(), "dddd"),
            Err(TimelineError::NoRun { .. })
        ));
    }

    #[test]
    fn a_run_never_reuses_a_directory() {
        let tmp = tempfile::tempdir().unwrap();
        run(tmp.path(), "kill", 0, "a");
        assert!(matches!(
            RunDir::create(tmp.path(), "kill", 0, "a"),
            Err(TimelineError::Create { .. })
        ));
    }

    #[test]
    fn names_cannot_leave_the_reports() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = run(tmp.path(), "../../etc", 0, "..");
        assert!(dir.path().starts_with(tmp.path()));
        assert_eq!(dir.path().parent().unwrap().parent().unwrap(), tmp.path());
        assert_eq!(file_name(".."), "-");
    }
}
