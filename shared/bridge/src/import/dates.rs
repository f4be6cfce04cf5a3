//! Dates as people and spreadsheets write them, brought into the form `YYYY-MM-DD`, in which no one can mistake the day
//! for the month.

use pruvan::lenient::text;
use pruvan::rewrite::Alteration;
use pruvan::work_order::{Kind, Remark, WORK_ORDER_FIELDS};
use serde_json::Value;

use super::row::{DateOrder, Row};

/// A date whose parts were told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// It can be read in one way only: year, month, day.
    Sure(i16, i8, i8),
    /// Only the month can come first, or only the day.
    Only(DateOrder, (i16, i8, i8)),
    /// Both days exist, so that the parts can't be told apart by themselves.
    Both { month_first: (i16, i8, i8), day_first: (i16, i8, i8) },
}

/// Brings the dates of all rows into one form. `order` is what the sender says; where nothing is said, a date that can
/// be read in one way only decides for the others, and where there is none such, the month comes first and each such
/// date is told.
pub(super) fn settle(rows: &mut [Row], order: Option<DateOrder>, in_table: bool) {
    let fields = || WORK_ORDER_FIELDS.iter().filter(|field| matches!(field.kind, Kind::DueDate | Kind::Date));
    let readings = rows.iter().flat_map(|row| {
        let order = row.order.as_ref().ok();
        fields().filter_map(move |field| read(&text(order?.get(field.name)?)?, in_table).map(|(reading, _)| reading))
    });
    let (mut month_first, mut day_first) = (false, false);
    for reading in readings {
        match reading {
            Reading::Only(DateOrder::MonthFirst, _) => month_first = true,
            Reading::Only(DateOrder::DayFirst, _) => day_first = true,
            _ => {}
        }
    }
    let found = match (month_first, day_first) {
        (true, false) => Some(DateOrder::MonthFirst),
        (false, true) => Some(DateOrder::DayFirst),
        _ => None,
    };
    for row in rows {
        for field in fields() {
            settle_one(row, field.name, order, found, in_table);
        }
    }
}

fn settle_one(row: &mut Row, name: &str, order: Option<DateOrder>, found: Option<DateOrder>, in_table: bool) {
    let Ok(fields) = &mut row.order else { return };
    let Some(written) = fields.get(name).and_then(text) else { return };
    let Some((reading, rest)) = read(&written, in_table) else { return };
    let (date, fault) = match reading {
        Reading::Sure(year, month, day) => ((year, month, day), None),
        Reading::Only(only, date) => {
            let against = order.filter(|order| *order != only);
            (date, against.map(|_| "can't be read in the order that was asked for"))
        }
        Reading::Both { month_first, day_first } => match order.or(found) {
            Some(DateOrder::DayFirst) => (day_first, None),
            _ => (month_first, None),
        },
    };
    if let Some(fault) = fault {
        row.order = Err(format!("has a {name} that {fault}: {written:?}"));
        return;
    }
    let (year, month, day) = date;
    let sent = format!("{year:04}-{month:02}-{day:02}{rest}");
    if matches!(reading, Reading::Both { .. }) && order.or(found).is_none() {
        let why = "could be read both ways; the month was taken to come first: say dates=dmy (--dates dmy) if it is the day, or mdy";
        let altered = vec![Alteration { before: written.clone(), after: sent.clone() }];
        row.warnings.push(Remark::altered(format!("/{name}"), why, altered));
    }
    fields.insert(name.to_owned(), Value::from(sent));
}

/// Reads a date that isn't in one of the forms that are sent as they are, and what follows its day: a time.
fn read(written: &str, in_table: bool) -> Option<(Reading, String)> {
    let written = written.trim();
    if in_table && let Some(reading) = day_number(written) {
        return Some((reading, String::new()));
    }
    let end = written.find([' ', 'T']).filter(|end| !written[..*end].contains(char::is_alphabetic));
    let (day, rest) = match end {
        // `1 Dec 2026` has spaces in the day itself.
        Some(_) if written.contains(char::is_alphabetic) && named(written).is_some() => (written, ""),
        Some(end) => written.split_at(end),
        None => (written, ""),
    };
    if let Some(reading) = named(day) {
        return Some((reading, rest.to_owned()));
    }
    let sign = ['/', '-', '.'].into_iter().find(|sign| day.contains(*sign))?;
    let parts: Vec<&str> = day.split(sign).collect();
    let [a, b, c] = parts.as_slice() else { return None };
    let year = year(c)?;
    let (a, b) = (small(a)?, small(b)?);
    let month_first = valid(year, a, b);
    let day_first = valid(year, b, a);
    // With dots, the day comes first wherever that is written.
    let reading = match (month_first, day_first) {
        (_, Some((year, month, day))) if sign == '.' => Reading::Sure(year, month, day),
        (Some(month_first), Some(day_first)) if month_first == day_first => {
            Reading::Sure(month_first.0, month_first.1, month_first.2)
        }
        (Some(month_first), Some(day_first)) => Reading::Both { month_first, day_first },
        (Some(date), None) => Reading::Only(DateOrder::MonthFirst, date),
        (None, Some(date)) => Reading::Only(DateOrder::DayFirst, date),
        (None, None) => return None,
    };
    Some((reading, rest.to_owned()))
}

/// `46357`: what a spreadsheet makes of a date whose cell lost its format, the days since 1899-12-30.
fn day_number(written: &str) -> Option<Reading> {
    let number: i64 = written.strip_suffix(".0").unwrap_or(written).parse().ok()?;
    // From 1995 to 2064.
    let days = (35_000..60_000).contains(&number).then_some(number)?;
    let date = jiff::civil::date(1899, 12, 30).checked_add(jiff::Span::new().days(days)).ok()?;
    Some(Reading::Sure(date.year(), date.month(), date.day()))
}

/// `1-Dec-26`, `1 December 2026`, `Dec 1, 2026`, `01.Dez.2026`.
fn named(day: &str) -> Option<Reading> {
    const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let parts: Vec<&str> = day.split(['-', '/', '.', ' ', ',']).filter(|part| !part.is_empty()).collect();
    let [a, b, c] = parts.as_slice() else { return None };
    let month = |part: &str| {
        let short = part.get(..3)?.to_ascii_lowercase();
        let at = part.chars().all(char::is_alphabetic).then(|| MONTHS.iter().position(|month| *month == short))??;
        i8::try_from(at + 1).ok()
    };
    let (month, day) = match (month(a), month(b)) {
        (Some(month), None) => (month, small(b)?),
        (None, Some(month)) => (month, small(a)?),
        _ => return None,
    };
    let (year, month, day) = valid(year(c)?, month, day)?;
    Some(Reading::Sure(year, month, day))
}

/// Of four digits, or of two in this century.
fn year(text: &str) -> Option<i16> {
    let number: i16 = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())??;
    match text.len() {
        2 => Some(2000 + number),
        4 => Some(number),
        _ => None,
    }
}

fn small(text: &str) -> Option<i8> {
    (matches!(text.len(), 1 | 2) && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

fn valid(year: i16, month: i8, day: i8) -> Option<(i16, i8, i8)> {
    jiff::civil::Date::new(year, month, day).ok().map(|_| (year, month, day))
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    fn settled(dates: &[&str], order: Option<DateOrder>) -> Vec<(String, usize)> {
        let row = |date: &&str| {
            let fields = Map::from_iter([("dueDate".to_owned(), json!(date))]);
            Row { order: Ok(fields), ..Row::default() }
        };
        let mut rows: Vec<Row> = dates.iter().map(row).collect();
        settle(&mut rows, order, true);
        let shown = |row: &Row| match &row.order {
            Ok(fields) => (fields["dueDate"].as_str().unwrap().to_owned(), row.warnings.len()),
            Err(fault) => (fault.clone(), row.warnings.len()),
        };
        rows.iter().map(shown).collect()
    }

    #[test]
    fn dates_that_can_be_read_in_one_way_only_are_read_so() {
        for (written, date) in [
            ("01.12.2026", "2026-12-01"),
            ("1-Dec-26", "2026-12-01"),
            ("1 December 2026", "2026-12-01"),
            ("Dec 1, 2026", "2026-12-01"),
            ("12/25/26", "2026-12-25"),
            ("12/25/2026 8:00 AM", "2026-12-25 8:00 AM"),
            ("25/12/2026", "2026-12-25"),
            ("5/5/2026", "2026-05-05"),
            ("46357", "2026-12-01"),
            ("2026-12-01", "2026-12-01"),
            ("2026-12-01T08:00:00Z", "2026-12-01T08:00:00Z"),
            ("soon", "soon"),
            ("31/31/2026", "31/31/2026"),
        ] {
            assert_eq!(settled(&[written], None), [(date.to_owned(), 0)], "{written}");
        }
    }

    #[test]
    fn the_sender_says_which_part_comes_first() {
        assert_eq!(settled(&["03/04/2026"], Some(DateOrder::DayFirst)), [("2026-04-03".to_owned(), 0)]);
        assert_eq!(settled(&["03/04/26"], Some(DateOrder::MonthFirst)), [("2026-03-04".to_owned(), 0)]);
        let refused = &settled(&["25/12/2026"], Some(DateOrder::MonthFirst))[0].0;
        assert!(refused.starts_with("has a dueDate that can't be read in the order"), "{refused}");
    }

    #[test]
    fn what_could_be_read_both_ways_is_told_unless_the_file_decides() {
        assert_eq!(settled(&["03/04/2026"], None), [("2026-03-04".to_owned(), 1)]);
        assert_eq!(
            settled(&["03/04/2026", "25/12/2026"], None),
            [("2026-04-03".to_owned(), 0), ("2026-12-25".to_owned(), 0)]
        );
        assert_eq!(
            settled(&["03/04/2026", "12/25/2026"], None),
            [("2026-03-04".to_owned(), 0), ("2026-12-25".to_owned(), 0)]
        );
    }
}
