//! What the crews of a sample did: which items of which orders, when, and how the orders stand after that.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};
use simulator::items::{Item, Job};
use simulator::questions::{INSPECTION, PICTURED, Taken, inspection, is_inspection};

use super::town::Lots;

/// Pixels of the pictures: many must be drawn, and quickly.
const PIXELS: (u32, u32) = (640, 480);

/// One order's work, of which the items are made one by one when they are published.
#[derive(Debug, Clone)]
pub struct Work {
    /// The order as Pruvan holds it.
    pub project: Map<String, Value>,
    /// The work order's number, without a client code.
    pub number: String,
    /// Pruvan's client code, which is sent with each item.
    pub client_code: String,
    /// User name of the master user, which is sent with each item.
    pub username: String,
    /// User name of the crew that did the work.
    pub crew: String,
    /// When it was begun.
    pub began: Timestamp,
    /// What tells it from others.
    pub seed: u64,
    /// How many photos were taken.
    pub photos: usize,
    /// A link to a video, if one was taken.
    pub video: Option<String>,
}

/// One item of a [`Work`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The crew is there.
    CheckIn,
    /// The n-th photo of the order, counted from 0.
    Photo(usize),
    /// The survey of this service.
    Survey(usize),
    /// A still of the video, with the link to it.
    Video,
    /// A PDF: the bid.
    File,
    /// The record that comes with each publication.
    Record,
}

impl Work {
    /// What the crew makes of this order, in the order in which it does.
    pub fn steps(&self) -> Vec<Step> {
        let mut lots = Lots::new(self.seed);
        let mut steps = Vec::new();
        if self.project.get("options").is_some_and(|options| options["check_in_required"] == true) {
            steps.push(Step::CheckIn);
        }
        steps.extend((0..self.photos).map(Step::Photo));
        steps.extend(self.services().enumerate().filter(|(_, (_, survey))| *survey).map(|(n, _)| Step::Survey(n)));
        if self.video.is_some() {
            steps.push(Step::Video);
        }
        if self.services().any(|(name, _)| name == "Bid") {
            steps.push(Step::File);
        }
        if lots.chance(70) {
            steps.push(Step::Record);
        }
        steps
    }

    /// Makes an item. It draws, which takes some milliseconds.
    pub fn item(&self, step: &Step) -> Item {
        match step {
            Step::CheckIn => self.job(0, 1).check_in("pcn"),
            Step::Photo(n) => self.photo(*n, true),
            Step::Survey(n) => self.survey(*n),
            Step::Video => {
                let (service, link) = (self.service(0), self.video.as_deref().unwrap_or_default());
                self.job(30 * 60, 2).video(&service, "during", link)
            }
            Step::File => {
                let job = self.job(55 * 60, 3);
                let bid = job.survey("Bid", "Bid", &inspection(self.seed, &[]));
                job.file("Bid", bid.file)
            }
            Step::Record => self.job(60 * 60, 4).csr(u32::try_from(self.photos).unwrap_or(0)),
        }
    }

    fn services(&self) -> impl Iterator<Item = (&str, bool)> {
        let services = self.project.get("services").and_then(Value::as_array).into_iter().flatten();
        services
            .filter_map(|one| Some((one["serviceName"].as_str()?, one["survey"].as_str().is_some_and(is_inspection))))
    }

    fn service(&self, n: usize) -> String {
        let count = self.services().count().max(1);
        self.services().nth(n % count).map_or_else(String::new, |(name, _)| name.to_owned())
    }

    fn job(&self, seconds: i64, part: u64) -> Job<'_> {
        let at = self.began.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(self.began);
        Job {
            project: &self.project,
            number: &self.number,
            client_code: &self.client_code,
            username: &self.username,
            crew: &self.crew,
            at,
            seed: self.seed << 12 | part,
        }
    }

    /// The n-th photo: services in turn, and of each what was there before, during and after; of a survey for its
    /// questions.
    fn photo(&self, n: usize, drawn: bool) -> Item {
        let count = self.services().count().max(1);
        let (service, stage) = (self.service(n), n * 3 / self.photos.max(1));
        let job = self.job(60 + 37 * i64::try_from(n).unwrap_or(0), 100 + n as u64);
        let has_survey = self.services().nth(n % count).is_some_and(|(_, survey)| survey);
        let question = PICTURED[n / count % PICTURED.len()];
        let evidence = if has_survey { question } else { ["before", "during", "after"][stage.min(2)] };
        let file = if drawn { job.drawn(&service, evidence, PIXELS) } else { Vec::new() };
        let name = format!("{}.jpg", job.at.as_millisecond());
        let item = job.picture(&service, evidence, Some((&name, file)));
        if has_survey { item.of_question(&self.survey_job().survey_uu_id(&service), question) } else { item }
    }

    fn survey_job(&self) -> Job<'_> {
        self.job(50 * 60, 5)
    }

    fn survey(&self, service: usize) -> Item {
        let count = self.services().count().max(1);
        let taken: Vec<Taken> =
            (0..self.photos).filter(|n| n % count == service).map(|n| self.photo(n, false).taken()).collect();
        let answers = inspection(self.seed, &taken);
        self.survey_job().survey(&self.service(service), INSPECTION, &answers)
    }
}

/// How an order stands after its work: Pruvan's status and the crew's. `None` if nobody has looked at it.
pub fn standing(seed: u64, worked: bool, directs: bool) -> Option<(&'static str, &'static str)> {
    let mut lots = Lots::new(seed ^ 0x57a7);
    if worked {
        return Some(lots.of(&[
            ("complete", "complete"),
            ("complete", "complete"),
            ("complete", "complete"),
            ("submitted", "complete"),
            ("invoiced", "complete"),
            ("assigned", "in-process"),
            ("assigned", "in-process"),
            ("rework", "in-process"),
        ]));
    }
    let open = [
        ("assigned", "viewed"),
        ("assigned", "viewed"),
        ("accepted", "field-accepted"),
        ("rejected", "field-rejected"),
        ("assigned", "updated"),
    ];
    lots.chance(if directs { 60 } else { 45 }).then(|| lots.of(&open))
}
