//! Servers on this machine: where they listen, and whether it is this machine that calls.

use axum::http::HeaderMap;
use tokio::net::TcpListener;

/// Why a port can't be listened on, with the next step.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another program has it.
    #[error("port {0} is in use: choose another with --port, or --port 0 for a free one")]
    InUse(u16),
    /// The operating system refuses the port for another reason, such as a lack of rights.
    #[error("port {port} can't be listened on: {error}; choose another with --port")]
    Failed {
        /// The port that was asked for.
        port: u16,
        /// What the operating system says.
        error: std::io::Error,
    },
}

/// A listener on 127.0.0.1 and nowhere else, and its URL. Port 0 is a free one.
pub async fn listen(port: u16) -> Result<(TcpListener, String), ListenError> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AddrInUse => ListenError::InUse(port),
        _ => ListenError::Failed { port, error },
    };
    let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, format!("http://{address}")))
}

/// Whether a request was made on this machine, by a program or by a page that is from here: not under another name that
/// leads here, not by another page, not through a proxy or a tunnel.
pub fn is_from_here(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let here = |authority: &str| {
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        matches!(host, "127.0.0.1" | "localhost")
    };
    let forwarded = ["forwarded", "x-forwarded-for", "x-forwarded-host"].iter().any(|name| headers.contains_key(*name));
    let origin = text("origin").is_none_or(|origin| origin.strip_prefix("http://").is_some_and(here));
    text("host").is_some_and(here) && origin && !forwarded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_here() {
        let headers = |pairs: &[(&'static str, &str)]| {
            let pairs = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            is_from_here(&pairs.collect::<HeaderMap>())
        };
        let host = ("host", "127.0.0.1:9000");
        assert!(
            headers(&[host]) && headers(&[("host", "localhost")]) && headers(&[host, ("origin", "http://localhost:1")])
        );
        for other in [
            ("origin", "http://other.example"),
            ("origin", "null"),
            ("origin", "https://127.0.0.1.example"),
            ("x-forwarded-for", "1.2.3.4"),
        ] {
            assert!(!headers(&[host, other]), "{other:?}");
        }
        assert!(!headers(&[]) && !headers(&[("host", "127.0.0.1.example:9000")]));
    }
}
