//! `import`: orders out of a file into an account, here or in a deployment, in calls of the right size.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bridge::import::{Choices, DateOrder, Format, ReadError, Row, no_fields, read, text_of};
use indicatif::{ProgressBar, ProgressStyle};
use pruvan::work_order::Remark;
use serde_json::{Value, json};

use crate::client::{CallError, HostClient, segment};
use crate::signer::SetupError;
use crate::workbook;

/// What to put in, and where.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The file: CSV, a workbook, NDJSON or JSON; - for the standard input
    pub file: PathBuf,
    /// The account
    #[arg(long)]
    pub username: String,
    /// Base URL of the host's API: the output HostUrl of the stack
    #[arg(long, default_value = "http://127.0.0.1:9000")]
    pub url: String,
    /// The service of orders whose rows name none: Pruvan's own files have no column for it
    #[arg(long, value_name = "NAME", default_value = "Task")]
    pub service: String,
    /// A column that is no field and doesn't matter; may be given several times
    #[arg(long, value_name = "COLUMN")]
    pub ignore: Vec<String>,
    /// Which part of a date such as 03/04/2026 comes first: mdy (month) or dmy (day)
    #[arg(long, value_name = "ORDER", value_parser = date_order)]
    pub dates: Option<DateOrder>,
}

fn date_order(text: &str) -> Result<DateOrder, &'static str> {
    DateOrder::parse(text).ok_or("it must be mdy or dmy")
}

/// Why not all orders were tried.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The API can't be called.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The file can't be read.
    #[error("{}: {fault}", file.display())]
    Read {
        /// As it was given.
        file: PathBuf,
        /// What is wrong with it.
        fault: String,
    },
    /// The API said no, and would say so again.
    #[error("{error}; {left} orders are not in yet: mend that, and run it again")]
    Refused {
        /// What became of the last call.
        error: CallError,
        /// Orders that are still to go in.
        left: usize,
    },
    /// The API failed, or wasn't there.
    #[error("{error}; {left} orders are not in yet: run it again")]
    Call {
        /// What became of the last call.
        error: CallError,
        /// Orders that are still to go in.
        left: usize,
    },
    /// Ctrl-C broke it off; what is in stays in.
    #[error(
        "interrupted; {left} orders are not in yet, or not known to be: run it again, and what is in already stays as it is"
    )]
    Interrupted {
        /// Orders that are still to go in; those of the call that was under way are among them.
        left: usize,
    },
    /// The API answered and did nothing, again and again.
    #[error("the API takes no orders at the moment; {left} are not in yet: run it again")]
    Busy {
        /// Orders that are still to go in.
        left: usize,
    },
    /// What answers is another API.
    #[error("POST {path} answered {results} results for {orders} orders")]
    Results {
        /// Path of the call, below the base URL of the API.
        path: String,
        /// How many it gave.
        results: usize,
        /// How many it was sent.
        orders: usize,
    },
    /// The report can't be printed.
    #[error("stdout: {0}")]
    Print(std::io::Error),
}

impl ImportError {
    /// What a program exits with: 130 is what shells make of Ctrl-C.
    pub fn exit_code(&self) -> u8 {
        if matches!(self, ImportError::Interrupted { .. }) { 130 } else { 2 }
    }
}

/// Orders of a call: what a busy table takes well within the twenty seconds after which the API stops.
const A_CALL: usize = 1000;

/// And bytes: Lambda takes 6 MB, in which the body's own quotes are escaped.
const BYTES: usize = 3_000_000;

/// A call that failed, and what it didn't get to, is sent again so often without anything being done.
const TRIES: u32 = 5;

/// What became of the orders.
#[derive(Debug, Default)]
pub struct Imported {
    /// How many came to what.
    pub counts: BTreeMap<String, usize>,
    /// Those that were refused: line, number, why.
    pub refused: Vec<Remarked>,
    /// Those of which something is not sent as it stood in the file: what, and what it became.
    pub altered: Vec<Remarked>,
    /// What else is to be known of what was accepted: of how many orders each.
    pub warnings: BTreeMap<String, Vec<String>>,
}

/// One order, and what is to be said of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Remarked {
    /// Line of the file on which the order begins, from 1; `None` in a JSON array.
    pub line: Option<u64>,
    /// As far as it could be read.
    pub number: String,
    /// A fault or an alteration each.
    pub remarks: Vec<String>,
}

/// The command: puts the orders of a file in and prints what became of them. True if all were taken.
pub async fn command(options: Options) -> Result<bool, ImportError> {
    let Options { file, username, url, service, ignore, dates } = options;
    let choices = Choices { ignore, service, dates, ..Choices::default() };
    let rows = rows(&file, &choices)?;
    let host = HostClient::new(&url)?;
    let interrupted = async { drop(tokio::signal::ctrl_c().await) };
    let (done, error) = match run_until(&host, &username, rows, &choices, interrupted).await {
        Ok(done) => (done, None),
        Err((done, error)) => (done, Some(error)),
    };
    // Where nothing was done there is nothing to tell but the error; who breaks it off wants to know that, too.
    if error.as_ref().is_none_or(|error| error.exit_code() == 130) || !done.counts.is_empty() {
        write!(std::io::stdout(), "{}", done.report()).map_err(ImportError::Print)?;
    }
    error.map_or(Ok(done.refused.is_empty()), Err)
}

/// Reads a file, or the standard input for `-`: a text in UTF-8, UTF-16 or what Excel writes on Windows, or a workbook.
pub fn rows(file: &Path, choices: &Choices) -> Result<Vec<Row>, ImportError> {
    let failed = |fault: &dyn std::fmt::Display| ImportError::Read { file: file.to_owned(), fault: fault.to_string() };
    let bytes = match file.as_os_str() == "-" {
        true => {
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
        }
        false => std::fs::read(file),
    };
    let bytes = bytes.map_err(|error| failed(&error))?;
    let sheet =
        if workbook::is_one(&bytes) { Some(workbook::sheet(&bytes).map_err(|fault| failed(&fault))?) } else { None };
    let text = match (&sheet, text_of(&bytes)) {
        (Some(csv), _) => csv.as_str().into(),
        (None, Ok(text)) => text,
        (None, Err(ReadError::NotUtf8)) => encoding_rs::WINDOWS_1252.decode(&bytes).0,
        (None, Err(error)) => return Err(failed(&error)),
    };
    let rows = read(Format::of("", &text), &text, choices).map_err(|error| match error {
        ReadError::NoFields { columns, slips } => {
            let ignored: Vec<String> = columns.iter().map(|column| format!("--ignore {column:?}")).collect();
            failed(&format_args!("{} ({})", no_fields(&slips), ignored.join(" ")))
        }
        error => failed(&error),
    })?;
    if rows.is_empty() { Err(failed(&"there are no orders in it")) } else { Ok(rows) }
}

/// Puts the orders in, and shows how far it is.
///
/// If it can't go on, the error comes with what was done until then.
pub async fn run(
    host: &HostClient,
    username: &str,
    rows: Vec<Row>,
    choices: &Choices,
) -> Result<Imported, (Imported, ImportError)> {
    run_until(host, username, rows, choices, std::future::pending()).await
}

/// The same, until `interrupted` is done.
pub async fn run_until(
    host: &HostClient,
    username: &str,
    rows: Vec<Row>,
    choices: &Choices,
    interrupted: impl Future<Output = ()>,
) -> Result<Imported, (Imported, ImportError)> {
    let bar = ProgressBar::new(u64::try_from(rows.len()).unwrap_or(0));
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} orders  {per_sec}  {eta} left  {msg}") {
        bar.set_style(style);
    }
    let mut import = Import::of(rows, &choices.service);
    bar.inc(u64::try_from(import.done.refused.len()).unwrap_or(0));
    let ended = tokio::select! {
        ended = import.call_until_done(host, username, &bar) => Some(ended),
        () = interrupted => None,
    };
    import.done.refused.sort();
    import.done.altered.sort();
    let error = match ended {
        Some(Ok(())) => {
            bar.finish_and_clear();
            return Ok(import.done);
        }
        Some(Err(error)) => error,
        None => ImportError::Interrupted { left: import.left() },
    };
    bar.abandon();
    Err((import.done, error))
}

/// An import under way.
struct Import<'a> {
    done: Imported,
    orders: usize,
    waiting: VecDeque<(Option<u64>, Value)>,
    /// What the reading of the file had to say, by number.
    warnings: BTreeMap<String, Vec<Remark>>,
    /// Orders that named no service, and have this one.
    put_in: BTreeSet<String>,
    service: &'a str,
}

impl Import<'_> {
    /// What can't be read, or is there twice, is refused before anything is called.
    fn of(rows: Vec<Row>, service: &str) -> Import<'_> {
        let (done, waiting, put_in) = (Imported::default(), VecDeque::new(), BTreeSet::new());
        let mut import = Import { done, orders: rows.len(), waiting, warnings: BTreeMap::new(), put_in, service };
        let mut numbers = BTreeSet::new();
        for Row { line, number, order, service_put_in, warnings } in rows {
            let twice = !number.is_empty() && !numbers.insert(number.clone());
            match order {
                Ok(_) if twice => {
                    let faults = vec!["is in the file twice: give each order once".to_owned()];
                    import.done.refuse(Remarked { line, number, remarks: faults });
                }
                Ok(mut order) => {
                    import.warnings.insert(number.clone(), warnings);
                    if service_put_in {
                        order.insert("keepServices".to_owned(), Value::Bool(true));
                        import.put_in.insert(number);
                    }
                    import.waiting.push_back((line, Value::Object(order)));
                }
                Err(fault) => import.done.refuse(Remarked { line, number, remarks: vec![fault] }),
            }
        }
        import
    }

    /// Orders of which it isn't known what became of them.
    fn left(&self) -> usize {
        self.orders.saturating_sub(self.done.counts.values().sum())
    }

    /// Calls until nothing waits. A call that fails, or that attempts none of its orders, is made again a few times.
    async fn call_until_done(
        &mut self,
        host: &HostClient,
        username: &str,
        bar: &ProgressBar,
    ) -> Result<(), ImportError> {
        let path = format!("/accounts/{}/orders", segment(username));
        let mut in_vain = 0;
        while !self.waiting.is_empty() {
            let call = next(&mut self.waiting);
            let orders: Vec<&Value> = call.iter().map(|(_, order)| order).collect();
            let reply = match host.post(&path, json!(orders).to_string().into_bytes()).await {
                Ok(reply) => reply,
                Err(error) if error.is_lasting() => {
                    return Err(ImportError::Refused { error, left: self.waiting.len() + call.len() });
                }
                Err(error) if in_vain + 1 >= TRIES => {
                    return Err(ImportError::Call { error, left: self.waiting.len() + call.len() });
                }
                Err(error) => {
                    in_vain += 1;
                    bar.set_message(format!("trying again: {error}"));
                    call.into_iter().rev().for_each(|order| self.waiting.push_front(order));
                    tokio::time::sleep(Duration::from_secs(1 << in_vain)).await;
                    continue;
                }
            };
            let results = reply["results"].as_array().cloned().unwrap_or_default();
            if results.len() != call.len() {
                return Err(ImportError::Results { path, results: results.len(), orders: call.len() });
            }
            let before = self.waiting.len();
            for (order, result) in call.into_iter().zip(&results) {
                self.note(order, result);
            }
            // Once a call, or the first of them would tell a speed of its own.
            bar.inc(u64::try_from(before + results.len() - self.waiting.len()).unwrap_or(0));
            in_vain = if self.waiting.len() == before + results.len() { in_vain + 1 } else { 0 };
            if in_vain == TRIES {
                return Err(ImportError::Busy { left: self.waiting.len() });
            }
            if in_vain > 0 {
                tokio::time::sleep(Duration::from_secs(1 << in_vain)).await;
            }
        }
        Ok(())
    }

    /// Notes what became of one order; what was not attempted waits on.
    fn note(&mut self, (line, order): (Option<u64>, Value), result: &Value) {
        let text = |name: &str| result[name].as_str().unwrap_or_default().to_owned();
        let said = |remark: &Value| {
            let part = |name: &str| remark[name].as_str().unwrap_or_default();
            format!("{} {}", part("field"), part("detail"))
        };
        let remarks = |name: &str| result[name].as_array().into_iter().flatten().map(said).collect::<Vec<String>>();
        match result["result"].as_str().unwrap_or_default() {
            "notAttempted" => self.waiting.push_back((line, order)),
            "refused" => {
                let mut faults: Vec<String> =
                    remarks("errors").into_iter().map(|fault| fault.trim().to_owned()).collect();
                if faults.is_empty() {
                    faults.push(text("detail"));
                }
                self.done.refuse(Remarked { line, number: text("workOrderNumber"), remarks: faults });
            }
            outcome => {
                *self.done.counts.entry(outcome.to_owned()).or_default() += 1;
                let number = text("workOrderNumber");
                for Remark { field, detail, altered } in self.warnings.remove(&number).unwrap_or_default() {
                    let warning = format!("{field} {detail}");
                    self.done.warn(line, &number, warning.trim_start().to_owned(), !altered.is_empty());
                }
                if outcome == "created" && self.put_in.contains(&number) {
                    self.done.warn(line, &number, format!("names no service, and has {:?}", self.service), false);
                }
                for warning in result["warnings"].as_array().into_iter().flatten() {
                    self.done.warn(line, &number, said(warning), warning["altered"].is_array());
                }
            }
        }
    }
}

/// What one call takes.
fn next(waiting: &mut VecDeque<(Option<u64>, Value)>) -> Vec<(Option<u64>, Value)> {
    let (mut call, mut bytes) = (Vec::new(), 0);
    while let Some((_, order)) = waiting.front() {
        // Each quote has a backslash before it in the event.
        let size = order.to_string();
        bytes += size.len() + size.matches('"').count();
        if call.len() == A_CALL || (bytes > BYTES && !call.is_empty()) {
            break;
        }
        call.extend(waiting.pop_front());
    }
    call
}

impl Imported {
    fn refuse(&mut self, refused: Remarked) {
        *self.counts.entry("refused".to_owned()).or_default() += 1;
        self.refused.push(refused);
    }

    fn warn(&mut self, line: Option<u64>, number: &str, warning: String, altered: bool) {
        if altered {
            self.altered.push(Remarked { line, number: number.to_owned(), remarks: vec![warning] });
            return;
        }
        // Of a hundred services each says the same.
        let warning: String = warning
            .split('/')
            .map(|part| if part.parse::<u32>().is_ok() { "*" } else { part })
            .collect::<Vec<_>>()
            .join("/");
        self.warnings.entry(warning).or_default().push(number.to_owned());
    }

    /// For people: how many came to what, what to mend, and what to know.
    pub fn report(&self) -> String {
        let mut report = String::new();
        for name in ["created", "changed", "unchanged", "refused"] {
            report.push_str(&format!("{:>8}  {name}\n", self.counts.get(name).copied().unwrap_or(0)));
        }
        report.push_str(&table("Refused", "why", &self.refused));
        report.push_str(&table("Taken, but not as it stood there", "what it became", &self.altered));
        if !self.warnings.is_empty() {
            report.push_str(&format!("\nAccepted, but:\n{:>8}  what\n", "orders"));
            for (warning, numbers) in &self.warnings {
                let named = numbers.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
                let more = numbers.len().checked_sub(NAMED + 1).map(|more| format!(" and {} more", more + 1));
                let more = more.unwrap_or_default();
                report.push_str(&format!("{:>8}  {warning}: {named}{more}\n", numbers.len()));
            }
        }
        report
    }
}

/// Orders that the report names behind a warning.
const NAMED: usize = 4;

/// Orders of a kind that the report names.
const SHOWN: usize = 500;

/// A line for each order, or for each remark of one.
fn table(title: &str, what: &str, orders: &[Remarked]) -> String {
    if orders.is_empty() {
        return String::new();
    }
    let width = orders.iter().map(|order| order.number.len()).max().unwrap_or(0).clamp(6, 40);
    let mut table = format!("\n{title}:\n{:>8}  {:width$}  {what}\n", "line", "number");
    for Remarked { line, number, remarks } in orders.iter().take(SHOWN) {
        let line = line.map(|line| line.to_string()).unwrap_or_default();
        for (index, remark) in remarks.iter().enumerate() {
            let (line, number) = if index == 0 { (line.as_str(), number.as_str()) } else { ("", "") };
            table.push_str(&format!("{line:>8}  {number:width$}  {remark}\n"));
        }
    }
    if orders.len() > SHOWN {
        table.push_str(&format!("          and {} more\n", orders.len() - SHOWN));
    }
    table
}
