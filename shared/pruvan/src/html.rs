//! Instructions are shown as web views, and may hold light HTML: *headers, text styling, line breaks, href links*
//! (*Available workOrder Object Fields*).
//!
//! A filter of tags and no parser of documents: every tag in the result was written here, and no other `<` is left.
//! What is no tag is shown as it was given.
//! (`ammonia`, with the parser that it stands on, makes the zip of a function 0.3 MB larger.)

mod tag;

use std::borrow::Cow;

use crate::rewrite::{Alteration, Rewrite};
pub use tag::TAGS;
use tag::{BLOCKS, Tag, end_of_tag};

/// They go with what is in them.
const WITH_CONTENT: [&str; 4] = ["script", "style", "title", "textarea"];

/// Allowed tags that begin a line or end one. Where one of them is in a text, its own line ends are blanks, as in HTML.
const LINES: [&str; 13] = ["blockquote", "br", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "ul"];

/// An ASCII text as it is sent to be shown in a web view, and each place where something was left out.
///
/// Of tags only the [`TAGS`] stay. Only the name of an HTML element makes a tag; all other angle brackets are text and
/// are escaped, and so is each `&` that begins no character reference. Where no tag makes lines, line ends become
/// `<br>`. What is sent comes out the same again.
pub fn light(text: &str) -> (Cow<'_, str>, Vec<Alteration>) {
    let makes_lines = tags(text).any(|(_, _, part)| {
        matches!(part, Part::Tag(tag) if LINES.contains(&tag.name.as_str()) || BLOCKS.contains(&tag.name.as_str()))
    });
    let mut rewrite = Rewrite::of(text);
    let mut read = 0;
    for (start, end, part) in tags(text) {
        if start < read {
            continue; // within a script or the like
        }
        plain(&mut rewrite, text, start, makes_lines);
        read = end;
        match part {
            Part::Comment => rewrite.put(end, "", true),
            Part::Tag(tag) => {
                if !tag.closes && WITH_CONTENT.contains(&tag.name.as_str()) {
                    read += end_of_content(&text[end..], &tag.name);
                }
                let (written, whole) = tag.written(rewrite.written());
                rewrite.put(read, &written, !whole);
            }
        }
    }
    plain(&mut rewrite, text, text.len(), makes_lines);
    let (sent, places) = rewrite.done();
    match makes_lines && sent.contains(['\n', '\r']) && !is_in_lines(&sent) {
        // What made the lines was left out.
        true => (Cow::Owned(light(&sent).0.into_owned()), places),
        false => (sent, places),
    }
}

/// What a browser shows of a page as text in one line: without tags, scripts and styles; character references stay.
pub fn text(page: &str) -> String {
    let (mut text, mut read) = (String::new(), 0);
    for (start, end, part) in tags(page) {
        if start < read {
            continue; // within a script or the like
        }
        text.push_str(&page[read..start]);
        text.push(' ');
        read = end;
        if let Part::Tag(tag) = part
            && !tag.closes
            && ["script", "style"].contains(&tag.name.as_str())
        {
            read += end_of_content(&page[end..], &tag.name);
        }
    }
    text.push_str(page.get(read..).unwrap_or_default());
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether one of the [`LINES`] is in a text.
fn is_in_lines(text: &str) -> bool {
    tags(text).any(|(_, _, part)| matches!(part, Part::Tag(tag) if LINES.contains(&tag.name.as_str())))
}

/// Writes what stands between tags, up to the byte `end`. A web view shows it as it was given, so that nothing is told.
fn plain(rewrite: &mut Rewrite<'_>, text: &str, end: usize, makes_lines: bool) {
    let begin = rewrite.read();
    for (at, byte) in (begin..end).zip(&text.as_bytes()[begin..end]) {
        let escaped = match *byte {
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'&' if !is_reference(&text[at..]) => "&amp;",
            b'\r' if !makes_lines && text[at..].starts_with("\r\n") => "",
            b'\r' | b'\n' if !makes_lines => "<br>",
            _ => continue,
        };
        rewrite.keep(at);
        rewrite.put(at + 1, escaped, false);
    }
    rewrite.keep(end);
}

/// Whether a character reference begins here: `&lt;`, `&#189;`, `&#xBD;`. Names are believed as they come: what a web
/// view doesn't know it shows as it stands there.
fn is_reference(text: &str) -> bool {
    let Some((name, _)) = text[1..].get(..text.len().min(33) - 1).and_then(|start| start.split_once(';')) else {
        return false;
    };
    match name.strip_prefix('#') {
        Some(number) => match number.strip_prefix(['x', 'X']) {
            Some(hex) => !hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit()),
            None => !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()),
        },
        None => {
            name.len() > 1
                && name.starts_with(|c: char| c.is_ascii_alphabetic())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
        }
    }
}

/// A part of a text that is no text.
enum Part {
    Tag(Tag),
    /// A comment, a doctype, a processing instruction.
    Comment,
}

/// The tags and comments of a text, each with where it begins and ends.
fn tags(text: &str) -> impl Iterator<Item = (usize, usize, Part)> + '_ {
    let (mut at, mut comments_end) = (0, true);
    std::iter::from_fn(move || {
        loop {
            let start = at + text.get(at..)?.find('<')?;
            let rest = &text[start..];
            at = start + 1;
            let length = match rest.as_bytes().get(1) {
                // Where one comment has no end, no later one has.
                Some(b'!') if rest.starts_with("<!--") && comments_end => {
                    let end = rest.find("-->").map(|at| at + 3);
                    comments_end = end.is_some();
                    end
                }
                Some(b'!' | b'?') if is_declaration(rest) => end_of_tag(rest),
                Some(b'/' | b'a'..=b'z' | b'A'..=b'Z') => end_of_tag(rest),
                _ => None,
            };
            let Some(length) = length else { continue };
            let part = match rest.as_bytes()[1] {
                b'!' | b'?' => Some(Part::Comment),
                _ => Tag::read(&rest[1..length - 1]).map(Part::Tag),
            };
            if let Some(part) = part {
                at = start + length;
                return Some((start, at, part));
            }
        }
    })
}

/// `<!doctype ...>`, `<?xml ...?>` and `<?php ...?>`, and the ends of what only Word reads.
fn is_declaration(text: &str) -> bool {
    let begins = |with: &str| text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    ["<!doctype", "<![if", "<![endif", "<?xml", "<?php"].into_iter().any(begins)
}

/// Where the end tag of this name begins, or the text ends.
fn end_of_content(text: &str, name: &str) -> usize {
    let closes = |at: usize| {
        let after = text.as_bytes().get(at + 2..at + 2 + name.len());
        after.is_some_and(|after| after.eq_ignore_ascii_case(name.as_bytes()))
    };
    text.match_indices("</").map(|(at, _)| at).find(|at| closes(*at)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_page_is_read_as_a_browser_shows_it_in_one_line() {
        for (page, shown) in [
            (
                "<!doctype html><title>Oops</title><script>a<b</script>\n<p>Down  for<br>maintenance",
                "Oops Down for maintenance",
            ),
            ("no tag, a < b", "no tag, a < b"),
            ("<style>p {", ""),
            ("", ""),
        ] {
            assert_eq!(text(page), shown);
        }
    }

    #[test]
    fn light_html_stays_and_the_rest_goes() {
        for (given, sent, lost) in [
            ("Mow & edge; bid < $500, not > 3\"", "Mow &amp; edge; bid &lt; $500, not &gt; 3\"", false),
            ("Lockbox <A1234> at <rear door>", "Lockbox &lt;A1234&gt; at &lt;rear door&gt;", false),
            (
                "<i am home> <b@x.example> <p.o. box 5> <1> <>",
                "&lt;i am home&gt; &lt;b@x.example&gt; &lt;p.o. box 5&gt; &lt;1&gt; &lt;&gt;",
                false,
            ),
            ("Gate 12\r\nDog\n\nKey", "Gate 12<br>Dog<br><br>Key", false),
            ("Gate <b>12</b>\nDog", "Gate <b>12</b><br>Dog", false),
            ("<p>Gate 12</p>\n<p>Dog</p>", "<p>Gate 12</p>\n<p>Dog</p>", false),
            ("<div>Gate 12\nDog", "Gate 12<br>Dog", true),
            ("<a href=\"https://x.example/\na\">here</a>", "<a href=\"https://x.example/a\">here</a>", false),
            (
                "AT&T, R&D; Tom &amp; Jerry &#189; &lt;x&gt;",
                "AT&amp;T, R&amp;D; Tom &amp; Jerry &#189; &lt;x&gt;",
                false,
            ),
            ("Lockbox <?> or <!> or <-- here", "Lockbox &lt;?&gt; or &lt;!&gt; or &lt;-- here", false),
            ("<o:p></o:p>Key<![endif]-->", "Key", true),
            (
                "<h1>Gate</h1>Code <b>12</b><br/>Call <A HREF='tel:+1555'>us</A>",
                "<h1>Gate</h1>Code <b>12</b><br>Call <a href=\"tel:+1555\">us</a>",
                false,
            ),
            ("<ul><li>one<li>two</ul>", "<ul><li>one<li>two</ul>", false),
            ("<p>bid < $500 & caf&eacute;</p>", "<p>bid &lt; $500 &amp; caf&eacute;</p>", false),
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
            ("<<font>script>x", "&lt;script&gt;x", true),
            ("<scr<font>ipt>x</b>", "&lt;script&gt;x</b>", true),
            ("<b title='<i>'>x", "<b>x", true),
            ("<STYLE></sty</Style>x", "x", true),
            ("<b", "&lt;b", false),
            ("<b title='", "&lt;b title='", false),
            ("<!-- <b>note</b>", "&lt;!-- <b>note</b>", false),
        ] {
            let (light, places) = light(given);
            assert_eq!((light, !places.is_empty()), (Cow::from(sent), lost), "{given}");
        }
    }

    proptest! {
        /// Whatever comes: no tag is left but those that are allowed, in the form in which they are written here.
        #[test]
        fn no_other_tag_is_left_and_once_is_enough(
            text in "([ -~\\n]|<[/!]?[a-zA-Z1-6]{1,6}( href=[\"']?(https://|javascript:)[a-z<>\"' ]{0,9}[\"']?)?/?>|<|>|</|<!--|-->|&[a-z]{2,6};|script|[\"']){0,24}",
        ) {
            let once = light(&text).0.into_owned();
            let (twice, places) = light(&once);
            prop_assert_eq!(&*twice, once.as_str());
            prop_assert!(places.is_empty());
            for after in once.split('<').skip(1) {
                let (tag, _) = after.split_once('>').unwrap_or_else(|| panic!("an open tag in {once}"));
                let plain = TAGS.contains(&tag.trim_start_matches('/'));
                let link = tag.strip_prefix("a href=\"").and_then(|rest| rest.strip_suffix('"'));
                prop_assert!(plain || link.is_some_and(|href| href.starts_with("https://") && !href.contains('"')), "{}", once);
            }
        }
    }
}
