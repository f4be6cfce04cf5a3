//! What both commands do around their checks.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use host_client::SetupError;
use simulator::listen::ListenError;

/// Why there was nothing to check, with the next step. One line for a person.
#[derive(Debug, thiserror::Error)]
pub enum NothingToCheck {
    /// What was given doesn't do.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// Pushes can't be taken.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The run was stopped with Ctrl-C before its end; there is no report of it.
    #[error("interrupted")]
    Interrupted,
    /// The report can't be printed.
    #[error("stdout: {0}")]
    Print(std::io::Error),
}

/// Prints a report, which is made with colours or without.
pub(crate) fn print(report: impl FnOnce(bool) -> String) -> Result<(), NothingToCheck> {
    let mut stdout = std::io::stdout();
    let colour = stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    write!(stdout, "{}", report(colour)).map_err(NothingToCheck::Print)
}

/// 0 if nothing is wrong, 1 if something is, 2 if there was nothing to check, which is told.
pub fn exit(healthy: Result<bool, NothingToCheck>) -> ExitCode {
    match healthy {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}
