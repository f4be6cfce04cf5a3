//! What becomes of an item that is published again: the rules, without I/O.

use bridge::uploads::{UploadRow, Video};

/// How an upload that differs from the item's current version relates to it.
#[derive(Debug, PartialEq)]
pub enum Arrival<'a> {
    /// There is no item of this id yet.
    First,
    /// Pruvan sent it after the one that is there, or doesn't say: it takes its place.
    Newer(&'a UploadRow),
    /// Pruvan sent it before the one that is there: it is kept as an earlier version.
    Late(&'a UploadRow),
}

/// How an upload that Pruvan sent at `sent_at` (`timestamp`, in milliseconds since 1970) relates to what is there, at
/// the time `now`.
pub fn arrival(known: Option<&UploadRow>, sent_at: Option<i64>, now: i64) -> Arrival<'_> {
    match known {
        None => Arrival::First,
        Some(known) if sent_at.zip(known.sent(now)).is_some_and(|(late, current)| late < current) => {
            Arrival::Late(known)
        }
        Some(known) => Arrival::Newer(known),
    }
}

/// The row after the same was published once more. One that was sent before what is there changes nothing. Any other
/// notes when it was sent, so that what was sent between the two doesn't replace it; and another link to the video
/// starts the fetch anew.
pub fn repeated(known: &UploadRow, sent_at: Option<i64>, video_uri: Option<String>, now: i64) -> UploadRow {
    let mut next = known.clone();
    if sent_at.zip(known.sent(now)).is_some_and(|(repeat, known)| repeat < known) {
        return next;
    }
    next.sent_at = sent_at.or(known.sent(now));
    if video_uri.is_some() && video_uri != known.video.as_ref().map(|video| video.uri.clone()) {
        // What was fetched before stays until the new link has given it again.
        next.video = video_uri.map(|uri| Video::new(uri, sent_at, now).after(known.video.as_ref()));
        next.queue_video(now);
    }
    next
}

/// The row of a new version over the one there is. The host's assignment stays while Pruvan sends the same order's
/// number; with another number Pruvan has moved the item itself. A version without a link, or with the same one, takes
/// over the video and its place in the queue; one with another link begins without a file.
pub fn newer(known: &UploadRow, mut next: UploadRow) -> UploadRow {
    next.version = known.versions + 1;
    next.versions = next.version;
    next.revision = known.revision + 1;
    // One that doesn't say when it was sent is the newest all the same, and what was sent before it stays older.
    next.sent_at = next.sent_at.or(known.sent(next.received_at));
    // Pruvan still has it under the order that the host took it away from.
    if next.work_order_number == known.work_order_number && known.assigned.is_some() {
        next.assigned = known.assigned.clone();
        next.order = known.order.clone();
        next.unmatched = None;
    }
    let link = |row: &UploadRow| row.video.as_ref().map(|video| video.uri.clone());
    if next.video.is_none() || link(&next) == link(known) {
        next.video = known.video.clone();
        next.queue_video(known.video_due.unwrap_or(next.received_at));
    }
    next
}

/// The row of a version that came late: it is counted, and the current one stays.
pub fn late(known: &UploadRow, row: UploadRow) -> UploadRow {
    let versions = known.versions + 1;
    UploadRow { version: versions, versions, ..row }
}

#[cfg(test)]
mod tests {
    use bridge::uploads::VideoState;
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_795_435_200_000;

    /// What Pruvan sent at `sent_at`.
    fn row(sent_at: Option<i64>) -> UploadRow {
        let row = json!({
            "username": "vendor1", "uuId": "1", "workOrderNumber": "1001", "order": "vendor1#1001", "receivedAt": NOW,
            "version": 1, "versions": 1, "revision": 1, "fingerprint": "a", "size": 0, "contentType": "image/jpeg",
        });
        UploadRow { sent_at, ..serde_json::from_value(row).unwrap() }
    }

    fn with_video(uri: &str, state: VideoState) -> UploadRow {
        let mut row = row(Some(NOW));
        row.video = Some(Video { state, ..Video::new(uri.to_owned(), None, NOW) });
        row.queue_video(NOW);
        row
    }

    #[test]
    fn what_pruvan_sent_earlier_never_takes_the_place_of_what_it_sent_later() {
        let known = row(Some(NOW));
        assert_eq!(arrival(None, Some(NOW), NOW), Arrival::First);
        assert_eq!(arrival(Some(&known), Some(NOW - 1), NOW), Arrival::Late(&known));
        assert_eq!(arrival(Some(&known), Some(NOW), NOW), Arrival::Newer(&known));
        assert_eq!(arrival(Some(&known), None, NOW), Arrival::Newer(&known), "it doesn't say when");
        let silent = row(None);
        assert_eq!(arrival(Some(&silent), Some(1), NOW), Arrival::Newer(&silent));
        let after_it = newer(&known, silent);
        assert_eq!(
            arrival(Some(&after_it), Some(NOW - 1), NOW),
            Arrival::Late(&after_it),
            "still older than the first"
        );
    }

    #[test]
    fn a_time_to_come_keeps_nothing_out() {
        let known = row(Some(99_999_999_999_000));
        assert_eq!(arrival(Some(&known), Some(NOW), NOW), Arrival::Newer(&known));
        assert_eq!(newer(&known, row(None)).sent_at, None);
        assert_eq!(repeated(&known, Some(NOW), None, NOW).sent_at, Some(NOW));
    }

    #[test]
    fn what_was_repeated_days_later_is_still_newer_than_what_was_sent_between() {
        const DAY: i64 = 24 * 3600 * 1000;
        let repeat = repeated(&row(Some(NOW)), Some(NOW + 2 * DAY), None, NOW + 2 * DAY);
        assert_eq!(arrival(Some(&repeat), Some(NOW + DAY), NOW + 3 * DAY), Arrival::Late(&repeat));
        assert_eq!(repeated(&repeat, None, None, NOW + 3 * DAY).sent_at, Some(NOW + 2 * DAY));
    }

    #[test]
    fn versions_are_counted_in_the_order_in_which_they_come() {
        let known = UploadRow { version: 3, versions: 4, revision: 9, ..row(Some(NOW)) };
        let next = newer(&known, row(Some(NOW + 1)));
        assert_eq!((next.version, next.versions, next.revision), (5, 5, 10));
        let old = late(&known, row(Some(NOW - 1)));
        assert_eq!((old.version, old.versions), (5, 5));
    }

    #[test]
    fn what_the_host_assigned_stays_assigned_while_pruvan_has_it_under_the_old_order() {
        let order = Some("vendor1#7".to_owned());
        let known = UploadRow { assigned: Some("7".to_owned()), order: order.clone(), ..row(None) };
        let stranger = UploadRow { unmatched: Some("vendor1".to_owned()), ..row(None) };
        let next = newer(&known, stranger.clone());
        assert_eq!((next.assigned.as_deref(), next.order, next.unmatched), (Some("7"), order, None));
        let moved = UploadRow { work_order_number: "8".to_owned(), ..stranger };
        assert_eq!(newer(&known, moved.clone()).unmatched, moved.unmatched, "Pruvan has moved it itself");
    }

    #[test]
    fn a_repeat_notes_when_it_was_sent_and_nothing_else() {
        let known = row(Some(NOW));
        assert_eq!(repeated(&known, Some(NOW + 5), None, NOW), row(Some(NOW + 5)));
        assert_eq!(repeated(&known, Some(NOW - 5), None, NOW), known, "an old one says nothing new");
        assert_eq!(repeated(&known, None, None, NOW), known);
    }

    #[test]
    fn a_newer_link_starts_the_fetch_anew_and_what_was_fetched_stays_until_then() {
        let known = with_video("https://a", VideoState::Stored);
        let known = UploadRow {
            video: known.video.clone().map(|video| Video { path: Some("p".to_owned()), ..video }),
            ..known
        };
        let again = repeated(&known, Some(NOW + 1), Some("https://b".to_owned()), NOW + 2);
        let video = again.video.clone().unwrap();
        assert_eq!(
            (video.state, video.path.as_deref(), again.video_due),
            (VideoState::Pending, Some("p"), Some(NOW + 2))
        );
        let same = repeated(&known, Some(NOW), Some("https://a".to_owned()), NOW + 2);
        assert_eq!(same, known);
    }

    #[test]
    fn a_new_version_without_a_link_keeps_the_video_that_there_is() {
        let known = with_video("https://a", VideoState::Pending);
        let next = newer(&known, row(Some(NOW + 1)));
        assert_eq!((next.video, next.video_due), (known.video.clone(), known.video_due));
        let other = newer(&known, with_video("https://b", VideoState::Pending));
        assert_eq!(other.video.unwrap().uri, "https://b");
    }
}
