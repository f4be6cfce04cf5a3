//! How Pruvan takes pushes: as it should, or as it does on a bad day.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::Notify;

/// How a push is answered.
#[derive(Debug, Clone, Default)]
pub enum Weather {
    /// Answered as it should be.
    #[default]
    Fine,
    /// This status and body, and nothing is done.
    Answer(u16, String),
    /// HTTP status 503 with this `Retry-After`, and nothing is done.
    Later(String),
    /// It takes effect, and is answered when this is notified.
    Held(Arc<Notify>),
    /// The connection breaks before the answer; it takes effect after so many milliseconds, or never.
    Lost(Option<i64>),
    /// It takes effect, and is answered as if it hadn't.
    Uncounted,
    /// Nothing is done and no answer comes, until the caller gives up.
    Silent,
    /// All takes so long.
    Slow(Duration),
}

/// A weather that people choose by its name, in the console.
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    /// As it stands in forms.
    pub name: &'static str,
    /// What it is called.
    pub title: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
    weather: fn() -> Weather,
}

/// All that can be chosen, the fine one first.
pub static PRESETS: [Preset; 8] = [
    Preset { name: "fine", title: "Fine", about: "Pushes are taken as they come.", weather: || Weather::Fine },
    Preset {
        name: "time-outs",
        title: "Time-outs",
        about: "Pushes get no answer, and nothing is done.",
        weather: || Weather::Silent,
    },
    Preset {
        name: "errors",
        title: "Errors (500)",
        about: "Pushes get status 500, and nothing is done.",
        weather: || Weather::Answer(500, "Internal Server Error".to_owned()),
    },
    Preset {
        name: "maintenance",
        title: "Maintenance page",
        about: "Pushes get status 503 and a page for people, as on Sunday nights.",
        weather: || Weather::Answer(503, MAINTENANCE.to_owned()),
    },
    Preset {
        name: "bad-key",
        title: "Bad push key",
        about: "Pushes get \"invalid clientCode\": press Validate again when it is over.",
        weather: || refused("invalid clientCode"),
    },
    Preset {
        name: "slow-network",
        title: "Slow network",
        about: "Every call takes five seconds longer, in both directions.",
        weather: || Weather::Slow(Duration::from_secs(5)),
    },
    Preset {
        name: "late-effects",
        title: "Late effects",
        about: "Pushes are cut off and take effect 20 seconds later; the answers to Pruvan's own calls get lost.",
        weather: || Weather::Lost(Some(20_000)),
    },
    Preset {
        name: "hourly-limit",
        title: "Hourly limit reached",
        about: "Pushes are refused: this hour's 5,000 orders have been used up.",
        // The wording is not documented.
        weather: || refused("hourly limit exceeded"),
    },
];

const MAINTENANCE: &str =
    "<html><body><h1>Pruvan is being maintained</h1><p>Back at midnight, Central Time.</p></body></html>";

impl Preset {
    /// The one of this name.
    pub fn named(name: &str) -> Option<&'static Preset> {
        PRESETS.iter().find(|preset| preset.name == name)
    }

    /// The weather that it stands for.
    pub fn weather(&self) -> Weather {
        (self.weather)()
    }

    /// Whether pushes are taken as they should be.
    pub fn is_fine(&self) -> bool {
        matches!(self.weather(), Weather::Fine)
    }
}

fn refused(error: &str) -> Weather {
    Weather::Answer(200, json!({ "response": false, "error": error }).to_string())
}
