//! What the benchmarks measure with.

/// Megabytes, of this process.
pub fn memory(field: &str) -> f64 {
    megabytes(&std::fs::read_to_string("/proc/self/status").unwrap_or_default(), field)
}

/// A field of what `/proc` says of a process.
pub fn megabytes(status: &str, field: &str) -> f64 {
    let line = status.lines().find(|line| line.starts_with(field)).and_then(|line| line.split_whitespace().nth(1));
    line.and_then(|kilobytes| kilobytes.parse::<f64>().ok()).unwrap_or(f64::NAN) * 1024.0 / 1e6
}

/// The middle one.
pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A photo of so many bytes, which nothing compresses.
#[allow(dead_code, reason = "two of the benchmarks send one")]
pub fn photo(size: usize) -> Vec<u8> {
    let mut noise: u32 = 1;
    let mut bytes = b"\xFF\xD8\xFF\xE0".to_vec();
    bytes.resize_with(size, || {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        noise.to_be_bytes()[0]
    });
    bytes
}
