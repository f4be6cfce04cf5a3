//! Servers on this machine: where they listen, and whether it is this machine that calls.

use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, header};
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
/// leads here, not by another page, be it on another port, and not through a proxy or a tunnel. Another page may link
/// here: what is opened by a link is read only by who opened it.
pub fn is_from_here(method: &Method, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let forwarded = ["forwarded", "x-forwarded-for", "x-forwarded-host"].iter().any(|name| headers.contains_key(*name));
    let host = text("host").unwrap_or_default();
    let own = |origin: &str| origin.strip_prefix("http://").is_some_and(|origin| origin.eq_ignore_ascii_case(host));
    // What browsers say of who asks; programs say nothing of it.
    let elsewhere = text("sec-fetch-site").is_some_and(|from| !matches!(from, "same-origin" | "none"));
    let link = method == Method::GET && text("sec-fetch-mode").is_none_or(|mode| mode == "navigate");
    matches!(host_of(headers).as_deref(), Some("127.0.0.1" | "localhost"))
        && !forwarded
        && text("origin").is_none_or(own)
        && (!elsewhere || link)
}

/// The host that a request names, in lower case, without its port and without a dot at its end.
pub fn host_of(headers: &HeaderMap) -> Option<String> {
    let authority: Authority = headers.get(header::HOST)?.to_str().ok()?.parse().ok()?;
    let host = authority.host();
    (!authority.as_str().contains('@')).then(|| host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_this_machine_is_here() {
        for host in ["127.0.0.1:9000", "127.0.0.1", "localhost", "localhost:9000", "LocalHost:9000", "localhost.:9000"]
        {
            assert!(is_from_here(&Method::POST, &headers(&[("host", host)])), "{host}");
            let own = format!("http://{host}");
            assert!(is_from_here(&Method::POST, &headers(&[("host", host), ("origin", &own)])), "{host}");
        }
        for host in [
            "",
            "127.0.0.1.example:9000",
            "rebound.example:9000",
            "localhost.example",
            "xlocalhost",
            "0.0.0.0:9000",
            "0:9000",
            "2130706433:9000",
            "127.1:9000",
            "127.0.0.2:9000",
            "[::1]:9000",
            "[::ffff:127.0.0.1]:9000",
            "rebound.example@127.0.0.1:9000",
            "127.0.0.1:9000@rebound.example",
            "localhost..",
            "127.0.0.1, rebound.example",
        ] {
            assert!(!is_from_here(&Method::GET, &headers(&[("host", host)])), "{host}");
        }
        assert!(!is_from_here(&Method::GET, &HeaderMap::new()));
    }

    #[test]
    fn no_other_page_and_nothing_that_was_forwarded_is_here() {
        let host = ("host", "127.0.0.1:9000");
        for other in [
            ("origin", "http://other.example"),
            ("origin", "null"),
            ("origin", ""),
            ("origin", "https://127.0.0.1:9000"),
            ("origin", "https://127.0.0.1.example"),
            ("origin", "http://127.0.0.1:8000"),
            ("origin", "http://127.0.0.1"),
            ("origin", "http://localhost:9000"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "of another kind"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-host", "127.0.0.1:9000"),
            ("forwarded", "for=1.2.3.4"),
        ] {
            assert!(!is_from_here(&Method::POST, &headers(&[host, other])), "{other:?}");
        }
        for own in [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "none"), ("origin", "http://127.0.0.1:9000")]
        {
            assert!(is_from_here(&Method::POST, &headers(&[host, own])), "{own:?}");
        }
    }

    #[test]
    fn another_page_may_link_here_and_load_nothing() {
        let from = |mode: &str| {
            headers(&[("host", "127.0.0.1:9000"), ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", mode)])
        };
        assert!(is_from_here(&Method::GET, &from("navigate")) && !is_from_here(&Method::POST, &from("navigate")));
        for mode in ["no-cors", "cors", "same-origin", "websocket"] {
            assert!(!is_from_here(&Method::GET, &from(mode)), "{mode}");
        }
    }
}
