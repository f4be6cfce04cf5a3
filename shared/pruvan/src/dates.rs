//! *Date Fields*: UNIX times and dated strings, and the special case of `dueDate`.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use serde_json::Value;

use crate::lenient::{self, integer};

/// A date as somebody wrote it. What was not written (a time, a zone) is not made up until it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrittenDate {
    /// Seconds since 1970, UTC.
    Unix(Timestamp),
    /// A day without a time: midnight Central Time, by the specification.
    Day(Date),
    /// A day and a time without an offset: Central Time as well.
    Local(DateTime),
    /// A day and a time at an offset from UTC.
    Offset(DateTime, Offset),
}

/// Those that can be written with four digits, and are meant.
const YEARS: std::ops::RangeInclusive<i16> = 1900..=9999;

/// What can't be read as a date.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "is not a date: write YYYY-MM-DD, YYYY-MM-DD HHMM +0, YYYY-MM-DDTHH:MM:SS-06:00, M/D/YYYY, or a UNIX time in seconds"
)]
pub struct DateError;

/// A UNIX time in seconds, or in milliseconds if it is above 10^11 (seconds reach that in the year 5138).
pub fn unix(number: i64) -> Option<Timestamp> {
    if number.unsigned_abs() > 100_000_000_000 {
        Timestamp::from_millisecond(number).ok()
    } else {
        Timestamp::from_second(number).ok()
    }
}

/// 2010, when there was no Pruvan API to send anything by.
const BEFORE_THE_API: i64 = 1_262_304_000;

/// Whether a time that came from outside can be true at the time `now`: not before there was such an API, and at most a
/// day ahead of it, as a clock may be that is set to another zone. What can't be true decides nothing.
pub fn can_be_true(at: Timestamp, now: Timestamp) -> bool {
    at.as_second() >= BEFORE_THE_API && at.as_second() <= now.as_second() + 24 * 3600
}

/// Whether a value is how software writes that there is no date: MySQL's zero, or the first day that .NET has.
pub fn is_no_date(value: &Value) -> bool {
    const ZEROS: [&str; 7] =
        ["0000-00-00", "0001-01-01", "00/00/0000", "01/01/0001", "1/1/0001", "-62135596800", "-62135596800000"];
    let text = lenient::text(value).unwrap_or_default();
    // What follows is a time of midnight.
    let midnight = |rest: &str| {
        let begins = rest.starts_with(['T', 't', ' ']) || rest.is_empty();
        begins && rest.chars().all(|c| matches!(c, '0' | ':' | '.' | 'T' | 't' | ' ' | 'Z' | 'z' | '+' | '-'))
    };
    ZEROS.iter().any(|zero| text.strip_prefix(zero).is_some_and(midnight))
}

impl WrittenDate {
    /// Reads a number or a string in any of the forms that the specification and live integrations use.
    pub fn parse(value: &Value) -> Result<WrittenDate, DateError> {
        let date = WrittenDate::read(value)?;
        // What is outside is a slip, or nothing as a database writes it (0001-01-01). In Central Time the end of the
        // last year is past what there is, and its days are still days.
        if YEARS.contains(&date.day().year()) { Ok(date) } else { Err(DateError) }
    }

    fn read(value: &Value) -> Result<WrittenDate, DateError> {
        if let Some(number) = integer(value) {
            // Eight digits are a day and no time in 1970; what is shorter is neither.
            if number.unsigned_abs() < 100_000_000 {
                return compact_day(number).map(WrittenDate::Day).ok_or(DateError);
            }
            return unix(number).map(WrittenDate::Unix).ok_or(DateError);
        }
        let text = lenient::text(value).filter(|text| text.len() <= 64).ok_or(DateError)?;
        parse_text(&text).ok_or(DateError)
    }

    /// The instant: Central Time where no offset was written.
    pub fn instant(self) -> Result<Timestamp, DateError> {
        match self {
            WrittenDate::Unix(instant) => Ok(instant),
            WrittenDate::Day(day) => central(day.at(0, 0, 0, 0)),
            WrittenDate::Local(local) => central(local),
            WrittenDate::Offset(local, offset) => offset.to_timestamp(local).map_err(|_| DateError),
        }
    }

    /// The day that the writer meant: the one written, whatever day it is elsewhere; of a UNIX time, the day in UTC.
    pub fn day(self) -> Date {
        match self {
            WrittenDate::Unix(instant) => utc_day(instant),
            WrittenDate::Day(day) => day,
            WrittenDate::Local(local) | WrittenDate::Offset(local, _) => local.date(),
        }
    }

    /// `dueDate` as it is sent: noon UTC of the intended day, so that the same date is shown in most of the world
    /// (*dueDate*).
    pub fn due_date(self) -> String {
        format!("{} 1200 +0", self.day())
    }

    /// Whether Pruvan, converting what was written to UTC, would have shown another day than the one written.
    pub fn would_shift(self) -> bool {
        self.instant().is_ok_and(|instant| utc_day(instant) != self.day())
    }

    /// Whether a time of day was written that says more than the day: not midnight, nor the noon that is sent.
    pub fn has_time(self) -> bool {
        match self {
            WrittenDate::Unix(_) | WrittenDate::Day(_) => false,
            WrittenDate::Local(local) => local.time() != Time::midnight(),
            WrittenDate::Offset(local, offset) => {
                local.time() != Time::midnight() && (local.hour(), local.minute(), offset) != (12, 0, Offset::UTC)
            }
        }
    }

    /// Any other date field as it is sent: a day alone stays alone (Pruvan takes it as midnight Central Time), all else
    /// is `YYYY-MM-DD HHMM +0` in UTC.
    pub fn sent(self) -> Result<String, DateError> {
        Ok(match self {
            WrittenDate::Day(day) => day.to_string(),
            other => Offset::UTC.to_datetime(other.instant()?).strftime("%Y-%m-%d %H%M +0").to_string(),
        })
    }
}

fn utc_day(instant: Timestamp) -> Date {
    Offset::UTC.to_datetime(instant).date()
}

/// Central Time, compiled in.
static CENTRAL: TimeZone = jiff::tz::get!("America/Chicago");

fn central(local: DateTime) -> Result<Timestamp, DateError> {
    CENTRAL.to_timestamp(local).map_err(|_| DateError)
}

fn parse_text(text: &str) -> Option<WrittenDate> {
    let (day, rest) = match text.find([' ', 'T', 't']) {
        Some(end) => (parse_day(&text[..end])?, text[end + 1..].trim()),
        None => (parse_day(text)?, ""),
    };
    if rest.is_empty() {
        return Some(WrittenDate::Day(day));
    }
    // The offset begins at the first sign, or is a final Z.
    let (time, offset) = match rest.find(['+', '-']) {
        Some(sign) => (rest[..sign].trim(), Some(parse_offset(&rest[sign..])?)),
        None => match rest.strip_suffix(['Z', 'z']).or_else(|| rest.strip_suffix("UTC")) {
            Some(time) => (time.trim(), Some(Offset::UTC)),
            None => (rest, None),
        },
    };
    let local = day.to_datetime(parse_time(time)?);
    Some(match offset {
        Some(offset) => WrittenDate::Offset(local, offset),
        None => WrittenDate::Local(local),
    })
}

/// A day that is written as the number `YYYYMMDD`.
fn compact_day(number: i64) -> Option<Date> {
    let year = i16::try_from(number / 10_000).ok().filter(|year| YEARS.contains(year))?;
    Date::new(year, i8::try_from(number / 100 % 100).ok()?, i8::try_from(number % 100).ok()?).ok()
}

/// `YYYY-MM-DD`, `YYYY/MM/DD` or the American `M/D/YYYY`.
fn parse_day(text: &str) -> Option<Date> {
    let separator = if text.contains('-') { '-' } else { '/' };
    let mut parts = text.split(separator).map(digits::<i16>);
    let (a, b, c) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() {
        return None;
    }
    let (year, month, day) = if text.find(separator)? == 4 {
        (a, b, c)
    } else if separator == '/' && text.rsplit(separator).next()?.len() == 4 {
        (c, a, b)
    } else {
        return None;
    };
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

/// `HHMM`, `H:MM`, `HH:MM:SS` with or without a fraction, each with or without AM or PM.
fn parse_time(text: &str) -> Option<Time> {
    let upper = text.to_ascii_uppercase();
    let (clock, half) = match (upper.strip_suffix("AM"), upper.strip_suffix("PM")) {
        (Some(clock), _) => (clock.trim(), Some(0)),
        (_, Some(clock)) => (clock.trim(), Some(12)),
        _ => (upper.as_str(), None),
    };
    let clock = clock.split('.').next()?;
    let (mut hour, minute, second): (i8, i8, i8) = if clock.contains(':') {
        let mut parts = clock.split(':').map(digits);
        let (hour, minute) = (parts.next()??, parts.next()??);
        let second = parts.next().unwrap_or(Some(0))?;
        if parts.next().is_some() {
            return None;
        }
        (hour, minute, second)
    } else if clock.len() == 4 && clock.is_ascii() {
        (digits(&clock[..2])?, digits(&clock[2..])?, 0)
    } else {
        return None;
    };
    if let Some(half) = half {
        if !(1..=12).contains(&hour) {
            return None;
        }
        hour = hour % 12 + half;
    }
    Time::new(hour, minute, second, 0).ok()
}

/// `+0`, `-06`, `+5`, `-0600`, `+05:30`.
fn parse_offset(text: &str) -> Option<Offset> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let rest = text.get(1..)?.trim();
    let (hours, minutes) = match rest.split_once(':') {
        Some((hours, minutes)) => (hours, minutes),
        None if rest.len() == 4 && rest.is_ascii() => rest.split_at(2),
        None => (rest, "0"),
    };
    let (hours, minutes): (i32, i32) = (digits(hours)?, digits(minutes)?);
    if hours > 14 || minutes > 59 {
        return None;
    }
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
}

fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    if text.is_empty() || text.len() > 4 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn due(value: Value) -> String {
        WrittenDate::parse(&value).map_or_else(|error| error.to_string(), WrittenDate::due_date)
    }

    #[test]
    fn the_zeros_of_databases_are_no_date() {
        for zero in [
            "0000-00-00",
            "0000-00-00 00:00:00",
            "0001-01-01T00:00:00",
            "0001-01-01T00:00:00.0000000Z",
            "1/1/0001 00:00:00",
            "-62135596800",
        ] {
            assert!(is_no_date(&json!(zero)), "{zero}");
        }
        for other in ["0000-00-01", "0001-01-02", "0001-01-01T10:00:00", "0001-01-011", "2016-05-25", "", "0"] {
            assert!(!is_no_date(&json!(other)), "{other}");
        }
        assert!(is_no_date(&json!(-62_135_596_800_i64)));
    }

    #[test]
    fn due_date_is_noon_utc_of_the_intended_day() {
        let noon = "2016-05-25 1200 +0";
        for written in [
            json!("2016-05-25 1200 +0"),
            json!("2016-05-25"),
            json!("20160525"),
            json!(20160525),
            json!("5/25/2016"),
            json!("05/25/2016"),
            json!("2016-05-25 2359 -07"),
            json!("2016-05-25T23:59:59-07:00"),
            json!("2016-05-25T00:30:00+05:30"),
            json!("2016-05-25 11:59 PM"),
            json!("5/25/2016 12:00:00 AM"),
            json!("2016-05-25T10:00:00Z"),
            json!("2016-05-25T10:00:00.123Z"),
            json!(1464177600),
            json!("1464177600"),
            json!(1464177600000i64),
        ] {
            assert_eq!(due(written.clone()), noon, "{written}");
        }
    }

    #[test]
    fn the_shift_that_the_specification_warns_of_is_seen() {
        let shifts = |text: &str| WrittenDate::parse(&json!(text)).unwrap().would_shift();
        assert!(shifts("2016-05-25 2359 -07"));
        assert!(!shifts("2016-05-25 1200 +0"));
        assert!(!shifts("2016-05-25"));
    }

    #[test]
    fn other_dates_keep_their_instant() {
        let sent = |text: &str| WrittenDate::parse(&json!(text)).unwrap().sent().unwrap();
        assert_eq!(sent("2016-05-25"), "2016-05-25");
        assert_eq!(sent("2016-05-25 0800 -06"), "2016-05-25 1400 +0");
        // Central Time, daylight saving and not.
        assert_eq!(sent("2016-05-25 08:00"), "2016-05-25 1300 +0");
        assert_eq!(sent("2016-01-25 08:00"), "2016-01-25 1400 +0");
        assert_eq!(WrittenDate::parse(&json!("2016-05-25")).unwrap().instant().unwrap().as_second(), 1464152400);
    }

    #[test]
    fn what_is_not_a_date() {
        for text in [
            "soon",
            "2016-13-01",
            "2016-02-30",
            "25/5/2016",
            "2016-5",
            "2016-05-25 25:00",
            "2016-05-25 10:00 +99",
            "2016-05-25 13:00 PM",
            "5/25/16",
            "--",
            "2016-05-25 1200 +",
            "",
            "2016-05-25 12é0",
            "2016-05-25 24:00",
            "1899-12-31",
            "0001-01-01T00:00:00",
            "-62135596800",
        ] {
            assert_eq!(WrittenDate::parse(&json!(text)), Err(DateError), "{text}");
        }
        for value in [
            json!(null),
            json!([]),
            json!({}),
            json!(true),
            json!(i64::MAX),
            json!(i64::MIN),
            json!(0),
            json!("2016"),
            json!(20161301),
        ] {
            assert_eq!(WrittenDate::parse(&value), Err(DateError), "{value}");
        }
    }

    #[test]
    fn the_first_and_the_last_year() {
        assert_eq!(due(json!("1900-01-01")), "1900-01-01 1200 +0");
        assert_eq!(due(json!("9999-12-31")), "9999-12-31 1200 +0");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = WrittenDate::parse(&Value::String(text));
        }

        #[test]
        fn what_is_sent_is_read_back(second in 100_000_000i64..4_000_000_000) {
            let date = WrittenDate::parse(&json!(second)).unwrap();
            let again = WrittenDate::parse(&json!(date.sent().unwrap())).unwrap();
            prop_assert_eq!(again.instant().unwrap().as_second(), second.div_euclid(60) * 60);
            let due = WrittenDate::parse(&json!(date.due_date())).unwrap();
            prop_assert_eq!(due.day(), date.day());
            prop_assert!(!due.would_shift());
        }
    }
}
