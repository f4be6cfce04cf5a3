//! Folders for data that is kept between runs: each is one process's at a time, and its owner's alone.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

/// Why a folder can't be used, with the next step.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process has it.
    #[error(
        "the folder {} is in use: stop what runs on it, or give this run a folder of its own with --data",
        .0.display()
    )]
    InUse(PathBuf),
    /// It can't be made or written.
    #[error("the folder {} can't be used: {error}; choose another with --data", folder.display())]
    Failed {
        /// As it was given.
        folder: PathBuf,
        /// What the operating system says.
        error: std::io::Error,
    },
}

/// Makes a folder if need be and takes it for this process: two that wrote into one would undo each other's work. It is
/// free again when the file is dropped, or when the process ends, however that is.
pub fn take(folder: &Path) -> Result<File, FolderError> {
    let failed = |error| FolderError::Failed { folder: folder.to_owned(), error };
    fs::create_dir_all(folder).and_then(|()| private(folder)).map_err(failed)?;
    let lock = File::options().create(true).append(true).open(folder.join("lock")).map_err(failed)?;
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) => Err(FolderError::InUse(folder.to_owned())),
        // Some file systems have no locks, and are no reason not to start.
        Err(TryLockError::Error(error)) if error.kind() != std::io::ErrorKind::Unsupported => Err(failed(error)),
        _ => Ok(lock),
    }
}

/// Lets only its owner look into a folder: there are keys in it.
pub(crate) fn private(folder: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_one_runs_at_a_time_by_whatever_path() {
        let here = tempfile::tempdir().unwrap();
        let folder = here.path().join("data");
        let taken = take(&folder).unwrap();
        let error = take(&folder.join("..").join("data")).unwrap_err();
        assert!(matches!(&error, FolderError::InUse(_)), "{error}");
        assert!(error.to_string().contains("--data"), "{error}");
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(&folder, here.path().join("link")).unwrap();
            assert!(matches!(take(&here.path().join("link")), Err(FolderError::InUse(_))));
        }
        drop(taken);
        // What was left of a run that died keeps nobody out.
        assert!(folder.join("lock").exists() && take(&folder).is_ok());
        std::fs::write(here.path().join("file"), "").unwrap();
        assert!(matches!(take(&here.path().join("file")), Err(FolderError::Failed { .. })));
    }
}
