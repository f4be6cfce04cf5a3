//! Instructions are shown as web views, and may hold light HTML: *headers, text styling, line breaks, href links* (*Available workOrder
//! Object Fields*).

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::LazyLock;

use ammonia::{Builder, UrlRelative};

/// What may stand in instructions; links lead to `http`, `https`, `tel` or `mailto`.
pub const TAGS: [&str; 23] = [
    "a",
    "b",
    "blockquote",
    "br",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "li",
    "ol",
    "p",
    "small",
    "strong",
    "sub",
    "sup",
    "u",
    "ul",
    "s",
];

static ALLOWED: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut allowed = Builder::empty();
    allowed
        .tags(HashSet::from(TAGS))
        .clean_content_tags(HashSet::from(["script", "style"]))
        .tag_attributes([("a", HashSet::from(["href"]))].into())
        .url_schemes(HashSet::from(["http", "https", "tel", "mailto"]))
        .url_relative(UrlRelative::Deny)
        .link_rel(None);
    allowed
});

/// `text` with nothing but the [`TAGS`] in it, in ASCII; true if something was taken out. A text without a tag stays as it is, whatever
/// signs are in it: a web view shows them.
pub fn light(text: &str) -> (Cow<'_, str>, bool) {
    let opens =
        |pair: &[u8]| pair[0] == b'<' && (pair[1].is_ascii_alphabetic() || matches!(pair[1], b'/' | b'!' | b'?'));
    if !text.as_bytes().windows(2).any(opens) {
        return (Cow::Borrowed(text), false);
    }
    let mut clean = String::with_capacity(text.len());
    // What was written as an entity may be any character now.
    for character in ALLOWED.clean(text).to_string().chars() {
        match character {
            ' '..='~' | '\n' | '\r' | '\t' => clean.push(character),
            '\0'..='\u{9f}' => {}
            other => clean.push_str(&format!("&#{};", u32::from(other))),
        }
    }
    let lost = essence(text) != essence(&clean);
    (Cow::Owned(clean), lost)
}

/// The text without what a parser writes its own way: closing tags, quotes, spaces, and the signs that have entities.
fn essence(html: &str) -> String {
    let lower = html.to_ascii_lowercase();
    let mut essence = String::with_capacity(lower.len());
    let mut rest = lower.as_str();
    while let Some(at) = rest.find("</") {
        essence.push_str(&rest[..at]);
        rest = rest[at..].find('>').map_or("", |end| &rest[at + end + 1..]);
    }
    essence.push_str(rest);
    for (entity, sign) in [("&lt;", "<"), ("&gt;", ">"), ("&quot;", ""), ("&nbsp;", ""), ("&#160;", ""), ("&amp;", "&")]
    {
        essence = essence.replace(entity, sign);
    }
    essence.retain(|character| !matches!(character, '"' | '\'' | '/') && !character.is_whitespace());
    essence
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn light_html_stays_and_the_rest_goes() {
        for (given, sent, lost) in [
            ("Mow & edge; bid < $500, not > 3\"", "Mow & edge; bid < $500, not > 3\"", false),
            (
                "<h1>Gate</h1>Code <b>12</b><br/>Call <a href='tel:+1555'>us</a>",
                "<h1>Gate</h1>Code <b>12</b><br>Call <a href=\"tel:+1555\">us</a>",
                false,
            ),
            ("<ul><li>one<li>two</ul>", "<ul><li>one</li><li>two</li></ul>", false),
            ("a<script>alert(1)</script>b", "ab", true),
            ("<b onclick=\"x()\">now</b>", "<b>now</b>", true),
            ("<a href=\"javascript:x()\">here</a>", "<a>here</a>", true),
            ("<iframe src=\"https://v.example\"></iframe>see", "see", true),
            ("<table><tr><td>1</td></tr></table>", "1", true),
            ("<p>caf&eacute;</p>", "<p>caf&#233;</p>", true),
            ("<!-- note -->done", "done", true),
        ] {
            assert_eq!(light(given), (Cow::from(sent), lost), "{given}");
        }
    }

    proptest! {
        #[test]
        fn always_ascii_and_stable(text in "([ -~\\n]|<[/!]?[a-z1-6]{1,6}( href=\"?[a-z:/<>]{0,12}\"?)?>|&[a-z]{2,6};){0,12}") {
            let once = light(&text).0.into_owned();
            prop_assert!(once.is_ascii());
            let (twice, lost) = light(&once);
            prop_assert_eq!(&*twice, once.as_str());
            prop_assert!(!lost);
            for forbidden in ["<script", "<iframe", "<style", "javascript:", " on"] {
                prop_assert!(!once.contains(forbidden) || text.contains(forbidden));
            }
        }
    }
}
