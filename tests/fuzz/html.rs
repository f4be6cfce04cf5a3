//! Light HTML in instructions: `shared/pruvan/src/html.rs`. An input is a text, brought into ASCII first, as the caller
//! does.

use pruvan::ascii::ascii;
use pruvan::html::{TAGS, light};

use crate::choices::Choices;
use crate::{Target, Whole};

pub const HTML: Target = Target {
    name: "html",
    about: "the filter of instructions",
    make,
    any,
    floods: &[
        ("", "<script></script>", ""),
        ("", "<script>", ""),
        ("<script>", "</", ""),
        ("<script>", "</scrip", ""),
        ("", "<a ", ""),
        ("", "<a '", ""),
        ("", "<!--", ""),
        ("", "<", ""),
        ("<a ", "a=b ", ">"),
        ("<b", "\"'", ">"),
        ("<a href=https://", "<", ">"),
    ],
    // No field is longer.
    most: 50_000,
};

/// HTML as it may be, and as the filter writes it.
fn piece(choices: &mut Choices) -> String {
    let text = |choices: &mut Choices| choices.plain(20).replace(['<', '>', '&'], "(");
    let tag = *choices.one(&TAGS);
    match choices.below(6) {
        0 => text(choices),
        1 => format!("<a href=\"{}{}\">", choices.one(&["http://", "https://", "tel:", "mailto:"]), choices.word()),
        2 if tag != "br" && tag != "hr" => format!("</{tag}>"),
        _ => format!("<{tag}>{}", text(choices)),
    }
}

/// And as it should not.
fn odd(choices: &mut Choices) -> String {
    const ODD: [&str; 24] = [
        "<script>x()</script>",
        "<SCRIPT SRC=//x.example>",
        "<b onclick=\"x()\">",
        "<a href='javascript:x()'>",
        "<a href=\"https://x.example\" onmouseover=x>",
        "<a href=https://x.example/?a='b'>",
        "<a/href=\"JaVaScRiPt:x\">",
        "<img src=x onerror=x()>",
        "<!--",
        "-->",
        "<!-- <b> -->",
        "<",
        ">",
        "<<b>",
        "<scr<b>ipt>",
        "</script",
        "<style>b{}",
        "<div style=\"x\">",
        "<td>1</td>",
        "<b title='",
        "\"",
        "'",
        "&lt;script&gt;",
        "<svg/onload=x>",
    ];
    (*choices.one(&ODD)).to_owned()
}

fn make(choices: &mut Choices) -> (Vec<u8>, Whole) {
    let clean = choices.once_in(2);
    let pieces = 1 + choices.below(8);
    let text: String =
        (0..pieces).map(|_| if clean || choices.once_in(2) { piece(choices) } else { odd(choices) }).collect();
    let input = text.clone().into_bytes();
    let check = move || {
        if clean {
            assert_eq!(light(&text), (text.as_str().into(), Vec::new()), "what is light stays as it is");
        }
    };
    (input, Box::new(check))
}

/// Whether a tag, comment or the like begins with these bytes, by the rules of HTML.
fn begins_markup(text: &str) -> bool {
    let mut after = text.bytes().skip(1);
    after.next().is_some_and(|next| next.is_ascii_alphabetic() || matches!(next, b'/' | b'!' | b'?'))
}

fn any(input: &[u8]) {
    let given = String::from_utf8_lossy(input);
    let given = ascii(&given);
    let (once, _) = light(&given);
    let (twice, lost) = light(&once);
    assert_eq!((&twice, lost), (&once, Vec::new()), "once is enough");
    assert!(once.is_ascii() && once.len() <= given.len() * 5, "{} bytes of {}", once.len(), given.len());
    for (at, _) in once.match_indices('<') {
        let rest = &once[at..];
        if !begins_markup(rest) {
            continue;
        }
        let tag = rest[1..].split('>').next().unwrap_or_default();
        let plain = TAGS.contains(&tag.strip_prefix('/').unwrap_or(tag));
        let link = tag.strip_prefix("a href=\"").and_then(|link| link.strip_suffix('"'));
        let leads_on = |link: &str| {
            let link = link.to_ascii_lowercase();
            ["http://", "https://", "tel:", "mailto:"].iter().any(|scheme| link.starts_with(scheme))
                && !link.contains('"')
        };
        assert!(plain || link.is_some_and(leads_on), "<{tag}> is left");
    }
}
