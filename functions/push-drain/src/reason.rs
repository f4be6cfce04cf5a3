//! Pruvan's words when it refuses an order, as the host sees them.

use secrecy::{ExposeSecret as _, SecretString};

/// Characters that are kept.
const MOST: usize = 1000;

/// The shortest part of a push key that is taken for a secret.
const SECRET: usize = 16;

/// Pruvan's words without the push key and without any part of it that is a secret, should they repeat it; at most
/// 1,000 characters.
pub fn shown(error: &str, push_key: Option<&SecretString>) -> String {
    let key = push_key.map(|key| key.expose_secret().trim()).unwrap_or_default();
    let secrets = [key].into_iter().chain(key.split(['?', '&', '=', '/'])).filter(|secret| secret.len() >= SECRET);
    let error = secrets.fold(error.to_owned(), |error, secret| error.replace(secret, "***"));
    error.chars().take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_the_push_key_nor_the_secret_in_it_is_shown() {
        let key = SecretString::from("https://direct.pruvan.com/api/?apiKey=0123456789abcdef0123");
        let of = |error: &str| shown(error, Some(&key));
        assert_eq!(of("bad key 0123456789abcdef0123"), "bad key ***");
        assert_eq!(of("POST https://direct.pruvan.com/api/?apiKey=0123456789abcdef0123 failed"), "POST *** failed");
        assert_eq!(of("invalid zip"), "invalid zip");
        assert_eq!(shown("no key", None), "no key");
    }

    #[test]
    fn long_words_are_cut() {
        assert_eq!(shown(&"\u{e9}".repeat(3000), None).chars().count(), 1000);
    }
}
