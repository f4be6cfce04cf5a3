//! The tags of HTML: which there are, which may stay in instructions, and how one is read and written again.

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

/// All other names of HTML elements, those of old pages too, and the one that Word makes. A name that is none of these
/// makes no tag: `<A1234>` is text.
const OTHERS: [&str; 115] = [
    "abbr",
    "acronym",
    "address",
    "applet",
    "area",
    "article",
    "aside",
    "audio",
    "base",
    "basefont",
    "bdi",
    "bdo",
    "bgsound",
    "big",
    "blink",
    "body",
    "button",
    "canvas",
    "caption",
    "center",
    "cite",
    "code",
    "col",
    "colgroup",
    "data",
    "datalist",
    "dd",
    "del",
    "details",
    "dfn",
    "dialog",
    "dir",
    "div",
    "dl",
    "dt",
    "embed",
    "fieldset",
    "figcaption",
    "figure",
    "font",
    "footer",
    "form",
    "frame",
    "frameset",
    "head",
    "header",
    "hgroup",
    "html",
    "iframe",
    "img",
    "input",
    "ins",
    "kbd",
    "label",
    "legend",
    "link",
    "main",
    "map",
    "mark",
    "marquee",
    "menu",
    "meta",
    "meter",
    "nav",
    "nobr",
    "noembed",
    "noframes",
    "noscript",
    "o:p",
    "object",
    "optgroup",
    "option",
    "output",
    "param",
    "picture",
    "plaintext",
    "pre",
    "progress",
    "q",
    "rb",
    "rp",
    "rt",
    "rtc",
    "ruby",
    "samp",
    "script",
    "search",
    "section",
    "select",
    "slot",
    "source",
    "spacer",
    "span",
    "strike",
    "style",
    "summary",
    "svg",
    "table",
    "tbody",
    "td",
    "template",
    "textarea",
    "tfoot",
    "th",
    "thead",
    "time",
    "title",
    "tr",
    "track",
    "tt",
    "var",
    "video",
    "wbr",
    "xml",
    "xmp",
];

/// They go, and leave a new line: what stood apart stays apart.
pub(super) const BLOCKS: [&str; 21] = [
    "address", "article", "aside", "center", "dd", "div", "dl", "dt", "fieldset", "footer", "form", "header", "main",
    "nav", "option", "pre", "section", "table", "tbody", "thead", "tr",
];

/// They go, and leave a space.
const CELLS: [&str; 2] = ["td", "th"];

/// Attributes that have no value.
const FLAGS: [&str; 14] = [
    "async", "checked", "compact", "controls", "defer", "disabled", "hidden", "multiple", "nohref", "noshade",
    "nowrap", "open", "readonly", "selected",
];

/// What is longer is no tag.
const LONGEST_TAG: usize = 4096;

/// Where links may lead.
const SCHEMES: [&str; 4] = ["http://", "https://", "tel:", "mailto:"];

/// The length of the tag that begins here. A `>` in quotes ends none; where another begins outside of quotes, this was
/// none, so that no text is gone over again for each of its `<`.
pub(super) fn end_of_tag(text: &str) -> Option<usize> {
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
pub(super) struct Tag {
    /// The name of the element, in lower case however it was written.
    pub name: String,
    pub closes: bool,
    href: Option<String>,
    /// It had other attributes.
    more: bool,
}

impl Tag {
    /// Reads what stands between `<` and `>`; `None` if it is no tag of HTML: another name, or words where attributes
    /// stand.
    pub fn read(text: &str) -> Option<Tag> {
        let (closes, text) = text.strip_prefix('/').map_or((false, text), |rest| (true, rest));
        let end = text.find(|c: char| c.is_ascii_whitespace() || c == '/').unwrap_or(text.len());
        let name = text[..end].to_ascii_lowercase();
        if !TAGS.contains(&name.as_str()) && !OTHERS.contains(&name.as_str()) {
            return None;
        }
        let (mut href, mut more) = (None, false);
        let mut rest = text[end..].trim_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        while !rest.is_empty() {
            let end = rest.find(|c: char| c.is_ascii_whitespace() || c == '=').unwrap_or(rest.len());
            let attribute = rest[..end].to_ascii_lowercase();
            rest = rest[end..].trim_ascii_start();
            let mut value = "";
            if !rest.starts_with('=') && !FLAGS.contains(&attribute.as_str()) {
                return None;
            }
            if let Some(after) = rest.strip_prefix('=') {
                let after = after.trim_ascii_start();
                (value, rest) = match after.chars().next() {
                    Some(quote @ ('"' | '\'')) => after[1..].split_once(quote).unwrap_or((&after[1..], "")),
                    _ => after.split_at(after.find(|c: char| c.is_ascii_whitespace()).unwrap_or(after.len())),
                };
            }
            rest = rest.trim_ascii_start();
            match attribute.as_str() {
                // Line ends and tabs are no part of a link.
                "href" if href.is_none() => href = Some(value.trim_ascii().replace(['\n', '\r', '\t'], "")),
                _ => more = true,
            }
        }
        Some(Tag { name, closes, href, more })
    }

    /// What may stay of it after what has been written, and whether that is all of it.
    pub fn written(&self, before: &str) -> (String, bool) {
        let name = self.name.as_str();
        if !TAGS.contains(&name) || (self.closes && VOID.contains(&name)) {
            let left = if BLOCKS.contains(&name) && !before.is_empty() && !before.trim_end().ends_with("<br>") {
                "<br>"
            } else if CELLS.contains(&name) && self.closes {
                " "
            } else {
                ""
            };
            return (left.to_owned(), false);
        }
        if self.closes {
            return (format!("</{name}>"), !self.more && self.href.is_none());
        }
        let href = self.href.as_ref().filter(|_| name == "a");
        let leads_on = |href: &&String| {
            let start = href.to_ascii_lowercase();
            SCHEMES.iter().any(|scheme| start.starts_with(scheme)) && !href.contains(['<', '>'])
        };
        let kept = href.filter(leads_on);
        let written = match kept {
            Some(href) => format!("<a href=\"{}\">", href.replace('"', "%22")),
            None => format!("<{name}>"),
        };
        (written, !self.more && (kept.is_some() || self.href.is_none()))
    }
}
