//! Who is calling: *Authentication*, in *The validate Web Service*.

use secrecy::SecretString;
use serde_json::{Map, Value};

use crate::lenient::text_field;

/// What the specification says for wrong credentials; the other services say the same.
pub const INVALID_CREDENTIALS: &str = "invalid username or password";

/// The credentials that every payload carries. Printing this shows the user name only.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// As the user typed it in Pruvan, trimmed and in lower case. Empty if it was missing.
    pub username: String,
    /// The password that the user typed, in plain text. The specification advises hosts to hand out an API key for it.
    pub token: Option<SecretString>,
    /// The SHA-1 of the same, in hex. A host that stores salted or stronger hashes can't check it.
    pub password: Option<SecretString>,
}

/// Names of the fields that hold credentials and must never be stored or logged.
pub const CREDENTIAL_FIELDS: [&str; 3] = ["username", "password", "token"];

impl Credentials {
    /// Takes the credentials out of a payload, so that what is left can be kept.
    pub fn take(payload: &mut Map<String, Value>) -> Credentials {
        let credentials = Credentials {
            username: normalize_username(&text_field(payload, "username").unwrap_or_default()),
            token: text_field(payload, "token").map(SecretString::from),
            password: text_field(payload, "password").map(SecretString::from),
        };
        for field in CREDENTIAL_FIELDS {
            payload.remove(field);
        }
        credentials
    }
}

/// A user name as accounts are keyed by it: trimmed, lower case.
pub fn normalize_username(username: &str) -> String {
    username.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;
    use serde_json::json;

    #[test]
    fn taken_out_normalised_and_never_printed() {
        let Value::Object(mut payload) = json!({
            "username": " SomeUser ", "password": "d28069c8", "token": " dda25c60 ", "timestamp": null
        }) else {
            unreachable!()
        };
        let credentials = Credentials::take(&mut payload);
        assert_eq!(credentials.username, "someuser");
        assert_eq!(credentials.token.as_ref().map(|token| token.expose_secret()), Some("dda25c60"));
        assert_eq!(Value::Object(payload), json!({"timestamp": null}));
        let printed = format!("{credentials:?}");
        assert!(!printed.contains("dda25c60") && !printed.contains("d28069c8"), "{printed}");
    }
}
