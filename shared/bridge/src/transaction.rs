//! Writes that belong together: all of a group or nothing of it, and as many groups a transaction as it takes.

use std::collections::VecDeque;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::TransactWriteItem;

use crate::contention::Contention;
use crate::dependencies::Dependencies;
use crate::settings::SettingError;
use crate::store::StoreError;

/// One write, or one look at a condition.
pub type Action = TransactWriteItem;

/// Actions that a transaction can have.
pub const MOST_ACTIONS: usize = 100;

/// Bytes that are put into a transaction. DynamoDB takes 4 MB; the rest is left for what is only estimated.
const MOST_BYTES: usize = 3_000_000;

/// Actions that are written together or not at all.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    /// How many actions at most, each on another row: a hundred, less one where there is a guard.
    pub actions: usize,
    /// About the bytes of their rows.
    pub bytes: usize,
}

/// What became of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// All of it is written.
    Done,
    /// Nothing is, since the conditions of these of its actions don't hold.
    Unmet(Vec<usize>),
    /// A call failed, which may have taken effect all the same; or the group can't be written at all.
    Failed(StoreError),
}

/// What is to be written, group by group, and takes note of what became of it.
pub trait Writes {
    /// The actions of a group, made each time that it is tried.
    fn actions(&self, group: usize) -> Result<Vec<Action>, StoreError>;

    /// Told as soon as it is known, since the writing may be given up at any time.
    fn ended(&mut self, group: usize, written: Written);
}

/// The one group of [`Transactions::write_one`], and what became of it.
struct One {
    actions: Vec<Action>,
    result: Result<bool, StoreError>,
}

impl Writes for One {
    fn actions(&self, _: usize) -> Result<Vec<Action>, StoreError> {
        Ok(self.actions.clone())
    }

    fn ended(&mut self, _: usize, written: Written) {
        self.result = match written {
            Written::Done => Ok(true),
            Written::Unmet(_) => Ok(false),
            Written::Failed(error) => Err(error),
        };
    }
}

/// Writes transactions, on any of the tables.
#[derive(Debug, Clone)]
pub struct Transactions {
    client: Client,
    contention: Contention,
}

impl Transactions {
    /// By the client that all tables share.
    pub fn new(dependencies: &Dependencies) -> Result<Transactions, SettingError> {
        Ok(Transactions { client: dependencies.dynamodb()?, contention: Contention::new(&dependencies.random) })
    }

    /// By the client of the table that alone is written to.
    pub(crate) fn with(client: &Client, contention: &Contention) -> Transactions {
        Transactions { client: client.clone(), contention: contention.clone() }
    }

    /// Writes one group; false if a condition doesn't hold.
    pub async fn write_one(&self, actions: Vec<Action>) -> Result<bool, StoreError> {
        let group = Group { actions: actions.len(), bytes: 0 };
        let mut one = One { actions, result: Ok(false) };
        self.write(None, vec![group], &mut one, &|| false).await;
        one.result
    }

    /// Writes many groups and tells `writes` what became of each: a condition, a conflict or a row that is too large
    /// holds back no other group; a call that fails, those that it carried. Groups of which nothing was told when this
    /// ends were not attempted, since `out_of_time` had become true.
    ///
    /// `guard` stands first in each transaction, such as a look at a lease. If its condition doesn't hold, no more is
    /// written, and the result is false.
    pub async fn write(
        &self,
        guard: Option<&Action>,
        groups: Vec<Group>,
        writes: &mut (impl Writes + Send),
        out_of_time: &(dyn Fn() -> bool + Sync),
    ) -> bool {
        let mut waiting: VecDeque<(usize, Group)> = groups.into_iter().enumerate().collect();
        let (mut held_up, mut tries) = (VecDeque::new(), self.contention.tries());
        loop {
            if waiting.is_empty() && !held_up.is_empty() {
                // What was held up goes when all else has, and when it has had some time.
                if !tries.again().await {
                    for (index, _) in held_up {
                        writes.ended(index, Written::Failed(StoreError::Contended("rows of a transaction")));
                    }
                    return true;
                }
                waiting.append(&mut held_up);
            }
            if waiting.is_empty() || out_of_time() {
                return true;
            }
            let room = MOST_ACTIONS - usize::from(guard.is_some());
            let fits = fitting(waiting.iter().map(|(_, group)| (group.actions, group.bytes)), room);
            let batch: Vec<(usize, Group)> = waiting.drain(..fits).collect();
            let mut counts = Vec::with_capacity(batch.len());
            let attempted = match actions_of(guard, &batch, writes, &mut counts) {
                Ok(actions) => self.attempt(actions).await,
                Err(error) => Err(error),
            };
            let mut reasons = match attempted {
                Ok(None) => {
                    batch.into_iter().for_each(|(index, _)| writes.ended(index, Written::Done));
                    continue;
                }
                Ok(Some(reasons)) => reasons.into_iter(),
                Err(error) => {
                    batch.into_iter().for_each(|(index, _)| writes.ended(index, Written::Failed(error.clone())));
                    continue;
                }
            };
            let of_guard = guard.and_then(|_| reasons.next()).unwrap_or(Reason::None);
            if of_guard == Reason::Unmet {
                return false;
            }
            let mut again = VecDeque::new();
            for ((index, group), count) in batch.into_iter().zip(counts) {
                let of_group: Vec<Reason> = reasons.by_ref().take(count).collect();
                match next(&of_guard, &of_group) {
                    Next::Again => again.push_back((index, group)),
                    Next::Later => held_up.push_back((index, group)),
                    Next::Ended(written) => writes.ended(index, written),
                }
            }
            again.append(&mut waiting);
            waiting = again;
        }
    }

    /// Tries once to write all of `actions` or none of them. If none, the reason of each action.
    async fn attempt(&self, actions: Vec<Action>) -> Result<Option<Vec<Reason>>, StoreError> {
        let error = match self.client.transact_write_items().set_transact_items(Some(actions)).send().await {
            Ok(_) => return Ok(None),
            Err(error) => error,
        };
        let Some(TransactWriteItemsError::TransactionCanceledException(canceled)) = error.as_service_error() else {
            return Err(StoreError::call("TransactWriteItems", &error));
        };
        let reasons: Vec<Reason> =
            canceled.cancellation_reasons().iter().map(|reason| Reason::of(reason.code())).collect();
        if reasons.iter().all(|reason| *reason == Reason::None) {
            return Err(StoreError::call("TransactWriteItems", &error));
        }
        Ok(Some(reasons))
    }
}

/// The guard and the actions of these groups; how many actions each group has goes to `counts`.
fn actions_of(
    guard: Option<&Action>,
    batch: &[(usize, Group)],
    writes: &impl Writes,
    counts: &mut Vec<usize>,
) -> Result<Vec<Action>, StoreError> {
    let mut all: Vec<Action> = guard.into_iter().cloned().collect();
    for (index, _) in batch {
        let actions = writes.actions(*index)?;
        counts.push(actions.len());
        all.extend(actions);
    }
    Ok(all)
}

/// Why an action kept its transaction from being written.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reason {
    /// It did not keep it.
    None,
    /// Its condition doesn't hold.
    Unmet,
    /// It met another transaction, or more traffic than its partition takes.
    HeldUp,
    /// It can't be written at all, such as a row above DynamoDB's 400 KB: the service's code.
    Impossible(String),
}

impl Reason {
    fn of(code: Option<&str>) -> Reason {
        match code {
            None | Some("None") => Reason::None,
            Some("ConditionalCheckFailed") => Reason::Unmet,
            Some("TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded") => Reason::HeldUp,
            Some(code) => Reason::Impossible(code.to_owned()),
        }
    }
}

/// What is done with a group whose transaction was not written.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// It goes again at once: the fault was another's.
    Again,
    /// It goes again after a pause.
    Later,
    /// It is not tried again as it is.
    Ended(Written),
}

/// By the reasons of the guard and of the group's own actions.
fn next(guard: &Reason, own: &[Reason]) -> Next {
    let impossible = |reason: &Reason| match reason {
        Reason::Impossible(code) => Some(code.clone()),
        _ => None,
    };
    if let Some(reason) = impossible(guard).or_else(|| own.iter().find_map(impossible)) {
        return Next::Ended(Written::Failed(StoreError::Call { operation: "TransactWriteItems", reason }));
    }
    let unmet: Vec<usize> = (0..own.len()).filter(|action| own[*action] == Reason::Unmet).collect();
    if !unmet.is_empty() {
        return Next::Ended(Written::Unmet(unmet));
    }
    if *guard == Reason::HeldUp || own.contains(&Reason::HeldUp) { Next::Later } else { Next::Again }
}

/// How many of these groups, each of so many actions and bytes, one transaction takes; one in any case.
fn fitting(sizes: impl Iterator<Item = (usize, usize)>, room: usize) -> usize {
    let (mut actions, mut bytes) = (0, 0);
    let fits = |(more_actions, more_bytes): &(usize, usize)| {
        actions += more_actions;
        bytes += more_bytes;
        actions <= room && bytes <= MOST_BYTES
    };
    sizes.take_while(fits).count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_has_a_hundred_actions_and_three_megabytes_and_one_group_in_any_case() {
        assert_eq!(fitting([(2, 1000); 80].into_iter(), 100), 50);
        assert_eq!(fitting([(2, 1000); 80].into_iter(), 99), 49, "there is a guard");
        assert_eq!(fitting([(2, 1_000_000); 5].into_iter(), 100), 3);
        assert_eq!(fitting([(2, 9_000_000), (2, 1)].into_iter(), 100), 1);
    }

    #[test]
    fn a_group_whose_condition_does_not_hold_goes_back_and_the_others_go_again_at_once() {
        assert_eq!(next(&Reason::None, &[Reason::None, Reason::Unmet]), Next::Ended(Written::Unmet(vec![1])));
        assert_eq!(next(&Reason::None, &[Reason::None, Reason::None]), Next::Again);
    }

    #[test]
    fn a_group_that_others_hold_up_goes_again_later_and_so_do_all_when_it_is_the_guard() {
        assert_eq!(next(&Reason::None, &[Reason::HeldUp, Reason::None]), Next::Later);
        assert_eq!(next(&Reason::HeldUp, &[Reason::None, Reason::None]), Next::Later);
        assert_eq!(next(&Reason::HeldUp, &[Reason::Unmet]), Next::Ended(Written::Unmet(vec![0])));
    }

    #[test]
    fn a_group_that_can_not_be_written_at_all_fails_alone() {
        let Next::Ended(Written::Failed(error)) =
            next(&Reason::None, &[Reason::Unmet, Reason::of(Some("ItemSizeLimitExceeded"))])
        else {
            panic!("it goes again");
        };
        assert_eq!(error.to_string(), "TransactWriteItems failed: ItemSizeLimitExceeded");
        assert_eq!(next(&Reason::None, &[Reason::of(None), Reason::of(Some("None"))]), Next::Again);
    }
}
