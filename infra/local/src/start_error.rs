//! Why the system on this machine doesn't start.

use host_client::SetupError;
use simulator::desk::DeskError;
use simulator::folder::FolderError;
use simulator::listen::ListenError;

/// One line for a person, with the next step.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(pub String);

impl From<ListenError> for StartError {
    fn from(error: ListenError) -> StartError {
        StartError(error.to_string())
    }
}

impl From<FolderError> for StartError {
    fn from(error: FolderError) -> StartError {
        StartError(error.to_string())
    }
}

impl From<DeskError> for StartError {
    fn from(error: DeskError) -> StartError {
        StartError(error.to_string())
    }
}

impl From<SetupError> for StartError {
    fn from(error: SetupError) -> StartError {
        StartError(error.to_string())
    }
}
