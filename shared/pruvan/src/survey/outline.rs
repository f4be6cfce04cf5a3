//! A survey whose answers are read one by one: parsed they take many times the room of their text, and a survey may
//! have tens of thousands.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{Answer, SurveyTemplate};
use crate::encoding::without_mark;
use crate::json::{self, has_too_many_values};
use crate::lenient::{list_index, structure, text_field};

/// A survey as text, with where in it each answer stands.
#[derive(Debug, Clone)]
pub struct Outline {
    /// The template that was filled in (`meta->surveyTemplateId`), if it can be read.
    pub template: Option<SurveyTemplate>,
    text: String,
    answers: Vec<Range<usize>>,
}

impl Outline {
    /// Of what [`super::verbatim`] gave: an object, or a text that holds it. `None` if it is neither.
    pub fn of(text: String) -> Option<Outline> {
        let text = opened(text, &['{'])?;
        let parts = Parts::read(&text)?;
        let template = parts.meta.filter(|meta| !has_too_many_values(meta)).and_then(|meta| {
            let meta = structure(&json::read(meta).ok()?.value)?;
            text_field(meta.as_object()?, "surveyTemplateId").map(|text| SurveyTemplate::parse(&text))
        });
        let list = parts.answers.filter(|list| list.starts_with(['[', '{', '"']));
        let (text, list) = match list {
            // A list may come as JSON in a text, too.
            Some(list) if list.starts_with('"') => match opened(list.to_owned(), &['[', '{']) {
                Some(list) => (list, None),
                None => (text, Some(0..0)),
            },
            Some(list) => {
                let start = offset(&text, list);
                let end = start + list.len();
                (text, Some(start..end))
            }
            None => (text, Some(0..0)),
        };
        let list = &text[list.unwrap_or(0..text.len())];
        let elements = serde_json::Deserializer::from_str(list).deserialize_any(Elements).unwrap_or_default();
        let answers =
            elements.iter().map(|answer| offset(&text, answer)..offset(&text, answer) + answer.len()).collect();
        Some(Outline { template, answers, text })
    }

    /// How many answers there are.
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// The answers from `first` on, each with its index and how many bytes it has as JSON. What can't be read is passed
    /// over.
    pub fn answers_from(&self, first: usize) -> impl Iterator<Item = (usize, usize, Answer)> {
        let texts =
            self.answers.iter().enumerate().skip(first).map(|(index, range)| (index, &self.text[range.clone()]));
        let readable = texts.filter(|(_, text)| !has_too_many_values(text));
        readable.filter_map(|(index, text)| {
            let answer = structure(&json::read(text).ok()?.value).as_ref().and_then(Answer::parse)?;
            Some((index, text.len(), answer))
        })
    }
}

/// The JSON that begins with one of these signs, out of all layers of JSON text.
fn opened(mut text: String, signs: &[char]) -> Option<String> {
    while without_mark(text.trim()).trim_start().starts_with('"') {
        text = json::read(&text).ok()?.value;
    }
    let json = json::read::<IgnoredAny>(&text).ok()?.text;
    json.starts_with(signs).then(|| json.into_owned())
}

/// Where `part`, which is a part of `text`, begins in it.
fn offset(text: &str, part: &str) -> usize {
    part.as_ptr() as usize - text.as_ptr() as usize
}

/// What of a survey is read, as its JSON stands in the text; of several with one name the last.
#[derive(Default)]
struct Parts<'a> {
    meta: Option<&'a str>,
    answers: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn read(text: &'a str) -> Option<Parts<'a>> {
        let mut json = serde_json::Deserializer::from_str(text);
        let parts = json.deserialize_map(Fields).ok()?;
        json.end().ok().map(|()| parts)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Parts<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a survey")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Parts<'de>, A::Error> {
        let mut parts = Parts::default();
        while let Some(Name(name)) = fields.next_key()? {
            match name.as_ref() {
                "meta" => parts.meta = Some(fields.next_value::<&RawValue>()?.get()),
                "answers" => parts.answers = Some(fields.next_value::<&RawValue>()?.get()),
                _ => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        Ok(parts)
    }
}

#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Whether a value may be an object: as such, or in a JSON text.
fn may_be_object(json: &str) -> bool {
    json.starts_with(['{', '"'])
}

/// The objects of a list, or of an object that stands for one.
struct Elements;

impl<'de> Visitor<'de> for Elements {
    type Value = Vec<&'de str>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut found = Vec::new();
        while let Some(item) = items.next_element::<&RawValue>()? {
            found.extend(Some(item.get()).filter(|json| may_be_object(json)));
        }
        Ok(found)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let (mut found, mut is_list) = (BTreeMap::new(), true);
        while let Some((Name(key), item)) = fields.next_entry::<Name<'de>, &RawValue>()? {
            match list_index(&key) {
                Some(index) => drop(found.insert(index, item.get())),
                None => is_list = false,
            }
        }
        let items = found.into_values().filter(|json| is_list && may_be_object(json));
        Ok(items.collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::survey::Survey;

    #[test]
    fn the_answers_are_those_of_the_whole_survey_in_whatever_form_it_comes() {
        let answers = json!([
            { "id": "q1", "question": "Color?", "answer": ["blue"], "picIds": ["p"] }, 7, null, "x", { "id": "q\u{e9}\"" },
        ]);
        let survey =
            json!({ "other": [1, { "answers": 2 }], "meta": { "surveyTemplateId": "m::id-v2" }, "answers": answers });
        let as_text = json!({ "meta": { "surveyTemplateId": "m::id-v2" }, "answers": answers.to_string() });
        let once = Value::from(survey.to_string()).to_string();
        let padded = format!(" \n{survey} ");
        for text in [survey.to_string(), Value::from(once.clone()).to_string(), once, padded, as_text.to_string()] {
            let (outline, whole) = (Outline::of(text.clone()).unwrap(), Survey::from_json(&text).unwrap());
            let read: Vec<Answer> = outline.answers_from(0).map(|(_, _, answer)| answer).collect();
            assert_eq!((read, &outline.template), (whole.answers, &whole.template), "{text}");
            assert_eq!((outline.len(), outline.answers_from(1).next().unwrap().0), (3, 2));
        }
    }

    #[test]
    fn what_is_no_survey_has_no_outline_and_what_has_no_answers_has_none() {
        for text in ["", "[]", "7", "null", "{\"answers\":[", "\"\"", "{} x"] {
            assert!(Outline::of(text.to_owned()).is_none(), "{text}");
        }
        for answers in ["[]", "{}", "7", "null", "\"7\"", "[7]"] {
            assert!(Outline::of(format!("{{\"answers\":{answers}}}")).unwrap().is_empty(), "{answers}");
        }
        assert!(Outline::of("{}".to_owned()).unwrap().is_empty());
    }

    #[test]
    fn a_list_as_an_object_is_read_in_its_order() {
        let outline =
            Outline::of(r#"{"answers":{"10":"{\"id\":\"b\"}","9":{"id":"x"},"9":{"id":"a"}}}"#.to_owned()).unwrap();
        let ids: Vec<Option<String>> = outline.answers_from(0).map(|(_, _, answer)| answer.id).collect();
        assert_eq!(ids, [Some("a".to_owned()), Some("b".to_owned())]);
    }
}
