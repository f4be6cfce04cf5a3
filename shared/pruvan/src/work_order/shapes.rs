//! What numbers, ZIP codes, templates and lines look like: questions to one text.

use std::borrow::Cow;

use serde_json::Value;

use crate::lenient::is_nothing;
use crate::rewrite::{Alteration, Rewrite};

/// A text on one line: each line end and tab, with the spaces around it, is a space.
pub(super) fn one_line(text: &str) -> (Cow<'_, str>, Vec<Alteration>) {
    let mut rewrite = Rewrite::of(text);
    while let Some(at) = text[rewrite.read()..].find(['\n', '\r', '\t']).map(|at| at + rewrite.read()) {
        let start = text[..at].trim_end().len();
        let end = text.len() - text[at..].trim_start().len();
        rewrite.keep(start.max(rewrite.read()));
        rewrite.put(end, " ", true);
    }
    rewrite.done()
}

/// The states and territories of the US with ZIP codes, as the post abbreviates them.
const STATES: [&str; 59] = [
    "AA", "AE", "AK", "AL", "AP", "AR", "AS", "AZ", "CA", "CO", "CT", "DC", "DE", "FL", "GA", "GU", "HI", "IA", "ID",
    "IL", "IN", "KS", "KY", "LA", "MA", "MD", "ME", "MI", "MN", "MO", "MP", "MS", "MT", "NC", "ND", "NE", "NH", "NJ",
    "NM", "NV", "NY", "OH", "OK", "OR", "PA", "PR", "RI", "SC", "SD", "TN", "TX", "UT", "VA", "VI", "VT", "WA", "WI",
    "WV", "WY",
];

/// Whether an address is one of the US, as far as its state and country tell.
pub fn is_in_us(state: &str, country: &str) -> bool {
    let country: String = country.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_ascii_uppercase();
    let us = ["", "US", "USA", "UNITEDSTATES", "UNITEDSTATESOFAMERICA"].contains(&country.as_str());
    us && STATES.contains(&state.trim().to_ascii_uppercase().as_str())
}

/// Five digits, or nine with or without a hyphen or a space.
pub(super) fn is_zip_code(zip: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match zip.split_once(['-', ' ']) {
        Some((zip, more)) => zip.len() == 5 && more.len() == 4 && digits(zip) && digits(more),
        None => matches!(zip.len(), 5 | 9) && digits(zip),
    }
}

/// Why a text can't be a work order number, if it can't.
pub fn number_fault(number: &str) -> Option<&'static str> {
    shape_fault(number).or_else(|| {
        let nothing = is_nothing(&Value::from(number));
        nothing.then_some("is a word for nothing in Pruvan's payloads: what crews send for it would belong to no order")
    })
}

/// Whether an order can have this number: one that [`number_fault`] refuses today may have been taken once.
pub fn could_be_number(number: &str) -> bool {
    shape_fault(number).is_none()
}

fn shape_fault(number: &str) -> Option<&'static str> {
    if number.is_empty() {
        Some("is required")
    } else if number.len() > 100 {
        Some("is too long: at most 100 characters")
    } else if !number.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        Some("may hold printable ASCII characters only")
    } else if number.trim() != number {
        Some("must not begin or end with a space")
    } else if matches!(number, "." | "..") {
        Some("must be more than dots: no URL can have it in its path")
    } else if number.starts_with(':') {
        Some("must not begin with a colon: Pruvan puts \"::\" in front of it")
    } else if number.contains("::") {
        Some("must not contain \"::\": Pruvan puts that between its client code and the number")
    } else {
        None
    }
}

/// `id`, `id-vN`, `master::id`, `master::id-vN`: an id has no spaces and no hyphens.
pub(super) fn is_template(template: &str) -> bool {
    let (master, id) = template.split_once("::").unwrap_or(("master", template));
    let (id, version) = id.split_once("-v").unwrap_or((id, "1"));
    let whole = |text: &str| !text.is_empty() && !text.contains(char::is_whitespace) && !text.contains("::");
    let number = version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && version.starts_with(|c: char| c.is_ascii_digit());
    whole(master) && whole(id) && !id.contains('-') && number
}

/// The candidate that `text` is most likely a slip of.
pub fn nearest<'a>(text: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let wanted = plain(&text.chars().take(64).collect::<String>());
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(&wanted, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len() / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
