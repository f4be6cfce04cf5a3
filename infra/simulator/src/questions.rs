//! The survey "Property inspection" as a crew answers it.

use pictures::Answered;
use pruvan::survey::SurveyTemplate;
use serde_json::{Value, json};

/// A picture as a survey names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The picture's `uuId`, which the survey has in `picIds`.
    pub uu_id: String,
    /// The picture's `fileName`, which the survey has in `picFileNames`.
    pub file_name: String,
}

/// One question and its answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The question's id in the template.
    pub id: &'static str,
    /// The question as the crew reads it.
    pub question: &'static str,
    /// Such as `yesNo`, `chooseOne`, `chooseMany`, `text`, `number`.
    pub answer_type: &'static str,
    /// What may be chosen: as it is sent, and as the crew reads it.
    pub options: Vec<(&'static str, &'static str)>,
    /// What was answered; several of a multiple choice.
    pub answer: Vec<String>,
    /// Pictures taken for it.
    pub pictures: Vec<Taken>,
}

impl Answer {
    /// An element of `answers`, in the order in which live traffic has its fields.
    pub fn json(&self) -> Value {
        let options = self.options.iter().map(|(answer, display)| json!({ "answer": answer, "display": display }));
        json!({
            "id": self.id,
            "answer": self.answer,
            "hint": "",
            "question": self.question,
            "answerType": self.answer_type,
            "picIds": self.pictures.iter().map(|picture| &picture.uu_id).collect::<Vec<_>>(),
            "picFileNames": self.pictures.iter().map(|picture| &picture.file_name).collect::<Vec<_>>(),
            "answerOptions": options.collect::<Vec<_>>(),
        })
    }

    /// The question and its answer as the PDF shows them: options by the text that the crew reads.
    pub fn shown(&self) -> Answered {
        let display = |answer: &String| {
            let option = self.options.iter().find(|(value, _)| value == answer);
            option.map_or(answer.clone(), |(_, display)| (*display).to_owned())
        };
        Answered {
            question: self.question.to_owned(),
            answer: self.answer.iter().map(display).collect::<Vec<_>>().join(", "),
            pictures: self.pictures.iter().map(|picture| picture.file_name.clone()).collect(),
        }
    }
}

/// The questions that pictures are taken for: the n-th picture belongs to the n-th of these, and so on around.
pub const PICTURED: [&str; 4] = ["frontPhoto", "isSecured", "damages", "grassHeight"];

/// The template's id on the services that want this survey.
pub const INSPECTION: &str = "PropertyInspection";

/// Whether a service's `survey` means this one.
pub fn is_inspection(template: &str) -> bool {
    SurveyTemplate::parse(template).id == INSPECTION
}

/// Answers that differ for each seed, with these pictures.
#[expect(clippy::too_many_lines, reason = "a table of questions")]
pub fn inspection(seed: u64, pictures: &[Taken]) -> Vec<Answer> {
    const YES_NO: [(&str, &str); 2] = [("yes", "Yes"), ("no", "No")];
    let mut dice = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut roll = |sides: usize| {
        dice = (dice ^ (dice >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9).wrapping_add(1);
        usize::try_from(dice >> 33).unwrap_or(0) % sides.max(1)
    };
    let choice = |id, question, answer_type, options: &[(&'static str, &'static str)], chosen: &[usize]| Answer {
        id,
        question,
        answer_type,
        options: options.to_vec(),
        answer: chosen.iter().filter_map(|at| options.get(*at)).map(|(answer, _)| (*answer).to_owned()).collect(),
        pictures: Vec::new(),
    };
    let written = |id, question, answer_type, answer: String| {
        let answer = if answer.is_empty() { Vec::new() } else { vec![answer] };
        Answer { id, question, answer_type, options: Vec::new(), answer, pictures: Vec::new() }
    };
    let kinds =
        [("single", "Single family"), ("duplex", "Duplex"), ("town", "Town house"), ("mobile", "Manufactured home")];
    let harm = [
        ("none", "None"),
        ("roof", "Roof"),
        ("windows", "Windows or doors"),
        ("water", "Water"),
        ("fire", "Fire"),
        ("mold", "Mold"),
    ];
    let supplies = [("electric", "Electricity"), ("gas", "Gas"), ("water", "Water")];
    let next = [("none", "Nothing"), ("bid", "A bid follows"), ("now", "Something must be done at once")];
    let harmed: &[usize] = [&[0][..], &[0], &[1, 3], &[2], &[3, 5]][roll(5)];
    let mut answers = vec![
        choice(
            "occupancy",
            "Is the property occupied?",
            "chooseOne",
            &[("vacant", "Vacant"), ("occupied", "Occupied"), ("unknown", "Can't be told")],
            &[[0, 0, 0, 1, 2][roll(5)]],
        ),
        choice("propertyType", "What kind of building is it?", "chooseOne", &kinds, &[roll(4)]),
        choice(
            "frontPhoto",
            "Can the house number be read from the street? Take a photo of the front.",
            "yesNo",
            &YES_NO,
            &[roll(4) / 3],
        ),
        choice(
            "isSecured",
            "Are all doors and windows secured? Take a photo of each that is not.",
            "yesNo",
            &YES_NO,
            &[roll(4) / 3],
        ),
        choice("damages", "Which damages are there? Take photos of all.", "chooseMany", &harm, harmed),
        written(
            "damageNotes",
            "Describe the damages.",
            "text",
            if harmed == [0] {
                String::new()
            } else {
                "Seen from the inside too; the neighbour says it began after the last storm.".to_owned()
            },
        ),
        written(
            "grassHeight",
            "How high is the grass, in inches? Take a photo with a ruler.",
            "number",
            (2 + roll(16)).to_string(),
        ),
        written("debris", "How many cubic yards of debris are there?", "number", roll(14).to_string()),
        choice(
            "utilities",
            "Which utilities are on?",
            "chooseMany",
            &supplies,
            [&[][..], &[0], &[0, 2], &[0, 1, 2]][roll(4)],
        ),
        choice("signPosted", "Is a sign posted with the number to call?", "yesNo", &YES_NO, &[roll(2)]),
        choice("lockBox", "Does the lock box open with the code of the order?", "yesNo", &YES_NO, &[roll(5) / 4]),
        choice("next", "What is to be done next?", "chooseOne", &next, &[[0, 0, 1, 1, 2][roll(5)]]),
        written(
            "remarks",
            "Anything else?",
            "text",
            ["", "Dog next door barks, but is fenced.", "Gate sticks: lift it.", "Mail was left in the kitchen."]
                [roll(4)]
            .to_owned(),
        ),
    ];
    for (picture, id) in pictures.iter().zip(PICTURED.iter().cycle()) {
        if let Some(answer) = answers.iter_mut().find(|answer| answer.id == *id) {
            answer.pictures.push(picture.clone());
        }
    }
    answers
}
