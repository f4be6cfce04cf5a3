//! API keys: made here, shown once, kept only as SHA-256.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::time::Random;

/// A key as its owner gets it: 256 random bits, 43 characters of base64url. It can't be printed or compared by
/// accident.
#[derive(Debug, Clone)]
pub struct ApiKey(SecretString);

impl ApiKey {
    /// Makes a new key of 256 random bits.
    pub fn generate(random: &Random) -> ApiKey {
        ApiKey(URL_SAFE_NO_PAD.encode(random.bytes::<32>()).into())
    }

    /// The text, for the one reply that shows it.
    pub fn reveal(&self) -> &str {
        self.0.expose_secret()
    }

    /// What is kept of it. The key has 256 bits of its own, so that it needs neither salt nor a slow hash.
    pub fn hash(&self) -> KeyHash {
        KeyHash::of(&self.0)
    }
}

/// SHA-256 of an API key.
#[derive(Clone)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// Of what a caller says is the key.
    pub fn of(token: &SecretString) -> KeyHash {
        KeyHash(Sha256::digest(token.expose_secret().as_bytes()).into())
    }

    /// In hex, as it is stored.
    pub fn to_hex(&self) -> String {
        hex(&self.0)
    }

    /// Whether it is the one stored as `hex`; takes the same time whatever differs.
    pub fn matches(&self, hex: &str) -> bool {
        self.to_hex().as_bytes().ct_eq(hex.as_bytes()).into()
    }
}

/// These bytes in lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 of `bytes` in hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}
