//! Checking who calls: *Authentication*, in *The validate Web Service*.

use pruvan::Credentials;
use pruvan::credentials::INVALID_CREDENTIALS;
use secrecy::SecretString;

use crate::accounts::{Account, Accounts, MAX_KEYS};
use crate::secrets::KeyHash;
use crate::telemetry::Record;
use crate::web_service::Refusal;

/// What no key has as its hash.
const NOBODYS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The account whose key the caller has. The `token` decides; the SHA-1 in `password` can't, since keys are kept as
/// SHA-256. An error is what to tell Pruvan; `record` has who it was, and why it was refused.
///
/// An unknown user, a wrong key and none get the same answer after the same work: one read, and [`MAX_KEYS`]
/// comparisons whose time says nothing. Nobody is locked out: the keys have 256 bits, so that guessing leads nowhere,
/// and a lock would let anybody shut out a vendor.
///
/// That a key was used is noted, at most once an hour: an operator must see whether an old key is still in use before
/// deleting it. If that note fails, the request goes on without.
pub async fn authenticate(
    accounts: &Accounts,
    credentials: &Credentials,
    now: i64,
    record: &mut Record,
) -> Result<Account, Refusal> {
    record.account(&credentials.username);
    let empty = SecretString::default();
    let hash = KeyHash::of(credentials.token.as_ref().unwrap_or(&empty));
    // No account has such a name, and DynamoDB takes neither an empty key nor a very long one; the work stays the same.
    let possible = (1..=100).contains(&credentials.username.len());
    let username = if possible { credentials.username.as_str() } else { "-" };
    let account = accounts.get(username).await.map_err(|error| Refusal::failed(record, &error))?.filter(|_| possible);
    let mut keys = account.iter().flat_map(|account| &account.keys);
    let mut used = None;
    for _ in 0..MAX_KEYS {
        let key = keys.next();
        if hash.matches(key.map_or(NOBODYS, |(_, key)| &key.sha256)) {
            used = key;
        }
    }
    let (Some(account), Some((id, key))) = (&account, used) else {
        return Err(Refusal::denied(record, INVALID_CREDENTIALS));
    };
    if let Err(error) = accounts.note_use(&account.username, id, key, now).await {
        tracing::warn!(account = %account.username, %error, "auth.use_not_noted");
    }
    Ok(account.clone())
}
