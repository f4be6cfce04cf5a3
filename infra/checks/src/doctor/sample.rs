//! What the doctor uploads: the same each time, so that a second run stores nothing new.

use serde_json::{Value, json};

/// An item as Pruvan describes it, always the same. The note is for whoever finds it among the unmatched ones.
pub fn item(uu_id: &str) -> Value {
    json!({
        "uuId": uu_id, "key2": "doctor", "key4": "doctor", "fileType": "picture", "fileExt": "jpg", "fileName": "doctor.jpg",
        "evidenceType": "before", "creationDate": "2014-10-27 13:29:35", "timestamp": 1_414_434_590,
        "notes": "sent by the doctor command to check the deployment; it means nothing",
    })
}

/// So many bytes that begin and end like a JPEG and have all values between, always the same.
pub fn photo(size: usize) -> Vec<u8> {
    let mut bytes = b"\xFF\xD8\xFF\xE0\0\x10JFIF\0\x01".to_vec();
    let mut state: u32 = 1;
    bytes.extend(
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .take(size - bytes.len() - 2),
    );
    bytes.extend(b"\xFF\xD9");
    bytes
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn photos_are_jpegs_of_all_byte_values_and_the_same_each_time() {
        let photo = photo(100_000);
        assert_eq!(photo.len(), 100_000);
        assert!(photo.starts_with(b"\xFF\xD8\xFF"));
        assert_eq!(photo.iter().collect::<BTreeSet<_>>().len(), 256);
        assert_eq!(photo, super::photo(100_000));
    }
}
