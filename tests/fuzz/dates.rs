//! Dates as somebody wrote them: `shared/pruvan/src/dates.rs`. An input is a text, or the digits of a number.

use pruvan::dates::WrittenDate;
use serde_json::{Value, json};

use crate::choices::Choices;
use crate::{Target, Whole};

pub const DATES: Target = Target {
    name: "dates",
    about: "a date or a UNIX time in any form",
    make,
    any,
    floods: &[
        ("", "1", ""),
        ("2026-05-25 ", " ", "1200"),
        ("", "-", ""),
        ("2026-05-25T", "1:", ""),
        ("2026-05-25 1200 +", "0", ""),
    ],
    most: 1_000_000,
};

/// Days since 1970 of a day in the Gregorian calendar, by counting and not as the parser does it.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let before = year - 1;
    let years = before * 365 + before / 4 - before / 100 + before / 400;
    let lengths = [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let months: i64 = lengths.iter().take(usize::try_from(month - 1).unwrap_or(0)).sum();
    years + months + day - 1 - 719_162
}

/// Hours that Central Time is behind UTC at a local time, by the rule since 2007; `None` on the two days of a change.
fn central(year: i64, month: i64, day: i64) -> Option<i64> {
    // 1970 began on a Thursday.
    let sunday = |month: i64, number: i64| {
        let first = days(year, month, 1);
        let to_sunday = (3 - first).rem_euclid(7);
        first + to_sunday + 7 * (number - 1)
    };
    let (today, begins, ends) = (days(year, month, day), sunday(3, 2), sunday(11, 1));
    if today == begins || today == ends {
        None
    } else if today > begins && today < ends {
        Some(5)
    } else {
        Some(6)
    }
}

fn make(choices: &mut Choices) -> (Vec<u8>, Whole) {
    let (year, month, day) = (choices.within(2007, 2199), choices.within(1, 12), choices.within(1, 28));
    let (hour, minute, second) = (choices.within(0, 23), choices.within(0, 59), choices.within(0, 59));
    let (sign, hours, minutes) = (*choices.one(&[1, -1]), choices.within(0, 14), *choices.one(&[0, 30, 45]));
    let midnight = days(year, month, day) * 86_400;
    let (seconds, half) = (hour * 3600 + minute * 60, if hour < 12 { "AM" } else { "PM" });
    let date = match choices.below(4) {
        0 => format!("{month}/{day}/{year}"),
        1 => format!("{year}/{month:02}/{day:02}"),
        _ => format!("{year}-{month:02}-{day:02}"),
    };
    let (time, of_day) = match choices.below(4) {
        0 => (format!("{hour:02}{minute:02}"), seconds),
        1 => (format!("{hour:02}:{minute:02}:{second:02}"), seconds + second),
        2 => (format!("{hour:02}:{minute:02}:{second:02}.123"), seconds + second),
        _ => (format!("{}:{minute:02} {half}", if hour % 12 == 0 { 12 } else { hour % 12 }), seconds),
    };
    let between = *choices.one(&[" ", "T", "  "]);
    let offset = sign * (hours * 3600 + minutes * 60);
    let plus = if sign < 0 { '-' } else { '+' };
    let central = central(year, month, day).map(|behind| behind * 3600);
    // What was written, the instant that is meant, and whether the day that is meant is the one written.
    let (text, instant, written) = match choices.below(9) {
        0 => (date, central.map(|behind| midnight + behind), true),
        1 => (format!("{date}{between}{time}"), central.map(|behind| midnight + of_day + behind), true),
        2 => (format!("{date}{between}{time}Z"), Some(midnight + of_day), true),
        3 => (format!("{date} {time} {plus}{hours:02}{minutes:02}"), Some(midnight + of_day - offset), true),
        4 => (format!("{date}{between}{time}{plus}{hours:02}:{minutes:02}"), Some(midnight + of_day - offset), true),
        5 => (format!("{date} {time} {plus}{hours}"), Some(midnight + of_day - sign * hours * 3600), true),
        6 => (format!("{year}{month:02}{day:02}"), central.map(|behind| midnight + behind), true),
        7 => ((midnight + seconds).to_string(), Some(midnight + seconds), false),
        _ => ((midnight * 1000 + second).to_string(), Some(midnight), false),
    };
    let input = text.clone().into_bytes();
    let check = move || {
        for value in values(&text) {
            let read = WrittenDate::parse(&value);
            let Ok(read) = read else { panic!("{value} is no date") };
            if let Some(instant) = instant {
                assert_eq!(read.instant().map(|instant| instant.as_second()), Ok(instant), "{value}");
            }
            if written {
                assert_eq!(read.day().to_string(), format!("{year}-{month:02}-{day:02}"), "{value}");
            }
        }
    };
    (input, Box::new(check))
}

/// The text, and the number that it may be.
fn values(text: &str) -> Vec<Value> {
    let number: Option<Value> = serde_json::from_str(text).ok().filter(Value::is_number);
    std::iter::once(json!(text)).chain(number).collect()
}

fn any(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let parsed: Vec<_> = values(&text).iter().map(WrittenDate::parse).collect();
    if let [text, number] = parsed.as_slice() {
        assert_eq!(text, number, "a number says the same as its digits");
    }
    for date in parsed.into_iter().flatten() {
        assert!((1900..=9999).contains(&date.day().year()), "{date:?}");
        let due = date.due_date();
        assert!(due.len() == 18 && due.ends_with(" 1200 +0"), "{due}");
        let again = WrittenDate::parse(&json!(due));
        assert_eq!(again.as_ref().map(|date| date.day()), Ok(date.day()));
        assert!(again.is_ok_and(|date| !date.would_shift()), "{due}");
        // The last day of all, and what lies before the first once it is written in UTC, have no instant to print.
        let (Ok(sent), Ok(instant)) = (date.sent(), date.instant()) else { continue };
        if sent.starts_with("1899") {
            continue;
        }
        let Ok(again) = WrittenDate::parse(&json!(sent)) else { panic!("{sent} is sent, and no date") };
        // Before 1970 a part of a second belongs to the minute before.
        let minute = instant.as_millisecond().div_euclid(60_000) * 60;
        assert_eq!(again.instant().map(|again| again.as_second()), Ok(minute), "{sent}");
        assert_eq!(again.sent(), Ok(sent), "what is sent is sent as it is");
    }
}
