//! What generators choose from.

use serde_json::{Map, Value, json};

/// Stands for half of an escaped surrogate pair, or a whole one, which no JSON writer makes.
pub const HALF: &str = "@half@";

/// splitmix64: enough to choose, and the same from the same seed.
pub struct Choices(pub u64);

impl Choices {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap_or(1)).unwrap_or(0)
    }

    /// From `least` to `most`, both included.
    pub fn within(&mut self, least: i64, most: i64) -> i64 {
        least + i64::try_from(self.next() % (most.abs_diff(least) + 1)).unwrap_or(0)
    }

    /// Once in so many times.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    pub fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most)).map(|_| self.next().to_be_bytes()[0]).collect()
    }

    /// Any text, and those that have meant trouble somewhere.
    pub fn text(&mut self) -> String {
        const TEXTS: [&str; 26] = [
            "",
            "null",
            "1",
            "../../etc/passwd",
            "a/b\\c",
            "\0",
            "SMC::Simple",
            "::",
            "caf\u{e9} \u{1f44d}",
            "\"}{[",
            "--X",
            "\r\n--X--\r\n",
            "1414434574",
            "-97.67852886",
            "1e400",
            "https://x.example/v.mp4",
            "picture",
            "%2e%2e",
            "content:x",
            "sha256:x",
            "version:x:000001",
            HALF,
            "owner::form-v2",
            "\u{feff}",
            "<b onclick=x>",
            "\u{202e}\u{130}\u{df}",
        ];
        match self.below(8) {
            0 => "x".repeat(self.below(3000)),
            1 => String::from_utf8_lossy(&self.bytes(40)).into_owned(),
            _ => (*self.one(&TEXTS)).to_owned(),
        }
    }

    /// Printable ASCII without a space at either end: what everything keeps as it is.
    pub fn plain(&mut self, most: usize) -> String {
        let sign = |choices: &mut Choices| char::from(b' ' + choices.next().to_be_bytes()[0] % 95);
        let text: String = (0..=self.below(most)).map(|_| sign(self)).collect();
        match text.trim() {
            "" | "null" => "x".to_owned(),
            text => text.to_owned(),
        }
    }

    /// Letters and digits.
    pub fn word(&mut self) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHKMNPabcdefghkmnp0123456789";
        (0..=self.below(12)).map(|_| char::from(*self.one(LETTERS))).collect()
    }

    pub fn value(&mut self, depth: usize) -> Value {
        match self.below(if depth == 0 { 6 } else { 9 }) {
            0 => Value::Null,
            1 => json!(self.next().is_multiple_of(2)),
            2 => json!(i64::from_ne_bytes(self.next().to_ne_bytes())),
            3 => json!(f64::from_bits(self.next())),
            4 | 5 => json!(self.text()),
            6 => (0..self.below(4)).map(|_| self.value(depth - 1)).collect(),
            7 => Value::Object((0..self.below(4)).map(|_| (self.text(), self.value(depth - 1))).collect()),
            // JSON inside JSON.
            _ => Value::from(self.value(depth - 1).to_string()),
        }
    }

    /// A text nested so deep that limits are near.
    pub fn deep(&mut self) -> String {
        let levels = *self.one(&[40, 62, 63, 64, 65, 100, 123, 124, 125, 126, 127, 128, 300]);
        format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1))
    }

    /// A payload's text, and whether it says the same: not if it is no object, or has halves of surrogate pairs.
    pub fn written(&mut self, payload: &Map<String, Value>) -> (String, bool) {
        let text = Value::Object(payload.clone()).to_string();
        let halves = ["\\ud83d", "\\udc4d", "\\ud83d\\udc4d", "\\ud83d\\u0041", "\\ud8"];
        let text = match text.contains(HALF) {
            true => return (text.replace(HALF, self.one::<&str>(&halves)), false),
            false => text,
        };
        match self.below(24) {
            0 => (format!("[{text}]"), false),
            1 => (Value::from(format!("[{text}]")).to_string(), false),
            2 => (Value::from(text).to_string(), true),
            3 => (format!("\u{feff}  {text}\n"), true),
            4 => (Value::from(Value::from(format!("\u{feff}{text}")).to_string()).to_string(), true),
            5 if payload.contains_key("username") => (format!("{{\"x\":1,\"payload\":{text}}}"), true),
            6 => (text.replace("\\n", "\n").replace("\\t", "\t"), !text.contains("\\\\")),
            _ => (text, true),
        }
    }

    /// Some bytes of it are others, gone, or there twice.
    pub fn mutate(&mut self, input: &mut Vec<u8>) {
        const SIGNS: &[u8] = b"\"'\\{}[]<>,;:=-+/&%\r\n\t \0\x80\xFF09eEuTZ";
        for _ in 0..=self.below(3) {
            let at = self.below(input.len());
            let end = (at + self.below(60)).min(input.len());
            match self.below(7) {
                0 => input.truncate(at),
                1 if at < input.len() => input[at] ^= 1 << self.below(8),
                2 => drop(input.splice(at..at, self.bytes(8))),
                3 => drop(input.drain(at.min(end)..end)),
                4 if at < input.len() => input[at] = *self.one(SIGNS),
                5 => drop(input.splice(at..at, [*self.one(SIGNS)])),
                _ => {
                    let copy = input[at.min(end)..end].to_vec();
                    drop(input.splice(at..at, copy));
                }
            }
        }
    }
}
