//! Instructions are shown as web views, and may hold light HTML: *headers, text styling, line breaks, href links*
//! (*Available workOrder Object Fields*).
//!
//! A filter of tags and no parser of documents: every tag in the result was written here, and no other `<` is left.
//! (`ammonia`, with the parser that it stands on, makes the zip of a function 0.3 MB larger.)

use std::borrow::Cow;

/// What may stand in instructions, without attributes but for the `href` of a link.
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

/// They have no end.
const VOID: [&str; 2] = ["br", "hr"];

/// They go with what is in them.
const WITH_CONTENT: [&str; 4] = ["script", "style", "title", "textarea"];

/// They go, and leave a new line: what stood apart stays apart.
const BLOCKS: [&str; 21] = [
    "address", "article", "aside", "center", "dd", "div", "dl", "dt", "fieldset", "footer", "form", "header", "main",
    "nav", "option", "pre", "section", "table", "tbody", "thead", "tr",
];

/// They go, and leave a space.
const CELLS: [&str; 2] = ["td", "th"];

/// What is longer is no tag.
const LONGEST_TAG: usize = 4096;

/// Where links may lead.
const SCHEMES: [&str; 4] = ["http://", "https://", "tel:", "mailto:"];

/// An ASCII text with nothing but the [`TAGS`] in it; true if something was taken out. A text without a tag stays as it
/// is, whatever signs are in it: a web view shows them.
pub fn light(text: &str) -> (Cow<'_, str>, bool) {
    if !text.as_bytes().windows(2).any(opens) {
        return (Cow::Borrowed(text), false);
    }
    let (mut clean, mut lost, mut rest) = (String::with_capacity(text.len()), false, text);
    let mut comments_end = true;
    while let Some(at) = rest.find('<') {
        clean.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = match opens(rest.as_bytes()) {
            // Where one comment has no end, no later one has.
            true if rest.starts_with("<!--") => {
                let end = if comments_end { rest.find("-->").map(|at| at + 3) } else { None };
                comments_end = end.is_some();
                end
            }
            true => end_of_tag(rest),
            false => None,
        };
        let Some(end) = end else {
            // No tag: written so that nothing that is taken out can make one of it.
            clean.push_str("&lt;");
            rest = &rest[1..];
            continue;
        };
        let tag = Tag::read(&rest[1..end - 1]);
        rest = &rest[end..];
        lost |= tag.write(&mut clean);
        if !tag.closes && WITH_CONTENT.contains(&tag.name.as_str()) {
            rest = &rest[end_of_content(rest, &tag.name)..];
        }
    }
    clean.push_str(rest);
    (Cow::Owned(clean), lost)
}

/// Whether a tag, a comment or the like begins here: what follows another sign is text.
fn opens(bytes: &[u8]) -> bool {
    matches!(bytes, [b'<', next, ..] if next.is_ascii_alphabetic() || matches!(next, b'/' | b'!' | b'?'))
}

/// Where the end tag of this name begins, or the text ends.
fn end_of_content(text: &str, name: &str) -> usize {
    let closes = |at: usize| {
        let after = text.as_bytes().get(at + 2..at + 2 + name.len());
        after.is_some_and(|after| after.eq_ignore_ascii_case(name.as_bytes()))
    };
    text.match_indices("</").map(|(at, _)| at).find(|at| closes(*at)).unwrap_or(text.len())
}

/// The length of the tag that begins here. A `>` in quotes ends none; where another begins outside of quotes, this was
/// none, so that no text is gone over again for each of its `<`.
fn end_of_tag(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in text.bytes().enumerate().take(LONGEST_TAG) {
        match (quote, byte) {
            (None, b'>') => return Some(at + 1),
            (None, b'<') if at > 0 => return None,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    None
}

/// A tag as it was written.
struct Tag {
    /// In lower case; empty for a comment and the like.
    name: String,
    closes: bool,
    href: Option<String>,
    /// It had other attributes.
    more: bool,
}

impl Tag {
    /// Reads what stands between `<` and `>`.
    fn read(text: &str) -> Tag {
        let (closes, text) = text.strip_prefix('/').map_or((false, text), |rest| (true, rest));
        let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
        let name = text[..end].to_ascii_lowercase();
        let (mut href, mut more) = (None, false);
        let mut rest = text[end..].trim_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        while !rest.is_empty() {
            let end = rest.find(|c: char| c.is_ascii_whitespace() || c == '=').unwrap_or(rest.len());
            let attribute = rest[..end].to_ascii_lowercase();
            rest = rest[end..].trim_ascii_start();
            let mut value = "";
            if let Some(after) = rest.strip_prefix('=') {
                let after = after.trim_ascii_start();
                (value, rest) = match after.chars().next() {
                    Some(quote @ ('"' | '\'')) => after[1..].split_once(quote).unwrap_or((&after[1..], "")),
                    _ => after.split_at(after.find(|c: char| c.is_ascii_whitespace()).unwrap_or(after.len())),
                };
            }
            rest = rest.trim_ascii_start();
            match attribute.as_str() {
                "href" if href.is_none() => href = Some(value.trim_ascii().to_owned()),
                _ => more = true,
            }
        }
        Tag { name, closes, href, more }
    }

    /// Writes what may stay of it; true if something may not.
    fn write(&self, clean: &mut String) -> bool {
        let name = self.name.as_str();
        if !TAGS.contains(&name) || (self.closes && VOID.contains(&name)) {
            if BLOCKS.contains(&name) && !clean.is_empty() && !clean.ends_with("<br>") {
                clean.push_str("<br>");
            } else if CELLS.contains(&name) && self.closes {
                clean.push(' ');
            }
            return true;
        }
        if self.closes {
            clean.push_str(&format!("</{name}>"));
            return self.more || self.href.is_some();
        }
        let href = self.href.as_ref().filter(|_| name == "a");
        let leads_on = |href: &&String| {
            let start = href.to_ascii_lowercase();
            SCHEMES.iter().any(|scheme| start.starts_with(scheme)) && !href.contains(['<', '>'])
        };
        match href.filter(leads_on) {
            Some(href) => clean.push_str(&format!("<a href=\"{}\">", href.replace('"', "%22"))),
            None => clean.push_str(&format!("<{name}>")),
        }
        self.more || href.filter(leads_on).is_none() && self.href.is_some()
    }
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
                "<h1>Gate</h1>Code <b>12</b><br/>Call <A HREF='tel:+1555'>us</A>",
                "<h1>Gate</h1>Code <b>12</b><br>Call <a href=\"tel:+1555\">us</a>",
                false,
            ),
            ("<ul><li>one<li>two</ul>", "<ul><li>one<li>two</ul>", false),
            ("<p>bid < $500 & caf&eacute;</p>", "<p>bid &lt; $500 & caf&eacute;</p>", false),
            ("a<script>alert('<b>')</SCRIPT>b", "ab", true),
            ("a<style>b{}", "a", true),
            ("<b onclick=\"x('>')\">now</b>", "<b>now</b>", true),
            (
                "<a target=_blank href=https://x.example/?a=\"1\">here</a>",
                "<a href=\"https://x.example/?a=%221%22\">here</a>",
                true,
            ),
            ("<a href=\"javascript:x()\">here</a>", "<a>here</a>", true),
            ("<a href=\"java&#115;cript:x()\">here</a>", "<a>here</a>", true),
            ("<a href=\" HTTPS://x.example \">here</a>", "<a href=\"HTTPS://x.example\">here</a>", false),
            ("<b href=\"https://x.example\">here</b>", "<b>here</b>", true),
            ("<iframe src=\"https://v.example\"></iframe>see", "see", true),
            (
                "Lock box<table><tr><td>1</td><td>2</td></tr></table><div>34 Main</div><div>Back</div>",
                "Lock box<br>1 2 <br>34 Main<br>Back<br>",
                true,
            ),
            ("<!-- <b>note</b> -->done", "done", true),
            ("<!doctype html><?php x ?>done</br>", "done", true),
            ("<<font>script>x", "&lt;script>x", true),
            ("<scr<font>ipt>x</b>", "&lt;script>x</b>", true),
            ("<b title='<i>'>x", "<b>x", true),
            ("<STYLE></sty</Style>x", "x", true),
            ("<b", "&lt;b", false),
            ("<b title='", "&lt;b title='", false),
            ("<!-- <b>note</b>", "&lt;!-- <b>note</b>", false),
        ] {
            assert_eq!(light(given), (Cow::from(sent), lost), "{given}");
        }
    }

    proptest! {
        /// Whatever comes: no tag is left but those that are allowed, in the form in which they are written here.
        #[test]
        fn no_other_tag_is_left_and_once_is_enough(
            text in "([ -~\\n]|<[/!]?[a-zA-Z1-6]{1,6}( href=[\"']?(https://|javascript:)[a-z<>\"' ]{0,9}[\"']?)?/?>|<|>|</|<!--|-->|&[a-z]{2,6};|script|[\"']){0,24}",
        ) {
            let once = light(&text).0.into_owned();
            let (twice, lost) = light(&once);
            prop_assert_eq!(&*twice, once.as_str());
            prop_assert!(!lost);
            if once == text && !text.as_bytes().windows(2).any(opens) {
                return Ok(());
            }
            for after in once.split('<').skip(1) {
                let (tag, _) = after.split_once('>').unwrap_or_else(|| panic!("an open tag in {once}"));
                let plain = TAGS.contains(&tag.trim_start_matches('/'));
                let link = tag.strip_prefix("a href=\"").and_then(|rest| rest.strip_suffix('"'));
                prop_assert!(plain || link.is_some_and(|href| href.starts_with("https://") && !href.contains('"')), "{}", once);
            }
        }
    }
}
