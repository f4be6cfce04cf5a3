//! Pruvan's words when it refuses an order or a whole call, as the host sees them.

use pruvan::html;
use secrecy::{ExposeSecret as _, SecretString};

/// Characters that are kept of what Pruvan says of an order.
const MOST: usize = 1000;

/// And of a page that it sends in place of a reply.
const MOST_OF_PAGE: usize = 300;

/// The shortest part of a push key that is taken for a secret.
const SECRET: usize = 16;

/// What Pruvan says of an order, in one line of at most 1,000 characters, without the push key, any part of it that is
/// a secret, or what any other link leads to, should it repeat them.
pub fn shown(words: &str, push_key: Option<&SecretString>) -> String {
    cut(words, push_key, MOST)
}

/// The same of a body that is no reply of the Push API: what a browser would show, at most 300 characters.
pub fn of_page(body: &[u8], push_key: Option<&SecretString>) -> String {
    cut(&html::text(&String::from_utf8_lossy(body)), push_key, MOST_OF_PAGE)
}

fn cut(words: &str, push_key: Option<&SecretString>, most: usize) -> String {
    // What parts words becomes a space, and what nobody sees goes: it must not hide a secret from the search.
    let words: String =
        words.chars().map(|c| if c.is_control() { ' ' } else { c }).filter(|c| !is_unseen(*c)).collect();
    // PHP writes `\/` for a slash in JSON.
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ").replace("\\/", "/");
    let key = push_key.map(|key| key.expose_secret().trim()).unwrap_or_default();
    let secrets = [key].into_iter().chain(key.split(['?', '&', '=', '/'])).filter(|secret| secret.len() >= SECRET);
    let words = secrets.fold(words, |words, secret| words.replace(secret, "***"));
    without_keys(&without_paths(&words)).chars().take(most).collect()
}

/// Of each link only the host: what follows may be a secret of others.
fn without_paths(words: &str) -> String {
    let (mut shown, mut rest) = (String::with_capacity(words.len()), words);
    while let Some(at) = rest.find("://") {
        let (before, link) = rest.split_at(at + 3);
        let (link, after) = link.split_at(link.find([' ', '"', '\'', '<', '>']).unwrap_or(link.len()));
        let host = link.split(['/', '?', '#']).next().unwrap_or_default();
        shown.push_str(before);
        shown.push_str(host.rsplit('@').next().unwrap_or_default());
        if host.len() < link.len() {
            shown.push_str("/***");
        }
        rest = after;
    }
    shown + rest
}

/// Without what follows `apiKey=`, also where it stands in no link.
fn without_keys(words: &str) -> String {
    const NAME: &str = "apikey=";
    let (mut shown, mut rest) = (String::with_capacity(words.len()), words);
    while let Some(at) = rest.to_ascii_lowercase().find(NAME) {
        let (before, key) = rest.split_at(at + NAME.len());
        shown.push_str(before);
        shown.push_str("***");
        rest = key.split_at(key.find([' ', '"', '\'', '<', '>', '&']).unwrap_or(key.len())).1;
    }
    shown + rest
}

/// Whether it is no sign that a reader sees, or turns what he sees around.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
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
        assert_eq!(
            of(r"POST https:\/\/direct.pruvan.com\/api\/?apiKey=0123456789abcdef0123 failed"),
            "POST *** failed"
        );
        assert_eq!(of("invalid zip"), "invalid zip");
        assert_eq!(shown("no key", None), "no key");
        let page = format!("<p>{}apiKey=0123456789abcdef0123", "x".repeat(MOST_OF_PAGE - 10));
        assert!(!of_page(page.as_bytes(), Some(&key)).contains("012"), "a secret that is cut is one, too");
    }

    #[test]
    fn of_other_links_only_the_host_is_shown() {
        let of = |words: &str| shown(words, None);
        assert_eq!(of("see https://u:p@x.example/a?b=c, \"http://y/z\""), "see https://x.example/*** \"http://y/***\"");
        assert_eq!(of("direct.pruvan.com/api/?apiKey=fedcba98 is bad"), "direct.pruvan.com/api/?apiKey=*** is bad");
        assert_eq!(of("https://pruvan.com is down"), "https://pruvan.com is down");
    }

    #[test]
    fn a_page_is_told_as_it_reads() {
        let of = |body: &str| of_page(body.as_bytes(), None);
        let page = "<html><head><title>Oops</title><style>p{}</style></head>\n<p>Down for<br>maintenance";
        assert_eq!(of(page), "Oops Down for maintenance");
        assert_eq!(
            of("<br />\n<b>Notice</b>:  Undefined index<br />\n{\"response\":1}"),
            "Notice : Undefined index {\"response\":1}"
        );
        assert_eq!(of("a\u{0}b\u{202e}c\r\nd"), "a bc d");
        assert_eq!((of(" <p> "), of("if a < b > c")), (String::new(), "if a < b > c".to_owned()));
    }

    #[test]
    fn long_words_are_cut() {
        assert_eq!(shown(&"\u{e9}".repeat(3000), None).chars().count(), 1000);
        assert_eq!(of_page("\u{e9}".repeat(3000).as_bytes(), None).chars().count(), 300);
    }
}
