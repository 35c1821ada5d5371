//! Who may act for a run: its runner while it lives, then whoever mends it, one at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;

use super::{RunDir, TimelineError};

/// The right to act for a run. The kernel takes it back when the process that holds it ends, however it ends (flock(2));
/// the file stays until the run owes nothing ([`RunLock::release`]), so a run that nobody mended is known by its lock.
#[derive(Debug)]
pub struct RunLock {
    file: File,
    dir: RunDir,
}

impl RunLock {
    /// Takes the right at once.
    ///
    /// # Errors
    /// [`TimelineError::Busy`] where another process has it, [`TimelineError::Create`] where there can be no lock.
    pub fn take(dir: &RunDir) -> Result<Self, TimelineError> {
        let lock = Self::open(dir)?;
        match lock.file.try_lock() {
            Ok(()) => Ok(lock),
            Err(TryLockError::WouldBlock) => Err(TimelineError::Busy {
                path: dir.path().to_owned(),
            }),
            Err(TryLockError::Error(e)) => Err(TimelineError::create(dir.lock(), e)),
        }
    }

    /// Waits for the right, and blocks the thread meanwhile.
    ///
    /// # Errors
    /// [`TimelineError::Create`].
    pub fn wait(dir: &RunDir) -> Result<Self, TimelineError> {
        let lock = Self::open(dir)?;
        let locked = lock.file.lock();
        locked.map_err(|e| TimelineError::create(dir.lock(), e))?;
        Ok(lock)
    }

    fn open(dir: &RunDir) -> Result<Self, TimelineError> {
        let path = dir.lock();
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path);
        Ok(Self {
            file: file.map_err(|e| TimelineError::create(&path, e))?,
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
}
