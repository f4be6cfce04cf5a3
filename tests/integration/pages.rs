//! The pages: their links lead somewhere, their lines are short, and what they show works when it is pasted.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::lambda::executable;
use crate::harness::pages::{Page, root};

/// Columns of a line of prose. Tables, blocks of code and lines that are one link can't be broken.
const WIDTH: usize = 100;

#[test]
fn every_link_leads_somewhere() {
    let mut broken = Vec::new();
    let mut followed = 0;
    for page in Page::all() {
        let from = root().join(&page.path);
        for link in page.links() {
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            if ["https://", "http://", "mailto:"].iter().any(|scheme| link.starts_with(scheme)) {
                continue;
            }
            followed += 1;
            let to = if path.is_empty() { from.clone() } else { from.parent().unwrap().join(path) };
            let Ok(to) = to.canonicalize() else {
                broken.push(format!("{}: {link}: there is no such file", page.path.display()));
                continue;
            };
            if !anchor.is_empty() {
                let there = Page::read(to.strip_prefix(root()).unwrap().to_str().unwrap()).anchors();
                if !there.iter().any(|known| known == anchor) {
                    broken.push(format!("{}: {link}: there is no such heading", page.path.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(followed > 200, "{followed} links");
}

#[test]
fn prose_is_at_most_100_columns_wide_and_the_front_page_200_lines_long() {
    let mut wide = Vec::new();
    for page in Page::all() {
        let mut in_code = false;
        for (number, line) in page.text.lines().enumerate() {
            let start = line.trim_start();
            in_code ^= start.starts_with("```");
            let unbreakable = in_code || start.starts_with('|') || start.starts_with('#') || is_one_link(start);
            if line.chars().count() > WIDTH && !unbreakable {
                wide.push(format!("{}:{}: {}", page.path.display(), number + 1, line.chars().count()));
            }
        }
    }
    assert!(wide.is_empty(), "{}", wide.join("\n"));
    assert!(Page::read("README.md").text.lines().count() <= 200);
}

/// A link, a picture or one long word.
fn is_one_link(line: &str) -> bool {
    let text = line.trim_start_matches(['-', '*', ' ', '!']);
    !text.contains(' ')
        || text.starts_with('[') && text.matches("](").count() == 1 && text.ends_with([')', ',', '.', ';'])
}

/// The lines that the runner prints, too. What follows a block of shell lines as JSON is what those lines print, but
/// for times and ids.
#[test]
fn what_the_pages_show_works_when_it_is_pasted() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(root().join("tests"), folder.path().join("tests")).unwrap();
    let said = folder.path().join("said");
    let mut runner = Command::new(executable("local"));
    runner.args(["--port", "0"]).current_dir(folder.path()).stdout(Stdio::piped()).stderr(File::create(&said).unwrap());
    let mut runner = runner.spawn().unwrap();
    let mut ready = String::new();
    BufReader::new(runner.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    let ready: Value = serde_json::from_str(&ready).unwrap();
    let url = ready["gateway"].as_str().unwrap();

    let said = std::fs::read_to_string(said).unwrap();
    let by_hand = &said[said.find("# first of all").unwrap()..];
    let mut script = format!(
        "set -eo pipefail\ncargo() {{ shift 4; {:?} \"$@\" --url {url}; }}\n{by_hand}\n",
        executable("local").to_str().unwrap()
    );
    let mut shown = Vec::new();
    for page in ["README.md", "infra/docs/host-api.md"] {
        let mut last = None;
        for block in Page::read(page).blocks() {
            let ours = block.text.contains("127.0.0.1:9000") || block.text.contains("$URL/");
            let commands = ["import", "download"].map(|command| format!("cargo run -p local -- {command} "));
            let commanded = commands.iter().any(|command| block.text.contains(command));
            if block.language == "sh" && (ours || commanded) {
                let number = shown.len();
                script.push_str(&format!("echo '== {number}'\n{}\n", block.text.replace("127.0.0.1:9000", &url[7..])));
                shown.push((page, block.under.clone(), None));
                last = Some(number);
            } else if let (Some(number), "json") = (last.take(), block.language.as_str()) {
                shown[number].2 = Some(serde_json::from_str::<Value>(&block.text).unwrap());
            }
        }
    }
    let run = Command::new("bash").args(["-c", &script]).current_dir(folder.path()).output().unwrap();
    runner.kill().unwrap();
    runner.wait().unwrap();
    let (printed, errors) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{printed}\n{errors}");
    assert_eq!(printed.matches("the same, byte for byte").count(), 2, "{printed}");
    // One order is refused on purpose, to show how that looks.
    let refused =
        |line: &&str| ["\"title\":", "\"status\":false", "\"validated\":false"].iter().any(|sign| line.contains(sign));
    assert_eq!(printed.lines().filter(refused).count(), 1, "{printed}");
    assert!(shown.len() > 8 && shown.iter().filter(|(_, _, json)| json.is_some()).count() > 2);
    for (number, (page, under, json)) in shown.iter().enumerate() {
        let after = printed.split(&format!("== {number}\n")).nth(1).unwrap_or_default();
        let block = after.split("== ").next().unwrap_or_default();
        if let Some(json) = json {
            let last: Value = serde_json::from_str(block.trim().lines().last().unwrap_or_default()).unwrap_or_default();
            assert_eq!(fields(&last), fields(json), "{page}#{under} shows {json}, and this comes: {block}");
        }
    }
}

fn fields(json: &Value) -> BTreeSet<String> {
    json.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
}
