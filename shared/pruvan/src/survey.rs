//! *Pruvan Surveys (Mobile Forms)*: what a crew answered.

pub mod outline;

use serde_json::{Map, Value};

use crate::json::unwrapped;
use crate::lenient::{list, structure, text, text_field};

/// A completed survey, read. What goes back for rework is the JSON as it came: [`verbatim`].
#[derive(Debug, Clone, PartialEq)]
pub struct Survey {
    /// `meta->surveyId`: the UUID of this survey.
    pub survey_id: Option<String>,
    /// `meta->parentId`: the parent work order's id in Pruvan.
    pub parent_id: Option<String>,
    /// The template that was filled in (`meta->surveyTemplateId`), if it can be read.
    pub template: Option<SurveyTemplate>,
    /// One for each question answered, in the survey's order.
    pub answers: Vec<Answer>,
    /// The whole survey as it came, parsed.
    pub json: Value,
}

/// One element of `answers`.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The question's id, as defined in the template.
    pub id: Option<String>,
    /// The question as the crew read it.
    pub question: Option<String>,
    /// The answers given; several for a multiple choice.
    pub answer: Vec<String>,
    /// Such as `chooseOne` or `yesNo`.
    pub answer_type: Option<String>,
    /// The answers that the template allows.
    pub answer_options: Vec<AnswerOption>,
    /// UUIDs of the pictures taken for this question. The latest survey decides where a picture belongs.
    pub pic_ids: Vec<String>,
    /// File names of the same.
    pub pic_file_names: Vec<String>,
}

/// One of the answers that a question allows.
#[derive(Debug, Clone, PartialEq)]
pub struct AnswerOption {
    /// As it stands in `answer`.
    pub answer: String,
    /// As the crew sees it.
    pub display: String,
}

/// The JSON of a survey as it came, from the field's own JSON: an object, or a text that holds it, however often
/// encoded. What is neither comes back as it is.
pub fn verbatim(field: &str) -> String {
    unwrapped(field).map_or_else(|_| field.to_owned(), |json| json.text.into_owned())
}

impl Survey {
    /// Reads what [`verbatim`] gave.
    pub fn from_json(json: &str) -> Option<Survey> {
        unwrapped(json).ok().and_then(|json| Survey::parse(&json.value))
    }

    /// Reads the field `survey`: an object, or JSON in a string, however often encoded. `None` if it is none of these.
    pub fn parse(value: &Value) -> Option<Survey> {
        let json = structure(value).filter(Value::is_object)?;
        let meta = json.get("meta").and_then(structure);
        let empty = Map::new();
        let meta = meta.as_ref().and_then(Value::as_object).unwrap_or(&empty);
        let answers = json.get("answers").and_then(list).unwrap_or_default();
        Some(Survey {
            survey_id: text_field(meta, "surveyId"),
            parent_id: text_field(meta, "parentId"),
            template: text_field(meta, "surveyTemplateId").map(|text| SurveyTemplate::parse(&text)),
            answers: answers.iter().filter_map(structure).filter_map(|answer| Answer::parse(&answer)).collect(),
            json,
        })
    }
}

impl Answer {
    fn parse(value: &Value) -> Option<Answer> {
        let fields = value.as_object()?;
        let texts = |name: &str| match fields.get(name) {
            // A text is an answer, whatever it looks like.
            Some(given @ (Value::Array(_) | Value::Object(_))) => match list(given) {
                Some(items) => items.iter().filter_map(text).collect(),
                None => text(given).into_iter().collect(),
            },
            Some(single) => text(single).into_iter().collect(),
            None => Vec::new(),
        };
        let option = |value: &Value| {
            let fields = value.as_object()?;
            let answer = text_field(fields, "answer")?;
            Some(AnswerOption { display: text_field(fields, "display").unwrap_or_else(|| answer.clone()), answer })
        };
        Some(Answer {
            id: text_field(fields, "id"),
            question: text_field(fields, "question"),
            answer: texts("answer"),
            answer_type: text_field(fields, "answerType"),
            answer_options: fields
                .get("answerOptions")
                .and_then(list)
                .unwrap_or_default()
                .iter()
                .filter_map(option)
                .collect(),
            pic_ids: texts("picIds"),
            pic_file_names: texts("picFileNames"),
        })
    }
}

/// A survey template's id, `{master_username}::{id}-v{version}`, of which only the id must be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SurveyTemplate {
    /// The Pruvan account that owns the template, if it is another one.
    pub master: Option<String>,
    /// The template; ids hold no hyphens.
    pub id: String,
    /// A published version; the latest if there is none.
    pub version: Option<String>,
}

impl SurveyTemplate {
    /// Splits an id. Never fails: what has no `::` and no `-v` is all id.
    pub fn parse(text: &str) -> SurveyTemplate {
        let (master, rest) = match text.split_once("::") {
            Some((master, rest)) => (Some(master.trim().to_owned()), rest),
            None => (None, text),
        };
        let (id, version) = match rest.split_once("-v") {
            Some((id, version)) => (id, Some(version.trim().to_owned())),
            None => (rest, None),
        };
        SurveyTemplate { master, id: id.trim().to_owned(), version }
    }
}

impl std::fmt::Display for SurveyTemplate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(master) = &self.master {
            write!(f, "{master}::")?;
        }
        write!(f, "{}", self.id)?;
        if let Some(version) = &self.version {
            write!(f, "-v{version}")?;
        }
        Ok(())
    }
}
