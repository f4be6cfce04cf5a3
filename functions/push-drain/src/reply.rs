//! What a reply of the Push API says, and what it means for each order that the call carried: the rules, without I/O.

use std::collections::BTreeMap;

use bridge::outbound::Called;
use pruvan::push::{PushError, PushReply};
use reqwest::StatusCode;
use secrecy::SecretString;

use crate::reason;

/// What a call came to.
#[derive(Debug)]
pub enum Reply {
    /// Pruvan looked at the orders.
    Looked(Looked),
    /// The push key is dead, in Pruvan's words.
    BadKey(String),
    /// The account can't be served now.
    Failed {
        /// Why, for the log.
        why: &'static str,
        /// And for the host, with Pruvan's words.
        reason: String,
        /// In seconds, if Pruvan asked for a pause.
        retry_after: Option<u64>,
        /// Where the fault may lie.
        fault: Fault,
    },
}

/// What Pruvan said of orders that it looked at.
#[derive(Debug, Default)]
pub struct Looked {
    /// How many it counted as created, updated or deleted.
    pub counted: u64,
    /// Those it refused by name.
    pub errors: Vec<PushError>,
    /// An error that names none of them.
    pub error: Option<String>,
}

/// Where the fault of a failed call may lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// There was no connection: no order can be at fault.
    NotReached,
    /// Pruvan said, or it is known, that it lies in no order.
    Account,
    /// In an order, or in none.
    Unknown,
}

impl Reply {
    /// Of a call that has ended; `push_key` is what must not be shown of it.
    pub fn of(called: Called, push_key: Option<&SecretString>) -> Reply {
        let (status, body, retry_after) = match called {
            Called::NotSent => return Reply::failed("there was no connection", "", None, Fault::NotReached),
            Called::NoReply => return Reply::failed("there was no reply in time", "", None, Fault::Unknown),
            Called::Answered { status, body, retry_after } => (status, body, retry_after),
        };
        let page = || reason::of_page(&body, push_key);
        let of_status = |why, fault| {
            let name = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
            let page = page();
            let words = [name.unwrap_or_default(), page.as_str()].into_iter().filter(|words| !words.is_empty());
            let words = words.collect::<Vec<_>>().join(": ");
            let reason = format!("Pruvan answered with HTTP status {status} {words}").trim_end().to_owned();
            Reply::Failed { why, reason, retry_after, fault }
        };
        match (status, PushReply::parse(&body)) {
            (_, PushReply::BadKey(words)) => Reply::BadKey(reason::shown(&words, push_key)),
            (429, _) => of_status("Pruvan answered with HTTP status 429", Fault::Account),
            (503, _) => of_status("Pruvan answered with HTTP status 503", Fault::Account),
            (200..=299, PushReply::Counted { created, updated, deleted, errors, error }) => {
                let counted = created.saturating_add(updated).saturating_add(deleted);
                Reply::Looked(Looked { counted, errors, error })
            }
            (200..=299, PushReply::Later(words)) => {
                let words = reason::shown(&words, push_key);
                Reply::failed("Pruvan asked to try again later", &words, retry_after, Fault::Account)
            }
            (200..=299, PushReply::Refused(error)) => Reply::Looked(Looked { error: Some(error), ..Looked::default() }),
            (200..=299, PushReply::BodyNotSeen) => {
                Reply::failed("Pruvan did not see the orders", "", retry_after, Fault::Account)
            }
            (200..=299, PushReply::Unreadable) => {
                let page = page();
                let words = if page.is_empty() { "it was empty" } else { page.as_str() };
                Reply::failed("the reply was none of the Push API's", words, retry_after, Fault::Unknown)
            }
            (500..=599, _) => of_status("Pruvan answered with an HTTP status of 500 or above", Fault::Unknown),
            _ => of_status("Pruvan answered with an HTTP status that is no success", Fault::Unknown),
        }
    }

    /// A call that failed as a whole, with Pruvan's words if it said any.
    pub fn failed(why: &'static str, words: &str, retry_after: Option<u64>, fault: Fault) -> Reply {
        let reason = if words.is_empty() { why.to_owned() } else { format!("{why}: {words}") };
        Reply::Failed { why, reason, retry_after, fault }
    }
}

/// An order that a call carried.
#[derive(Debug, Clone, Copy)]
pub struct Carried<'a> {
    /// The number under which a reply may name it.
    pub number: &'a str,
    /// It went as a deletion, so that it can be made anew.
    pub deletes_first: bool,
    /// The host has deleted it.
    pub is_deleted: bool,
}

impl Carried<'_> {
    /// Whether Pruvan counts it once it has taken it. A deletion counts only if there was something to delete.
    fn is_counted(&self) -> bool {
        !self.is_deleted && !self.deletes_first
    }

    /// A deletion is refused where Pruvan has no such order, or will not delete it.
    fn refused(&self, reason: String) -> Verdict {
        if self.deletes_first { Verdict::NothingToDelete } else { Verdict::Refused(reason) }
    }
}

/// What a reply means for one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Pruvan has it, and it leaves the queue.
    Taken,
    /// Pruvan refused it, in these words.
    Refused(String),
    /// The deletion that went first was refused; the order as it is goes next in any case.
    NothingToDelete,
    /// It can't be told whether Pruvan took it: it goes again.
    Again,
}

/// What a reply means for the search for an order that keeps others from being taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// The search goes on as it is, if there is one.
    None,
    /// All that was sent alone counts as taken, though Pruvan did not count it.
    NotCounted,
    /// It is among so many: half of them go next.
    Among(usize),
    /// Pruvan counted fewer than these: each goes by itself.
    Uncounted(usize),
    /// It was the one that was sent alone.
    Found,
}

/// What Pruvan's words mean for each order of a batch, in the batch's order, and for the search. `singly`: orders go
/// one by one, since Pruvan counted fewer than it was sent.
///
/// What it refused by name is refused. Of the others it can't be told which it took if it gives an error that names
/// none of them, or counts fewer than there are: they go again, in smaller batches, until one stands alone.
pub fn verdicts(batch: &[Carried<'_>], looked: Looked, singly: bool) -> (Vec<Verdict>, Finding) {
    let errors = looked.errors.into_iter().map(|error| (error.work_order_number, error.error));
    let mut named: BTreeMap<String, String> = errors.collect();
    let by_name: Vec<Option<Verdict>> =
        batch.iter().map(|order| named.remove(order.number).map(|reason| order.refused(reason))).collect();
    let others = || batch.iter().zip(&by_name).filter(|(_, verdict)| verdict.is_none()).map(|(order, _)| order);
    let (left, to_be_counted) = (others().count(), others().filter(|order| order.is_counted()).count() as u64);
    // An error of an order that was not sent is one that names none of those that were.
    let error = looked.error.or_else(|| named.into_values().next());
    let (of_others, finding) = match error {
        Some(error) if batch.len() == 1 => (batch[0].refused(error), Finding::Found),
        Some(_) if left > 0 => (Verdict::Again, Finding::Among(left)),
        _ if looked.counted >= to_be_counted => (Verdict::Taken, Finding::None),
        _ if singly => (Verdict::Taken, Finding::NotCounted),
        _ => (Verdict::Again, Finding::Uncounted(left)),
    };
    (by_name.into_iter().map(|verdict| verdict.unwrap_or_else(|| of_others.clone())).collect(), finding)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCH: [Carried<'static>; 3] = [carried("1"), carried("2"), carried("3")];

    const fn carried(number: &'static str) -> Carried<'static> {
        Carried { number, deletes_first: false, is_deleted: false }
    }

    fn counted(counted: u64) -> Looked {
        Looked { counted, ..Looked::default() }
    }

    fn error(number: &str) -> PushError {
        PushError { work_order_number: number.to_owned(), error: "invalid zip".to_owned() }
    }

    fn refused() -> Verdict {
        Verdict::Refused("invalid zip".to_owned())
    }

    /// Of a call that was answered so: why it failed, for the host.
    fn reason(status: u16, body: &str) -> String {
        let key = SecretString::from("https://direct.pruvan.com/api/?apiKey=0123456789abcdef0123");
        let called = Called::Answered { status, body: body.as_bytes().to_vec(), retry_after: None };
        match Reply::of(called, Some(&key)) {
            Reply::Failed { reason, .. } => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_call_that_failed_says_why_in_words() {
        assert_eq!(reason(500, ""), "Pruvan answered with HTTP status 500 Internal Server Error");
        assert_eq!(reason(403, "<h1>No</h1>"), "Pruvan answered with HTTP status 403 Forbidden: No");
        assert_eq!(reason(429, "slow down"), "Pruvan answered with HTTP status 429 Too Many Requests: slow down");
        assert_eq!(reason(599, ""), "Pruvan answered with HTTP status 599");
        assert_eq!(
            reason(200, "<b>Notice</b>: no apiKey=0123456789abcdef0123 {\"response\":{\"created\":1}}"),
            "the reply was none of the Push API's: Notice : no apiKey=*** {\"response\":{\"created\":1}}"
        );
        assert_eq!(reason(200, " "), "the reply was none of the Push API's: it was empty");
        let later = r#"{"response":false,"error":"limit exceeded"}"#;
        assert_eq!(reason(200, later), "Pruvan asked to try again later: limit exceeded");
    }

    #[test]
    fn what_pruvan_counts_it_has_taken() {
        assert_eq!(verdicts(&BATCH, counted(3), false), (vec![Verdict::Taken; 3], Finding::None));
    }

    #[test]
    fn what_is_refused_by_name_is_refused_and_the_others_are_taken_if_they_are_counted() {
        let looked = Looked { errors: vec![error("2")], ..counted(2) };
        let (verdicts, finding) = verdicts(&BATCH, looked, false);
        assert_eq!((verdicts, finding), (vec![Verdict::Taken, refused(), Verdict::Taken], Finding::None));
    }

    #[test]
    fn an_error_that_names_none_of_them_makes_all_go_again_in_smaller_batches() {
        let looked = Looked { error: Some("invalid zip".to_owned()), ..counted(0) };
        assert_eq!(verdicts(&BATCH, looked, false), (vec![Verdict::Again; 3], Finding::Among(3)));
        let of_a_stranger = Looked { errors: vec![error("9")], ..counted(3) };
        assert_eq!(verdicts(&BATCH, of_a_stranger, false), (vec![Verdict::Again; 3], Finding::Among(3)));
    }

    #[test]
    fn an_order_that_stands_alone_is_the_one_at_fault() {
        let looked = Looked { error: Some("invalid zip".to_owned()), ..counted(0) };
        assert_eq!(verdicts(&BATCH[..1], looked, false), (vec![refused()], Finding::Found));
    }

    #[test]
    fn orders_that_are_not_counted_go_by_themselves_and_then_count_as_taken() {
        assert_eq!(verdicts(&BATCH, counted(2), false), (vec![Verdict::Again; 3], Finding::Uncounted(3)));
        assert_eq!(verdicts(&BATCH[..1], counted(0), true), (vec![Verdict::Taken], Finding::NotCounted));
    }

    #[test]
    fn a_deletion_needs_not_be_counted_and_is_refused_where_nothing_is_to_be_deleted() {
        let deleted = Carried { is_deleted: true, ..carried("1") };
        assert_eq!(verdicts(&[deleted], counted(0), false), (vec![Verdict::Taken], Finding::None));
        let first = Carried { deletes_first: true, ..carried("1") };
        assert_eq!(verdicts(&[first], counted(0), false), (vec![Verdict::Taken], Finding::None));
        let looked = Looked { errors: vec![error("1")], ..counted(0) };
        assert_eq!(verdicts(&[first], looked, false), (vec![Verdict::NothingToDelete], Finding::None));
    }
}
