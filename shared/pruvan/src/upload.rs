//! *The uploadPictures Web Service*: photos, surveys, check-ins and files, one item a call.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::ascii::ascii;
use crate::credentials::Credentials;
use crate::dates::{WrittenDate, can_be_true, unix};
use crate::lenient::{integer, is_nothing, number, text};
use crate::survey::{Survey, SurveyTemplate};

/// `fileType`: an open set. Pruvan sends further kinds (project reports among them), and all must be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileType {
    /// A photo, or the still of a video.
    Picture,
    /// A Certified Service Record: one each time a project is published.
    Csr,
    /// The PDF of a survey, whose answers are in the field `survey`.
    Survey,
    /// A JSON object as plain text.
    CheckIn,
    /// Any file; PDF only at the time of writing.
    File,
    /// A type that the specification doesn't name, in the spelling in which it came.
    Other(String),
}

impl FileType {
    /// Reads a type in any spelling of its case and hyphens.
    pub fn parse(text: &str) -> FileType {
        match text.trim().to_ascii_lowercase().as_str() {
            "picture" => FileType::Picture,
            "csr" => FileType::Csr,
            "survey" => FileType::Survey,
            "check-in" | "checkin" | "check in" => FileType::CheckIn,
            "file" => FileType::File,
            _ => FileType::Other(text.trim().to_owned()),
        }
    }

    /// The type as the specification spells it; an unknown one as it came.
    pub fn as_str(&self) -> &str {
        match self {
            FileType::Picture => "picture",
            FileType::Csr => "csr",
            FileType::Survey => "survey",
            FileType::CheckIn => "check-in",
            FileType::File => "file",
            FileType::Other(text) => text,
        }
    }

    /// The extension that the specification gives for this type; `None` where the file's own decides.
    pub fn extension(&self) -> Option<&'static str> {
        match self {
            FileType::Picture | FileType::Csr => Some("jpg"),
            FileType::Survey => Some("pdf"),
            FileType::CheckIn => Some("json"),
            FileType::File | FileType::Other(_) => None,
        }
    }
}

/// `authenticated`, `csrCertifiedTime` and `csrCertifiedLocation` mean one thing for an item and another for a CSR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certified {
    /// Of one item: it is, or it isn't known to be.
    Item(bool),
    /// Of a CSR: how many of its photos are.
    Count(i64),
}

macro_rules! upload_fields {
    ($($(#[$doc:meta])* $field:ident = $name:literal,)*) => {
        /// The fields that are plain text, by their names in the payload.
        pub const TEXT_FIELDS: &[&str] = &[$($name),*];

        /// One published item: *Available uploadPictures Object Fields*. Scalars come as text whatever JSON type they
        /// had; `None` is any way of saying nothing.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Upload {
            $($(#[$doc])* pub $field: Option<String>,)*
            /// What kind of item; [`FileType::Other`] with an empty text if it was missing.
            pub file_type: FileType,
            /// `attribute1` to `attribute30`: 1-6 the project's address, 7-15 of the work order, 16-30 the service's
            /// 1-15.
            pub attributes: BTreeMap<u8, String>,
            /// `survey`: the answers, for surveys.
            pub survey: Option<Survey>,
            /// `timestamp`: when it was sent, by Pruvan's clock.
            pub timestamp: Option<Timestamp>,
            /// Every field of the payload as it came, those above and unknown ones; never credentials.
            pub fields: Map<String, Value>,
        }

        impl Upload {
            /// Reads the fields of a payload without its credentials. Nothing in them can make this fail.
            pub fn from_fields(fields: Map<String, Value>) -> Upload {
                let get = |name: &str| fields.get(name).and_then(text);
                Upload {
                    $($field: get($name),)*
                    file_type: FileType::parse(&get("fileType").unwrap_or_default()),
                    attributes: (1..=30).filter_map(|n| Some((n, get(&format!("attribute{n}"))?))).collect(),
                    survey: fields.get("survey").and_then(Survey::parse),
                    timestamp: fields.get("timestamp").and_then(integer).and_then(unix),
                    fields,
                }
            }
        }
    };
}

upload_fields! {
    /// The id of the picture in Pruvan's database.
    picture_id = "pictureId",
    /// The UUID of the item, the key for publishing again.
    uu_id = "uuId",
    /// The UUID of the parent: `key1` for photos of work orders, the survey instance for survey photos.
    parent_uuid = "parentUuid",
    /// The project's id in Pruvan.
    key1 = "key1",
    /// The project's number as the user sees it.
    key2 = "key2",
    /// The task's id in Pruvan.
    key3 = "key3",
    /// The task's name as the user sees it.
    key4 = "key4",
    /// A key that the specification calls unused.
    key5 = "key5",
    /// The file's extension, with or without a dot.
    file_ext = "fileExt",
    /// A name for people, made from a time in milliseconds. Not unique, and not to be trusted as a path.
    file_name = "fileName",
    /// Such as before, during, after; or a survey question's id. Any value and any case may come.
    evidence_type = "evidenceType",
    /// The survey template's id; see [`Upload::survey_template`].
    template = "template",
    /// Notes from the field.
    notes = "notes",
    /// Radius of uncertainty in metres.
    gps_accuracy = "gpsAccuracy",
    /// Where it was taken: degrees of latitude.
    gps_latitude = "gpsLatitude",
    /// Where it was taken: degrees of longitude.
    gps_longitude = "gpsLongitude",
    /// UNIX time by the GPS receiver; see [`Upload::taken`].
    gps_timestamp = "gpsTimestamp",
    /// See [`Upload::authenticated`].
    authenticated_text = "authenticated",
    /// Between the project's address and the device, in feet.
    location_difference = "locationDifference",
    /// See [`Upload::certified_time`].
    csr_certified_time = "csrCertifiedTime",
    /// `mobile` or `Mobile2`: taken with the Pruvan app.
    csr_location_source = "csrLocationSource",
    /// 1 for a picture; a CSR's number of photos.
    csr_picture_count = "csrPictureCount",
    /// `mobile` or `Mobile2`: taken with the Pruvan app.
    csr_time_stamp_source = "csrTimeStampSource",
    /// See [`Upload::certified_location`].
    csr_certified_location = "csrCertifiedLocation",
    /// iOS devices begin with `ios-`.
    device_id = "deviceId",
    /// The device's phone number.
    phone_number = "phoneNumber",
    /// The photo's status in Pruvan.
    status = "status",
    /// Version of the mobile app.
    uploader_version = "uploaderVersion",
    /// The batch of uploads in which the app sent it.
    batch_id = "batchId",
    /// The day of work, without a zone.
    work_day = "workDay",
    /// The project's client code.
    client_code = "clientCode",
    /// The master user of the account that published it.
    created_by = "createdBy",
    /// The subuser that took the item.
    created_by_sub_user = "createdBySubUser",
    /// Who updated the record last.
    last_updated_by = "lastUpdatedBy",
    /// Local time without a zone, kept as it came.
    creation_date = "creationDate",
    /// Link to the MP4 of a video, valid for 24 hours.
    video_uri = "videoUri",
}

/// A whole uploadPictures payload.
#[derive(Debug)]
pub struct UploadRequest {
    /// Which user publishes it, and how that is proved.
    pub credentials: Credentials,
    /// The item's own fields.
    pub upload: Upload,
}

impl UploadRequest {
    /// Reads a payload. Nothing in it can make this fail.
    pub fn from_payload(mut payload: Map<String, Value>) -> UploadRequest {
        let credentials = Credentials::take(&mut payload);
        // Only validate carries one; wherever it comes, it is as secret as the credentials.
        payload.remove("pushkey");
        UploadRequest { credentials, upload: Upload::from_fields(payload) }
    }
}

impl Upload {
    /// When it was taken, in UTC, as far as that is known at the time `now`, and what is to be said of it: the GPS
    /// receiver's time, and where that can't be true, `creationDate`, which has no zone and is read as Central Time.
    pub fn taken(&self, now: Timestamp) -> (Option<Timestamp>, Option<String>) {
        let given = self.fields.get("gpsTimestamp").and_then(integer).filter(|seconds| *seconds > 0);
        let Some(given) = given else { return (None, None) };
        let by_receiver = unix(given);
        if let Some(at) = by_receiver.filter(|at| can_be_true(*at, now)) {
            return (Some(at), None);
        }
        let device = self.fields.get("creationDate").and_then(|date| WrittenDate::parse(date).ok()?.instant().ok());
        let device = device.filter(|at| can_be_true(*at, now));
        let said = by_receiver.map_or_else(|| given.to_string(), |at| at.to_string());
        let instead = if device.is_some() { ": creationDate is taken, as Central Time" } else { "" };
        (device, Some(format!("gpsTimestamp says {said}, which can't be{instead}")))
    }

    /// When it was sent, by Pruvan's clock, if that can be true at the time `now`.
    pub fn sent(&self, now: Timestamp) -> Option<Timestamp> {
        self.timestamp.filter(|at| can_be_true(*at, now))
    }

    /// Where it was taken: latitude and longitude in degrees. `None` unless both are on the globe.
    pub fn position(&self) -> Option<(f64, f64)> {
        let latitude = self.fields.get("gpsLatitude").and_then(number).filter(|degrees| degrees.abs() <= 90.0)?;
        let longitude = self.fields.get("gpsLongitude").and_then(number).filter(|degrees| degrees.abs() <= 180.0)?;
        Some((latitude, longitude))
    }

    /// Whether the content is what the device took, or how many of a CSR's photos are.
    pub fn authenticated(&self) -> Option<Certified> {
        self.certified("authenticated")
    }

    /// Whether the time is certified, or how many of a CSR's are.
    pub fn certified_time(&self) -> Option<Certified> {
        self.certified("csrCertifiedTime")
    }

    /// Whether the place is certified, or how many of a CSR's are.
    pub fn certified_location(&self) -> Option<Certified> {
        self.certified("csrCertifiedLocation")
    }

    /// How many photos: 1 for a picture, a CSR's total.
    pub fn picture_count(&self) -> Option<i64> {
        self.fields.get("csrPictureCount").and_then(integer)
    }

    fn certified(&self, name: &str) -> Option<Certified> {
        let value = self.fields.get(name).filter(|value| !is_nothing(value))?;
        let count = integer(value)?;
        Some(if self.file_type == FileType::Csr { Certified::Count(count) } else { Certified::Item(count == 1) })
    }

    /// The template, taken apart.
    pub fn survey_template(&self) -> Option<SurveyTemplate> {
        self.template.as_deref().map(SurveyTemplate::parse)
    }

    /// The host's number of the work order: `key2` without a client code in front.
    pub fn work_order_number(&self) -> Option<&str> {
        self.key2.as_deref().map(crate::status::host_number).filter(|number| !number.is_empty())
    }
}

/// `{"status":true,"error":null}`, or `false` and a message.
#[derive(Debug, Serialize)]
pub struct UploadReply {
    status: bool,
    error: Option<String>,
}

impl UploadReply {
    /// The reply that acknowledges an item: it is stored for good.
    pub fn stored() -> UploadReply {
        UploadReply { status: true, error: None }
    }

    /// It is not, with a message that Pruvan shows as it is. A person must then publish the item again.
    pub fn refused(error: &str) -> UploadReply {
        UploadReply { status: false, error: Some(ascii(error).into_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn upload(payload: Value) -> Upload {
        let Value::Object(payload) = payload else { unreachable!() };
        UploadRequest::from_payload(payload).upload
    }

    #[test]
    fn the_same_field_is_a_flag_or_a_count() {
        assert_eq!(
            upload(json!({"fileType": "picture", "authenticated": "1"})).authenticated(),
            Some(Certified::Item(true))
        );
        assert_eq!(upload(json!({"fileType": "CSR", "authenticated": "1"})).authenticated(), Some(Certified::Count(1)));
        assert_eq!(
            upload(json!({"fileType": "csr", "csrCertifiedTime": 12})).certified_time(),
            Some(Certified::Count(12))
        );
        assert_eq!(upload(json!({"csrCertifiedLocation": "null"})).certified_location(), None);
        assert_eq!(upload(json!({"csrPictureCount": "7"})).picture_count(), Some(7));
    }

    #[test]
    fn file_types_are_an_open_set() {
        for (text, file_type) in [
            ("picture", FileType::Picture),
            ("CSR", FileType::Csr),
            ("Check-In", FileType::CheckIn),
            ("checkin", FileType::CheckIn),
            ("file", FileType::File),
            ("survey", FileType::Survey),
            ("report", FileType::Other("report".into())),
        ] {
            assert_eq!(FileType::parse(text), file_type);
        }
    }

    #[test]
    fn a_time_that_cannot_be_true_decides_nothing() {
        let now = unix(1_795_435_200).unwrap();
        let taken = |gps: Value, device: &str| {
            let (at, doubt) = upload(json!({ "gpsTimestamp": gps, "creationDate": device })).taken(now);
            (at.map(|at| at.to_string()).unwrap_or_default(), doubt.unwrap_or_default())
        };
        let device = "2026-11-23T16:04:05Z".to_owned();
        // 1995, 2100, the turn of a receiver's weeks, milliseconds of 2100.
        for gps in [
            json!(801_014_400),
            json!(4_102_444_800_i64),
            json!("801014400"),
            json!(1_176_000_000),
            json!(4_102_444_800_000_i64),
        ] {
            let (at, doubt) = taken(gps, "2026-11-23 10:04:05");
            assert!(at == device && doubt.contains("can't be: creationDate is taken"), "{at} {doubt}");
        }
        for device in ["", "1995-01-01 10:00:00", "2100-01-01 10:00:00", "soon"] {
            let (at, doubt) = taken(json!(801_014_400), device);
            assert_eq!((at.as_str(), doubt.as_str()), ("", "gpsTimestamp says 1995-05-21T00:00:00Z, which can't be"));
        }
        assert_eq!(taken(json!(null), "2026-11-23 10:04:05"), (String::new(), String::new()), "nobody knows its zone");
        let sent = |at: i64| upload(json!({ "timestamp": at })).sent(now).map(Timestamp::as_second);
        assert_eq!(sent(1_795_435_200 + 86_400), Some(1_795_435_200 + 86_400));
        for never in [1_795_435_200 + 86_401, 99_999_999_999, 0, -5, 801_014_400] {
            assert_eq!(sent(never), None, "{never}");
        }
    }

    #[test]
    fn times_and_places() {
        let item = upload(
            json!({"gpsTimestamp": "1414434574", "gpsLatitude": "30.5", "gpsLongitude": -97.6, "timestamp": 1414434590}),
        );
        let now = unix(1_795_435_200).unwrap();
        assert_eq!(item.taken(now), (unix(1414434574), None));
        assert_eq!(item.position(), Some((30.5, -97.6)));
        assert_eq!(item.timestamp.unwrap().as_second(), 1414434590);
        assert_eq!(upload(json!({"gpsLatitude": "91", "gpsLongitude": "0"})).position(), None);
    }
}
