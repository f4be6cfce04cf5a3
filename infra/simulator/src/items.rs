//! What a crew makes, as Pruvan sends it to uploadPictures: one item a request, with every field of *Available
//! uploadPictures Object Fields* in the form of the specification's example, numbers as strings and `null` among them.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use pruvan::lenient::{number, text};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::questions::{Answer, Taken};
use pictures::{Record, Report, SIZE, Scene, Task, jpeg, record, report};

/// What Pruvan's local times are in, by the specification's example.
static CENTRAL: TimeZone = jiff::tz::get!("America/Chicago");

/// The middle of Round Rock, for orders that don't say where they are.
pub const ROUND_ROCK: (f64, f64) = (30.5083, -97.6789);

/// One item, ready to be published.
#[derive(Debug, Clone)]
pub struct Item {
    /// The payload, without credentials.
    pub fields: Map<String, Value>,
    /// The file part's name.
    pub file_name: String,
    /// The bytes of the file; empty for an item without one.
    pub file: Vec<u8>,
}

/// Who makes items, of which order, where and when. Each item wants another seed.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// The order as Pruvan holds it.
    pub project: &'a Map<String, Value>,
    /// Its number, without a client code.
    pub number: &'a str,
    /// Pruvan's client code, which is sent as `clientCode`.
    pub client_code: &'a str,
    /// User name of the master user, which is sent as `createdBy`.
    pub username: &'a str,
    /// User name of the crew, a sub-user, which is sent as `createdBySubUser`.
    pub crew: &'a str,
    /// When the item is made.
    pub at: Timestamp,
    /// What the item's UUID, place and small differences come from.
    pub seed: u64,
}

impl Item {
    /// The item's `uuId` and `fileName`, by which a survey names it as one of its pictures.
    pub fn taken(&self) -> Taken {
        let field = |name: &str| self.fields.get(name).and_then(text).unwrap_or_default();
        Taken { uu_id: field("uuId"), file_name: field("fileName") }
    }

    /// The same item, taken for a survey's question: its evidence type is the question's id, and its parent the survey.
    pub fn of_question(mut self, survey_uu_id: &str, question_id: &str) -> Item {
        self.fields.insert("parentUuid".to_owned(), Value::from(survey_uu_id));
        self.fields.insert("evidenceType".to_owned(), Value::from(question_id));
        self
    }
}

impl Job<'_> {
    /// A photo of a service's work; drawn on the spot unless `bytes` are given, with their name.
    pub fn picture(&self, service: &str, evidence: &str, bytes: Option<(&str, Vec<u8>)>) -> Item {
        let (name, file) = match bytes {
            Some((name, bytes)) => (name.to_owned(), bytes),
            None => (self.file_name("jpg"), self.drawn(service, evidence, SIZE)),
        };
        let kind = Kind { file_type: "picture", service, evidence, extension: "jpg" };
        let mut fields = self.fields(&kind);
        fields.insert("fileName".to_owned(), Value::from(name.as_str()));
        Item { fields, file_name: name, file }
    }

    /// The photo that [`Job::picture`] takes, in another size.
    pub fn drawn(&self, service: &str, evidence: &str, size: (u32, u32)) -> Vec<u8> {
        let (address, taken) = (self.address(&["address1", "city"]), self.shown());
        let seed = self.seed ^ self.hash(service);
        jpeg(&Scene { number: self.number, address: &address, service, evidence, taken: &taken, seed, size })
    }

    /// A video: a still of it, and the link to it.
    pub fn video(&self, service: &str, evidence: &str, video_uri: &str) -> Item {
        let mut item = self.picture(service, evidence, None);
        let uu_id = self.uuid(&["video", service, evidence]);
        item.fields.insert("uuId".to_owned(), Value::from(uu_id));
        item.fields.insert("videoUri".to_owned(), Value::from(video_uri));
        item
    }

    /// The `uuId` that [`Job::survey`] gives, for the pictures of its questions, which come first.
    pub fn survey_uu_id(&self, service: &str) -> String {
        self.uuid(&["survey", service, "Survey"])
    }

    /// A survey: its answers, and its report as PDF. `template` as the service has it.
    pub fn survey(&self, service: &str, template: &str, answers: &[Answer]) -> Item {
        let kind = Kind { file_type: "survey", service, evidence: "Survey", extension: "pdf" };
        let mut fields = self.fields(&kind);
        let template = self.whole_template(template);
        let survey = json!({
            "meta": {
                "currentQuestionIndex": answers.len(),
                "surveyId": self.survey_uu_id(service),
                "parentId": self.project_id(),
                "surveyTemplateId": template,
            },
            "answers": answers.iter().map(Answer::json).collect::<Vec<_>>(),
        });
        fields.insert("template".to_owned(), Value::from(template));
        fields.insert("survey".to_owned(), Value::from(survey.to_string()));
        let answered: Vec<_> = answers.iter().map(Answer::shown).collect();
        let address = self.address(&["address1", "address2", "city", "state", "zip"]);
        let by = format!("Answered by {}, {}", self.crew, self.shown());
        let file =
            report(&Report { title: service, number: self.number, address: &address, by: &by, answers: &answered });
        Item { fields, file_name: self.file_name("pdf"), file }
    }

    /// A check-in: its file is plain text with a JSON object in it.
    pub fn check_in(&self, provider: &str) -> Item {
        let kind = Kind { file_type: "check-in", service: "", evidence: "Check-in", extension: "json" };
        let fields = self.fields(&kind);
        let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
        let file = json!({
            "type": "check-in", "provider": provider, "workOrderNumber": self.number, "username": self.crew,
            "timestamp": self.at.as_second(), "localTime": field("creationDate"), "latitude": field("gpsLatitude"),
            "longitude": field("gpsLongitude"), "accuracy": field("gpsAccuracy"), "distance": field("locationDifference"),
            "result": "success",
        });
        Item { fields, file_name: self.file_name("json"), file: file.to_string().into_bytes() }
    }

    /// A Certified Service Record of so many photos, shared among the order's services.
    pub fn csr(&self, count: u32) -> Item {
        let kind = Kind { file_type: "csr", service: "", evidence: "CSR", extension: "jpg" };
        let mut fields = self.fields(&kind);
        let services = self.project.get("services").and_then(Value::as_array);
        let names: Vec<&str> = services.into_iter().flatten().filter_map(|one| one["serviceName"].as_str()).collect();
        let parts = u32::try_from(names.len()).unwrap_or(1).max(1);
        // Of the first, where the phone hadn't found itself yet.
        let lost = u32::try_from(self.seed % 2).unwrap_or(0);
        let tasks: Vec<Task<'_>> = (0..)
            .zip(&names)
            .map(|(index, name)| {
                let photos = count / parts + u32::from(index < count % parts);
                let location = photos.saturating_sub(if index == 0 { lost } else { 0 });
                Task { name, photos, authenticated: photos, time: photos, location }
            })
            .collect();
        let address = self.address(&["address1", "city", "state", "zip"]);
        let taken = self.shown();
        let file =
            record(&Record { number: self.number, address: &address, taken: &taken, tasks: &tasks, seed: self.seed });
        let sum = |of: fn(&Task<'_>) -> u32| Value::from(tasks.iter().map(of).sum::<u32>().to_string());
        fields.insert("csrPictureCount".to_owned(), Value::from(count.to_string()));
        fields.insert("authenticated".to_owned(), sum(|task| task.authenticated));
        fields.insert("csrCertifiedTime".to_owned(), sum(|task| task.time));
        fields.insert("csrCertifiedLocation".to_owned(), sum(|task| task.location));
        Item { fields, file_name: self.file_name("jpg"), file }
    }

    /// A file from a service: PDF is all that there is.
    pub fn file(&self, service: &str, pdf: Vec<u8>) -> Item {
        let kind = Kind { file_type: "file", service, evidence: "File", extension: "pdf" };
        Item { fields: self.fields(&kind), file_name: self.file_name("pdf"), file: pdf }
    }

    /// All fields, with what is the same for each kind filled in.
    fn fields(&self, kind: &Kind<'_>) -> Map<String, Value> {
        let is_picture = kind.file_type == "picture";
        let order = |name: &str| self.project.get(name).and_then(text).map_or(Value::Null, Value::from);
        let place = self.place();
        let key3 = if kind.service.is_empty() { Value::Null } else { self.id(&["task", kind.service]).into() };
        let local = self.at.to_zoned_datetime(CENTRAL.clone());
        let certified = if place.feet <= 1000 { "1" } else { "null" };
        let device = self.hash(self.crew);
        let mut fields = Map::new();
        let mut put = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
        put("pictureId", Value::from((self.hash("picture") % 900_000_000 + 100_000_000).to_string()));
        put("uuId", self.uuid(&[kind.file_type, kind.service, kind.evidence]).into());
        put("parentUuid", self.project_id().into());
        put("key1", self.project_id().into());
        put("key2", self.number.into());
        put("key3", key3);
        put("key4", if kind.service.is_empty() { Value::Null } else { kind.service.into() });
        put("key5", Value::Null);
        for (n, name) in (1..).zip(["address1", "address2", "city", "state", "zip", "country"]) {
            put(&format!("attribute{n}"), order(name));
        }
        for n in 7..=15 {
            put(&format!("attribute{n}"), order(&format!("attribute{n}")));
        }
        for n in 1..=15 {
            let value = self.service(kind.service).and_then(|one| one.get(&format!("attribute{n}")).and_then(text));
            put(&format!("attribute{}", n + 15), value.map_or(Value::Null, Value::from));
        }
        put("fileExt", kind.extension.into());
        put("fileName", self.file_name(kind.extension).into());
        put("fileType", kind.file_type.into());
        put("evidenceType", kind.evidence.into());
        put("survey", Value::Null);
        put("template", Value::Null);
        put("notes", Value::Null);
        put("gpsAccuracy", format!("{:.1}", place.accuracy).into());
        put("gpsLatitude", format!("{:.8}", place.latitude).into());
        put("gpsLongitude", format!("{:.8}", place.longitude).into());
        put("gpsTimestamp", self.at.as_second().to_string().into());
        put("authenticated", "1".into());
        put("locationDifference", place.feet.to_string().into());
        put("csrCertifiedTime", "1".into());
        put("csrCertifiedLocation", certified.into());
        put("csrLocationSource", "mobile".into());
        put("csrTimeStampSource", "mobile".into());
        put("csrPictureCount", if is_picture { "1".into() } else { Value::Null });
        put("deviceId", format!("{}{:016x}", if device.is_multiple_of(2) { "ios-" } else { "" }, device).into());
        put("phoneNumber", format!("512555{:04}", 100 + device % 100).into());
        put("status", "published".into());
        put("uploaderVersion", "mobile 3.12.4".into());
        put("batchId", (self.at.as_millisecond() / 600_000 * 600_000).to_string().into());
        put("workDay", local.strftime("%Y-%m-%d").to_string().into());
        // The GPS receiver's time is some seconds older than the file, and that some older than the upload.
        let sent = self.at.saturating_add(SignedDuration::from_secs(16)).unwrap_or(self.at);
        put("timestamp", sent.as_second().into());
        put("clientCode", self.client_code.into());
        put("createdBy", self.username.into());
        put("createdBySubUser", self.crew.into());
        put("lastUpdatedBy", self.crew.into());
        put("creationDate", local.strftime("%Y-%m-%d %H:%M:%S").to_string().into());
        put("videoUri", Value::Null);
        fields
    }

    fn service(&self, name: &str) -> Option<&Map<String, Value>> {
        let services = self.project.get("services").and_then(Value::as_array);
        let named = services.into_iter().flatten().find(|service| service["serviceName"] == name);
        named.and_then(Value::as_object)
    }

    /// `{master}::id-vN`, of whatever the service gives of it.
    fn whole_template(&self, template: &str) -> String {
        let mut whole = if template.contains("::") { String::new() } else { format!("{}::", self.username) };
        whole.push_str(template);
        if !template.contains("-v") {
            whole.push_str("-v1");
        }
        whole
    }

    /// These fields of the order in one line.
    fn address(&self, names: &[&str]) -> String {
        let parts: Vec<String> = names.iter().filter_map(|name| self.project.get(*name).and_then(text)).collect();
        parts.join(", ")
    }

    /// The time for people.
    fn shown(&self) -> String {
        self.at.to_zoned_datetime(CENTRAL.clone()).strftime("%Y-%m-%d %H:%M %Z").to_string()
    }

    /// Made from the time in milliseconds.
    fn file_name(&self, extension: &str) -> String {
        format!("{}.{extension}", self.at.as_millisecond())
    }

    /// `key1`: the project's id in Pruvan's database.
    fn project_id(&self) -> String {
        self.id(&["project"])
    }

    fn id(&self, of: &[&str]) -> String {
        let digest = digest(&[&[self.username, self.number], of].concat());
        (u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]) % 90_000_000 + 10_000_000).to_string()
    }

    /// In the form of a version 4 UUID, and yet always the same for the same.
    fn uuid(&self, of: &[&str]) -> String {
        let seed = self.seed.to_string();
        let mut digest = digest(&[&[self.username, self.number, seed.as_str()], of].concat());
        digest[6] = digest[6] & 0x0f | 0x40;
        digest[8] = digest[8] & 0x3f | 0x80;
        let hex = hex::encode(&digest[..16]);
        let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
        format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
    }

    fn hash(&self, of: &str) -> u64 {
        let digest = digest(&[self.number, of]);
        digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// Where the crew stands: some tens of metres from the property, and now and then where the phone lost its way.
    fn place(&self) -> Place {
        let degrees = |name: &str| self.project.get(name).and_then(number);
        let (latitude, longitude) = degrees("gpsLatitude").zip(degrees("gpsLongitude")).unwrap_or(ROUND_ROCK);
        let mut dice = self.seed ^ self.hash("place");
        let mut part = || {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (dice >> 40) as f64 / (1u64 << 24) as f64
        };
        let lost = part() < 0.03;
        let metres = if lost { 380.0 + part() * 600.0 } else { 3.0 + part() * 28.0 };
        let angle = part() * std::f64::consts::TAU;
        let north = metres * angle.sin() / METRES_A_DEGREE;
        let east = metres * angle.cos() / (METRES_A_DEGREE * latitude.to_radians().cos().max(0.01));
        let accuracy = if lost { 60.0 + part() * 90.0 } else { 4.0 + part() * 12.0 };
        Place {
            latitude: latitude + north,
            longitude: longitude + east,
            accuracy,
            feet: (metres * 3.280_84).round() as i64,
        }
    }
}

const METRES_A_DEGREE: f64 = 111_320.0;

struct Kind<'a> {
    file_type: &'a str,
    service: &'a str,
    evidence: &'a str,
    extension: &'a str,
}

struct Place {
    latitude: f64,
    longitude: f64,
    accuracy: f64,
    feet: i64,
}

fn digest(parts: &[&str]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.as_bytes());
        hasher.update([0]);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use pruvan::survey::Survey;
    use pruvan::upload::{Certified, FileType, TEXT_FIELDS, Upload, UploadRequest};

    use super::*;
    use crate::questions::inspection;

    fn project() -> Map<String, Value> {
        let project = json!({
            "address1": "1204 Heron Bend Drive", "city": "Round Rock", "state": "TX", "zip": "78664", "country": "USA",
            "gpsLatitude": 30.5117, "gpsLongitude": "-97.6712", "attribute7": "loan 4711", "attribute15": "last",
            "services": [
                { "serviceName": "Grass cut", "attribute1": "line 1", "attribute15": "line 15" },
                { "serviceName": "Property inspection", "survey": "PropertyInspection" },
            ],
        });
        project.as_object().cloned().unwrap()
    }

    fn job(project: &Map<String, Value>) -> Job<'_> {
        let at = Timestamp::from_second(1_414_434_574).unwrap();
        Job { project, number: "RR-1", client_code: "SMC", username: "vendor1", crew: "crew1", at, seed: 7 }
    }

    fn read(item: &Item) -> Upload {
        UploadRequest::from_payload(item.fields.clone()).upload
    }

    #[test]
    fn all_fields_are_the_specifications() {
        let project = project();
        let job = job(&project);
        let mut expected: BTreeSet<String> = TEXT_FIELDS.iter().map(|name| (*name).to_owned()).collect();
        expected.extend((1..=30).map(|n| format!("attribute{n}")));
        expected.extend(["fileType", "survey", "timestamp"].map(str::to_owned));
        for item in [
            job.picture("Grass cut", "before", None),
            job.video("Grass cut", "during", "https://video.example/1.mp4"),
            job.survey("Property inspection", "PropertyInspection", &inspection(1, &[])),
            job.check_in("pcn"),
            job.csr(9),
            job.file("Grass cut", b"%PDF-1.7".to_vec()),
        ] {
            assert_eq!(item.fields.keys().cloned().collect::<BTreeSet<_>>(), expected);
            let upload = read(&item);
            assert!(!matches!(upload.file_type, FileType::Other(_)));
            assert_eq!(upload.work_order_number(), Some("RR-1"));
            assert_eq!(upload.file_type.extension().or(Some("pdf")), upload.file_ext.as_deref());
            assert_eq!(upload.taken(job.at).0.unwrap(), job.at);
            assert!(!item.file.is_empty() && item.file_name.starts_with("1414434574000."));
        }
    }

    #[test]
    fn a_picture_as_in_the_specifications_example() {
        let project = project();
        let upload = read(&job(&project).picture("Grass cut", "before", None));
        assert_eq!(upload.creation_date.as_deref(), Some("2014-10-27 13:29:34"));
        assert_eq!(upload.work_day.as_deref(), Some("2014-10-27"));
        assert_eq!(upload.timestamp.unwrap().as_second(), 1_414_434_590);
        for (n, value) in
            [(1, "1204 Heron Bend Drive"), (6, "USA"), (7, "loan 4711"), (15, "last"), (16, "line 1"), (30, "line 15")]
        {
            assert_eq!(upload.attributes[&n], value);
        }
        let (latitude, longitude) = upload.position().unwrap();
        assert!((latitude - 30.5117).abs() < 0.01 && (longitude + 97.6712).abs() < 0.01);
        let feet: f64 = upload.location_difference.unwrap().parse().unwrap();
        let (north, east) =
            ((latitude - 30.5117) * 111_320.0, (longitude + 97.6712) * 111_320.0 * 30.5_f64.to_radians().cos());
        assert!((north.hypot(east) * 3.280_84 - feet).abs() < 2.0);
        let uu_id = upload.uu_id.unwrap();
        assert_eq!((uu_id.len(), &uu_id[14..15]), (36, "4"));
    }

    #[test]
    fn each_item_has_its_own_id_and_always_the_same() {
        let project = project();
        let id = |seed, service: &str, evidence: &str| {
            Job { seed, ..job(&project) }.picture(service, evidence, Some(("a.jpg", Vec::new()))).taken().uu_id
        };
        let first = id(1, "Grass cut", "before");
        assert_eq!(first, id(1, "Grass cut", "before"));
        assert!(
            [id(2, "Grass cut", "before"), id(1, "Trim", "before"), id(1, "Grass cut", "after")]
                .iter()
                .all(|id| *id != first)
        );
    }

    #[test]
    fn a_survey_is_read_whole() {
        let project = project();
        let job = job(&project);
        let survey_id = job.survey_uu_id("Property inspection");
        let photo = job.picture("Property inspection", "before", None).of_question(&survey_id, "frontPhoto");
        let item = job.survey("Property inspection", "PropertyInspection", &inspection(1, &[photo.taken()]));
        assert!(item.file.starts_with(b"%PDF-"));
        let upload = read(&item);
        let Some(Value::String(json)) = item.fields.get("survey") else { panic!("a JSON string") };
        assert_eq!(Survey::from_json(json), upload.survey);
        let survey = upload.survey.unwrap();
        assert_eq!((survey.survey_id.as_ref(), upload.uu_id.as_ref()), (Some(&survey_id), Some(&survey_id)));
        assert_eq!(survey.parent_id, upload.key1);
        assert_eq!(survey.template.unwrap().to_string(), "vendor1::PropertyInspection-v1");
        assert!(survey.answers.len() >= 10);
        let kinds: BTreeSet<_> = survey.answers.iter().filter_map(|answer| answer.answer_type.as_deref()).collect();
        assert!(["yesNo", "chooseOne", "chooseMany", "text", "number"].iter().all(|kind| kinds.contains(kind)));
        let pictured = survey.answers.iter().find(|answer| !answer.pic_ids.is_empty()).unwrap();
        assert_eq!(pictured.pic_ids, [photo.taken().uu_id]);
        assert_eq!(pictured.pic_file_names, [photo.taken().file_name]);
        for answer in &survey.answers {
            assert!(answer.id.is_some() && answer.question.is_some());
            let allowed: Vec<&str> = answer.answer_options.iter().map(|option| option.answer.as_str()).collect();
            assert!(allowed.is_empty() || answer.answer.iter().all(|answer| allowed.contains(&answer.as_str())));
        }
    }

    #[test]
    fn a_record_counts() {
        let project = project();
        let upload = read(&job(&project).csr(9));
        assert_eq!((upload.file_type.as_str(), upload.picture_count()), ("csr", Some(9)));
        assert_eq!(upload.authenticated(), Some(Certified::Count(9)));
        assert!(matches!(upload.certified_location(), Some(Certified::Count(8..=9))));
    }

    #[test]
    fn a_check_in_is_json_in_plain_text() {
        let project = project();
        let item = job(&project).check_in("pcn");
        let content: Value = serde_json::from_slice(&item.file).unwrap();
        assert_eq!(content["workOrderNumber"], "RR-1");
        assert_eq!(read(&item).file_ext.as_deref(), Some("json"));
    }
}
