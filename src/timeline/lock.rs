//! Who may act for a run: its runner while it lives, then whoever mends it, one at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

use super::{RunDir, TimelineError};

/// The right to act for a run. The kernel takes it back when the process that holds it ends, however it ends (flock(2));
/// the file stays until the run owes nothing ([`RunLock::release`]), so a run that nobody mended is known by its lock.
#[derive(Debug)]
pub struct RunLock {
    file: File,
    /// What is locked: the lock file, or the run's directory where no file can be made in it.
    locked: PathBuf,
    dir: RunDir,
}

impl RunLock {
    /// Takes the right at once.
    ///
    /// # Errors
    /// [`TimelineError::Busy`] where another process has it, [`TimelineError::Create`] where there can be no lock.
    pub fn take(dir: &RunDir) -> Result<Self, TimelineError> {
        loop {
            let lock = Self::open(dir)?;
            match lock.file.try_lock() {
                Ok(()) if lock.stands()? => return Ok(lock),
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(TimelineError::Busy {
                        path: dir.path().to_owned(),
                    });
                }
                Err(TryLockError::Error(e)) => return Err(TimelineError::create(dir.lock(), e)),
            }
        }
    }

    /// Waits for the right, and blocks the thread meanwhile.
    ///
    /// # Errors
    /// [`TimelineError::Create`].
    pub fn wait(dir: &RunDir) -> Result<Self, TimelineError> {
        loop {
            let lock = Self::open(dir)?;
            let locked = lock.file.lock();
            locked.map_err(|e| TimelineError::create(dir.lock(), e))?;
            if lock.stands()? {
                return Ok(lock);
            }
        }
    }

    /// Whether the file is still the one that others find: who had the right before may have taken it away.
    fn stands(&self) -> Result<bool, TimelineError> {
        let path = &self.locked;
        let ours = self.file.metadata();
        let ours = ours.map_err(|e| TimelineError::create(path, e))?;
        match fs::metadata(path) {
            Ok(found) => Ok((found.dev(), found.ino()) == (ours.dev(), ours.ino())),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
            Err(e) => Err(TimelineError::create(path, e)),
        }
    }

    fn open(dir: &RunDir) -> Result<Self, TimelineError> {
        let path = dir.lock();
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let opened = match options.open(&path) {
            Ok(file) => Ok((file, path.clone())),
            // Whoever mends needs to be alone, not to write; a lock needs no right to write either.
            Err(e)
                if e.kind() == ErrorKind::PermissionDenied
                    || e.kind() == ErrorKind::ReadOnlyFilesystem =>
            {
                File::open(&path)
                    .map(|file| (file, path.clone()))
                    .or_else(|_| Ok((File::open(dir.path())?, dir.path().to_owned())))
            }
            Err(e) => Err(e),
        };
        let (file, locked) = opened.map_err(|e| TimelineError::create(&path, e))?;
        Ok(Self {
            file,
            locked,
            dir: dir.clone(),
        })
    }

    /// Gives the right back, and takes away the sign that the run may owe something.
    ///
    /// # Errors
    /// [`TimelineError::Write`]: then the run passes for one that nobody mended.
    pub fn release(self) -> Result<(), TimelineError> {
        let path = self.dir.lock();
        fs::remove_file(&path).map_err(|e| TimelineError::write(&path, e))
    }
}

impl RunDir {
    /// Whether nobody has yet declared the run over: it is going on, or it was not mended.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.lock().exists()
    }

    /// Whether somebody acts for the run now: its runner, or whoever mends what it left.
    ///
    /// # Errors
    /// [`TimelineError::Read`] where the lock cannot be asked.
    pub fn is_acted_for(&self) -> Result<bool, TimelineError> {
        let path = self.lock();
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(TimelineError::read(&path, e)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(e)) => Err(TimelineError::read(&path, e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_the_file_goes_with_the_last() {
        let reports = tempfile::tempdir().unwrap();
        let dir = RunDir::create(reports.path(), "kill", 0, "a").unwrap();
        let first = RunLock::take(&dir).unwrap();
        assert!(matches!(
            RunLock::take(&dir),
            Err(TimelineError::Busy { .. })
        ));
        // It may come to wait for the file that the first takes away, or find none.
        let next = {
            let dir = dir.clone();
            std::thread::spawn(move || RunLock::wait(&dir).unwrap())
        };
        assert!(dir.is_acted_for().unwrap());
        first.release().unwrap();
        let second = next.join().unwrap();
        assert!(dir.is_open());
        assert!(matches!(
            RunLock::take(&dir),
            Err(TimelineError::Busy { .. })
        ));
        second.release().unwrap();
        assert!(!dir.is_open() && !dir.is_acted_for().unwrap());
        drop(RunLock::take(&dir).unwrap());
        assert!(dir.is_open() && !dir.is_acted_for().unwrap());
    }

    #[test]
    fn a_lock_on_a_file_that_was_taken_away_is_none() {
        let reports = tempfile::tempdir().unwrap();
        let dir = RunDir::create(reports.path(), "kill", 0, "a").unwrap();
        let lock = RunLock::take(&dir).unwrap();
        assert!(lock.stands().unwrap());
        fs::remove_file(dir.lock()).unwrap();
        assert!(!lock.stands().unwrap());
        let _other = RunLock::take(&dir).unwrap();
        assert!(!lock.stands().unwrap());
    }
}
