//! Fuzzes the parsers that stand on the internet, without stores:
//!
//! ```text
//! fuzz [TARGET...] --seconds N | --inputs N [--seed S] [--keep]      fuzz --list
//! ```
//!
//! Without targets, all; the seconds are shared between them, the inputs are for each. First come the inputs kept in
//! `tests/corpus`, then some of a megabyte that would take long if time grew with the square of the size, then made
//! ones: most are valid, or valid ones and kept ones that were changed a little, so that they get past the first check.
//! An input that breaks a property is cut down as far as it still does, printed, and with `--keep` put into the corpus.

#![expect(clippy::too_many_lines, reason = "what is made at random stands in one place")]

mod choices;
mod dates;
mod form;
mod html;
mod import;
mod json;
mod order;
mod payloads;
mod push_reply;

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use choices::Choices;
use cpu_time::ThreadTime;

/// What must come of an input that nobody changed; panics if something else does.
pub type Whole = Box<dyn Fn()>;

/// A parser, and what holds for it.
pub struct Target {
    /// As it is asked for.
    pub name: &'static str,
    /// What it reads.
    pub about: &'static str,
    /// A valid input, or almost, and what must come of it.
    pub make: fn(&mut Choices) -> (Vec<u8>, Whole),
    /// What holds for whatever comes; panics if it doesn't.
    pub any: fn(&[u8]),
    /// Inputs of up to `most` bytes: what comes first, what is there as often as there is room, and what comes last.
    pub floods: &'static [(&'static str, &'static str, &'static str)],
    /// The most that gets to this parser.
    pub most: usize,
}

const TARGETS: [Target; 11] = [
    form::FORM,
    json::JSON,
    payloads::VALIDATE,
    payloads::GET_WORK_ORDERS,
    payloads::STATUS,
    payloads::UPLOAD_PICTURES,
    order::ORDER,
    push_reply::PUSH_REPLY,
    dates::DATES,
    import::IMPORT,
    html::HTML,
];

/// Of the processor's time, whatever else runs: no input may take longer in a debug build.
const PATIENCE: Duration = Duration::from_secs(2);

/// Of a target's corpus, and of a file in it.
const MOST_KEPT: (usize, usize) = (20, 4096);

/// What the last panic said, and where.
static SAID: Mutex<String> = Mutex::new(String::new());

/// An input that broke a property.
struct Failure {
    what: String,
    input: Vec<u8>,
    again: String,
}

/// Runs it; what it says if it panics or takes too long.
fn fault(run: impl Fn()) -> Option<String> {
    let timed = || {
        let begun = ThreadTime::now();
        catch_unwind(AssertUnwindSafe(&run)).map(|()| begun.elapsed())
    };
    let said = || SAID.lock().map(|said| said.clone()).unwrap_or_default();
    let mut took = match timed() {
        Ok(took) => took,
        Err(_) => return Some(said()),
    };
    // Others may have had its caches.
    for _ in 0..2 {
        if took > PATIENCE {
            took = timed().map_or(took, |again| again.min(took));
        }
    }
    (took > PATIENCE).then(|| format!("it took {:.1} s", took.as_secs_f64()))
}

/// The input without what the failure doesn't need, as far as some seconds get.
fn smaller(target: &Target, input: &[u8]) -> Vec<u8> {
    let (mut small, until) = (input.to_vec(), Instant::now() + Duration::from_secs(10));
    let mut piece = small.len().div_ceil(2);
    while piece > 0 && Instant::now() < until {
        let mut at = 0;
        while at < small.len() && Instant::now() < until {
            let mut shorter = small.clone();
            shorter.drain(at..(at + piece).min(small.len()));
            match catch_unwind(|| (target.any)(&shorter)) {
                Err(_) => small = shorter,
                Ok(()) => at += piece,
            }
        }
        piece /= 2;
    }
    small
}

/// What was kept of a target, by name.
fn corpus(target: &Target) -> std::io::Result<Vec<(PathBuf, Vec<u8>)>> {
    let folder = folder(target);
    let mut kept = Vec::new();
    for entry in std::fs::read_dir(&folder)? {
        let path = entry?.path();
        let content = std::fs::read(&path)?;
        if content.len() > MOST_KEPT.1 {
            return Err(std::io::Error::other(format!("{} has more than {} bytes", path.display(), MOST_KEPT.1)));
        }
        kept.push((path, content));
    }
    if kept.len() > MOST_KEPT.0 {
        return Err(std::io::Error::other(format!("{} has more than {} files", folder.display(), MOST_KEPT.0)));
    }
    kept.sort();
    Ok(kept)
}

fn folder(target: &Target) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "corpus", target.name].iter().collect()
}

/// The input that a seed makes, and what must come of it if it was left whole.
fn made(target: &Target, kept: &[(PathBuf, Vec<u8>)], seed: u64) -> (Vec<u8>, Option<Whole>) {
    let mut choices = Choices(seed);
    let (mut input, whole) = match choices.below(8) {
        0 if !kept.is_empty() => (choices.one(kept).1.clone(), None),
        _ => {
            let (input, whole) = (target.make)(&mut choices);
            (input, Some(whole))
        }
    };
    if whole.is_some() && choices.below(3) == 0 {
        return (input, whole);
    }
    choices.mutate(&mut input);
    // A part of it very often.
    if choices.once_in(400) && !input.is_empty() {
        let (from, room) = (choices.below(input.len()), target.most.min(100_000));
        let piece = input[from..(from + 1 + choices.below(40)).min(input.len())].to_vec();
        let times = choices.below(room) / piece.len();
        drop(input.splice(from..from, piece.repeat(times)));
    }
    (input, None)
}

/// One target for so many inputs, or so long; how many there were.
fn fuzz(target: &Target, inputs: Option<u64>, time: Duration, seed: u64) -> Result<u64, Failure> {
    let begun = Instant::now();
    let kept = corpus(target).map_err(|error| Failure {
        what: format!("the corpus can't be read: {error}"),
        input: Vec::new(),
        again: String::new(),
    })?;
    let mut done = 0;
    for (path, input) in &kept {
        if let Some(what) = fault(|| (target.any)(input)) {
            return Err(Failure { what, input: input.clone(), again: format!("it is {}", path.display()) });
        }
        done += 1;
    }
    for (first, often, last) in target.floods {
        let times = target.most.saturating_sub(first.len() + last.len()) / often.len();
        let input = [first, often.repeat(times).as_str(), last].concat().into_bytes();
        if let Some(what) = fault(|| (target.any)(&input)) {
            let what = format!("{times} times {often:?} between {first:?} and {last:?}: {what}");
            return Err(Failure { what, input: Vec::new(), again: format!("run {} again", target.name) });
        }
        done += 1;
    }
    let mut count = 0;
    while inputs.map_or_else(|| begun.elapsed() < time, |inputs| count < inputs) {
        // Each input from a seed of its own, so that one that fails is made again alone.
        let seed = seed.wrapping_add(count);
        let making = Mutex::new(None);
        let whole_fault = fault(|| {
            let (input, whole) = made(target, &kept, seed);
            if let Ok(mut making) = making.lock() {
                *making = Some(input.clone());
            }
            (target.any)(&input);
            if let Some(whole) = whole {
                whole();
            }
        });
        if let Some(what) = whole_fault {
            let input = making.into_inner().ok().flatten().unwrap_or_default();
            let again = format!("run `fuzz {} --inputs 1 --seed {seed}`", target.name);
            let input = if catch_unwind(|| (target.any)(&input)).is_err() { smaller(target, &input) } else { input };
            return Err(Failure { what, input, again });
        }
        count += 1;
    }
    Ok(done + count)
}

/// What was asked for.
#[derive(Default)]
struct Asked {
    targets: Vec<String>,
    seconds: Option<u64>,
    inputs: Option<u64>,
    seed: Option<u64>,
    keep: bool,
    list: bool,
}

fn asked() -> Result<Asked, String> {
    let mut asked = Asked::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || {
            let number = arguments.next().and_then(|number| number.parse().ok());
            number.map(Some).ok_or_else(|| format!("{argument} needs a number"))
        };
        match argument.as_str() {
            "--seconds" => asked.seconds = number()?,
            "--inputs" => asked.inputs = number()?,
            "--seed" => asked.seed = number()?,
            "--keep" => asked.keep = true,
            "--list" => asked.list = true,
            name if TARGETS.iter().any(|target| target.name == name) => asked.targets.push(name.to_owned()),
            other => return Err(format!("{other} is no target: --list shows them")),
        }
    }
    if !asked.list && asked.seconds.is_some() == asked.inputs.is_some() {
        return Err("fuzz [TARGET...] --seconds N | --inputs N [--seed S] [--keep]; fuzz --list".to_owned());
    }
    Ok(asked)
}

fn run(out: &mut impl std::io::Write) -> std::io::Result<i32> {
    let asked = match asked() {
        Ok(asked) => asked,
        Err(fault) => {
            writeln!(out, "{fault}")?;
            return Ok(2);
        }
    };
    if asked.list {
        for target in &TARGETS {
            writeln!(out, "{:<16}{}", target.name, target.about)?;
        }
        return Ok(0);
    }
    std::panic::set_hook(Box::new(|panic| {
        if let Ok(mut said) = SAID.lock() {
            *said = panic.to_string();
        }
    }));
    let wanted = |target: &&Target| asked.targets.is_empty() || asked.targets.iter().any(|name| name == target.name);
    let targets: Vec<&Target> = TARGETS.iter().filter(wanted).collect();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let seed = asked.seed.unwrap_or(now.as_secs());
    let each = Duration::from_secs(asked.seconds.unwrap_or(0)) / u32::try_from(targets.len()).unwrap_or(1);
    for target in targets {
        let begun = Instant::now();
        match fuzz(target, asked.inputs, each, seed) {
            Ok(done) => {
                let seconds = begun.elapsed().as_secs_f64();
                let rate = done as f64 / seconds;
                writeln!(out, "{:<16}{done:>9} inputs in {seconds:.1} s, {rate:.0}/s, seed {seed}", target.name)?;
            }
            Err(Failure { what, input, again }) => {
                writeln!(out, "{:<16}failed: {what}", target.name)?;
                writeln!(out, "the input: b\"{}\"", input.escape_ascii())?;
                if asked.keep && !input.is_empty() && input.len() <= MOST_KEPT.1 {
                    let name = input.iter().fold(seed, |hash, byte| hash.wrapping_mul(31) ^ u64::from(*byte));
                    let path = folder(target).join(format!("found-{name:016x}"));
                    std::fs::write(&path, &input)?;
                    writeln!(out, "kept as {}", path.display())?;
                }
                writeln!(out, "to see it again: {again}")?;
                return Ok(1);
            }
        }
    }
    Ok(0)
}

fn main() {
    let code = run(&mut std::io::stdout()).unwrap_or(2);
    let _ = std::io::stdout().flush();
    std::process::exit(code);
}
