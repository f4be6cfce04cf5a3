//! Checking who calls: *Authentication*, in *The validate Web Service*.

use pruvan::Credentials;
use secrecy::SecretString;

use crate::accounts::{Account, Accounts};
use crate::secrets::KeyHash;
use crate::store::StoreError;

/// Why a caller was not let in.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Unknown user, wrong key or no key: the same answer, so that neither can be guessed apart.
    #[error("invalid username or password")]
    Invalid,
    /// The accounts could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The account whose key the caller has. The `token` decides; the SHA-1 in `password` can't, since keys are kept as SHA-256.
///
/// That the key was used is noted, at most once an hour: an operator must see whether an old key is still in use before
/// deleting it. If that note fails, the request goes on without.
pub async fn authenticate(accounts: &Accounts, credentials: &Credentials, now: i64) -> Result<Account, AuthError> {
    let empty = SecretString::default();
    let hash = KeyHash::of(credentials.token.as_ref().unwrap_or(&empty));
    // No account has such a name, and DynamoDB takes neither an empty key nor a very long one; the work stays the same.
    let possible = (1..=100).contains(&credentials.username.len());
    let username = if possible { credentials.username.as_str() } else { "-" };
    let account = accounts.get(username).await?.filter(|_| possible);
    // All keys are looked at, and for an unknown user one that can't match.
    let mut used = None;
    match &account {
        Some(account) => {
            for (id, key) in &account.keys {
                if hash.matches(&key.sha256) {
                    used = Some((id, key));
                }
            }
        }
        None => {
            hash.matches("");
        }
    }
    let (Some(account), Some((id, key))) = (&account, used) else {
        tracing::warn!(account = %username.escape_debug(), "auth.refused");
        return Err(AuthError::Invalid);
    };
    if let Err(error) = accounts.note_use(&account.username, id, key, now).await {
        tracing::warn!(account = %account.username, %error, "auth.use_not_noted");
    }
    Ok(account.clone())
}
