//! The four web services from outside: the URL that is typed into Pruvan, and a body as Pruvan sends it.

use std::time::Duration;

use reqwest::Url;
use secrecy::SecretString;

use crate::signer::SetupError;

/// What Pruvan appends to the URL (*URL format*).
pub const SERVICES: [&str; 4] = ["validate", "getWorkOrders", "uploadPictures", "status"];

/// Reads the URL that is typed into Pruvan. Only on this machine may it be one without TLS: a key would go over the net
/// in the clear.
pub fn web_service_url(text: &str) -> Result<Url, SetupError> {
    let url = Url::parse(text.trim().trim_end_matches('/'));
    let url = url.ok().filter(|url| url.has_host() && matches!(url.scheme(), "http" | "https"));
    let text = shown(text);
    let url = url.ok_or_else(|| {
        SetupError(format!(
            "{text:?} is not a web service URL: give the output WebServiceUrl of the stack, https://..."
        ))
    })?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(SetupError(format!("{text:?} must have no user name or password in it: Pruvan sends neither")));
    }
    if url.scheme() != "https" && !is_local(&url) {
        return Err(SetupError(format!("{text:?} must begin with https://: Pruvan calls nothing else")));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(SetupError(format!(
            "{text:?} must have nothing after its path: Pruvan appends /validate and so on"
        )));
    }
    let last = url.path().rsplit('/').next().unwrap_or_default();
    if let Some(service) = SERVICES.iter().find(|service| last.split('.').next() == Some(service)) {
        return Err(SetupError(format!("leave out /{last} at the end of the URL: Pruvan appends /{service}")));
    }
    Ok(url)
}

/// A URL, or what was meant to be one, as it may be shown: who logs in with it and what stands behind its path may be
/// secret.
pub(crate) fn shown(text: &str) -> String {
    let (path, behind) = match text.find(['?', '#']) {
        // What comes before the last @ may hold such a sign itself.
        Some(at) if !text[at..].contains('@') => (&text[..at], "?***"),
        _ => (text, ""),
    };
    let shown = match path.rsplit_once('@') {
        Some((login, rest)) => {
            let scheme = login.find("//").map_or("", |at| &login[..at + 2]);
            format!("{scheme}***@{rest}")
        }
        None => path.to_owned(),
    };
    shown + behind
}

/// Whether it leads to this machine.
pub fn is_local(url: &Url) -> bool {
    matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"))
}

/// Calls them as Pruvan does: with TLS 1.2 or newer, and without following a redirect. A call fails after `timeout`.
pub fn client(timeout: Duration) -> Result<reqwest::Client, SetupError> {
    reqwest::Client::builder()
        .timeout(timeout)
        .tls_version_min(reqwest::tls::Version::TLS_1_2)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| SetupError(format!("no HTTP client: {error}")))
}

/// A body as Pruvan sends it: multipart, under the specification's own spelling of the header.
pub fn multipart(payload: &str, file: Option<(&str, &[u8])>) -> (String, Vec<u8>) {
    let boundary = format!("----Pruvan{}", random_hex::<12>());
    let mut body =
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"payload\"\r\n\r\n{payload}\r\n").into_bytes();
    if let Some((name, bytes)) = file {
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{}\"\r\nContent-Type: application/octet-stream\r\n\r\n",
            name.replace('"', "%22")
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    (format!("Mulipart/Form-Data; boundary={boundary}"), body)
}

/// `N` random bytes in lower-case hex: boundaries, and the secrets in push keys.
#[expect(clippy::expect_used, reason = "there is no way on without randomness")]
pub fn random_hex<const N: usize>() -> String {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    hex::encode(bytes)
}

/// The API key in the environment variable `PRUVAN_KEY`, for commands: others on the machine see command lines.
pub fn pruvan_key() -> Option<SecretString> {
    std::env::var("PRUVAN_KEY").ok().filter(|key| !key.is_empty()).map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn web_service_urls() {
        for url in [
            "https://a.execute-api.us-east-1.amazonaws.com/live",
            " https://pruvan.example.com/ ",
            "http://127.0.0.1:9000",
        ] {
            assert!(web_service_url(url).is_ok(), "{url}");
        }
        for (url, next) in [
            ("", "output WebServiceUrl"),
            ("pruvan.example.com", "output WebServiceUrl"),
            ("ftp://pruvan.example.com", "output WebServiceUrl"),
            ("http://pruvan.example.com", "must begin with https://"),
            ("http://127.0.0.1.example.com", "must begin with https://"),
            ("https://pruvan.example.com/live?x=1", "nothing after its path"),
            ("https://pruvan.example.com/live/validate.html", "leave out /validate.html"),
            ("https://pruvan.example.com/getWorkOrders/", "leave out /getWorkOrders"),
            ("https://user@pruvan.example.com/", "no user name or password"),
            ("https://@pruvan.example.com:443@/", "not a web service URL"),
        ] {
            let error = web_service_url(url).unwrap_err().to_string();
            assert!(error.contains(next), "{url}: {error}");
        }
    }

    #[test]
    fn no_error_repeats_what_is_secret_in_a_url() {
        for url in [
            "https://user:hunter2@pruvan.example.com/",
            "http://user:hunter2@pruvan.example.com/live",
            "ftp://user:hunter2@pruvan.example.com/",
            "user:hunter2@pruvan.example.com",
            "https:/user:hunter2@",
            "https://user:hunt?er2@pruvan.example.com:x/",
            "https://user:hunter2@a@pruvan.example.com:x/",
            "https://hunter2:@pruvan.example.com/validate",
            "https://pruvan.example.com/live?token=hunter2",
            "https://pruvan.example.com:x/live#hunter2",
            "https://[::1/?key=hunter2",
        ] {
            for error in [web_service_url(url).err(), crate::HostClient::new(url).err()].into_iter().flatten() {
                let error = error.to_string();
                assert!(!error.contains("hunt") && !error.contains("er2"), "{url}: {error}");
            }
            assert!(web_service_url(url).is_err(), "{url}");
        }
        assert_eq!(shown("https://a:b@c.example:1/x?y=z"), "https://***@c.example:1/x?***");
        assert_eq!(shown("https://c.example/a@b"), "https://***@b");
        assert_eq!(shown("pruvan.example.com"), "pruvan.example.com");
    }
}
