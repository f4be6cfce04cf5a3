//! The house: no two files import each other in a circle, crates stand on each other one way, and whoever tests another
//! implementation compiles neither our functions nor our stores.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::imports::{Sources, circles, rust_files};
use crate::harness::lambda::executable;
use crate::harness::pages::root;

#[test]
fn no_files_import_each_other_in_a_circle() {
    let (mut found, mut files) = (Vec::new(), 0);
    for package in packages() {
        for target in package["targets"].as_array().unwrap() {
            let kinds = target["kind"].as_array().unwrap();
            let path = Path::new(target["src_path"].as_str().unwrap());
            if package["name"] == "tests" || !kinds.iter().any(|kind| kind == "lib" || kind == "bin") {
                continue;
            }
            let sources = Sources::of_crate(path);
            files += sources.len();
            found.extend(circles(&sources));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n\n"));
    assert!(files > 150, "{files} files");
}

/// The check finds what it is for.
#[test]
fn a_circle_is_found_whichever_way_it_is_written() {
    let found = |files: &[(&str, &str)]| circles(&Sources::of_text(files));
    let root = ("", "pub mod a; pub mod b; pub use b::Thing;");
    for (a, b) in [
        ("use crate::b::Thing; pub fn f() {}", "pub struct Thing; use crate::a::f;"),
        ("use super::b; pub fn f() { b::g() }", "pub fn g() { crate::a::f() }"),
        ("use crate::Thing; pub fn f() {}", "pub struct Thing; pub fn g() { use super::a::f; f() }"),
        ("pub fn f() -> String { format!(\"{}\", crate::b::g()) }", "pub fn g() { super::a::f(); }"),
        ("use crate::{b::{Thing, g}}; pub fn f() {}", "pub struct Thing; pub fn g() { let _ = crate::a::f; }"),
    ] {
        assert_eq!(found(&[root, ("a", a), ("b", b)]).len(), 1, "{a} {b}");
    }
    // A parent that hands something to a child, which imports it back.
    let handed =
        [("", "mod a; pub struct State; fn f() { a::serve(&State) }"), ("a", "pub fn serve(_: &crate::State) {}")];
    assert_eq!(found(&handed).len(), 1);
    // Neither what only tests import, nor what a file imports of one that doesn't import it.
    let b = "pub struct Thing; #[cfg(test)] mod tests { use crate::a::f; }";
    assert_eq!(found(&[root, ("a", "use crate::b::Thing; pub fn f() {}"), ("b", b)]), Vec::<String>::new());
}

/// Functions stand on `bridge`, `bridge` on `pruvan`; of infra only `local` knows a function.
#[test]
fn crates_stand_on_each_other_one_way() {
    let of: BTreeMap<String, String> = packages()
        .iter()
        .map(|package| {
            let manifest = Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap();
            let folder = manifest.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            (package["name"].as_str().unwrap().to_owned(), folder)
        })
        .collect();
    let mut seen = 0;
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        for dependency in package["dependencies"].as_array().unwrap() {
            let Some(on) = of.get(dependency["name"].as_str().unwrap()) else { continue };
            let may = match of[name].as_str() {
                "shared/pruvan" => false,
                "shared/bridge" => on == "shared/pruvan",
                "infra/local" | "tests" => true,
                "infra/pictures" => false,
                folder if folder.starts_with("functions/") => on.starts_with("shared/"),
                _ => on != "infra/local" && !on.starts_with("functions/"),
            };
            assert!(may, "{name} must not stand on {on}");
            seen += 1;
        }
    }
    assert!(seen > 50, "{seen} dependencies");
}

#[test]
fn whoever_tests_another_implementation_compiles_no_function_and_no_store() {
    let functions = packages().into_iter().filter_map(|package| {
        let is_function = package["manifest_path"].as_str().unwrap().contains("/functions/");
        is_function.then(|| package["name"].as_str().unwrap().to_owned())
    });
    let functions: BTreeSet<String> = functions.collect();
    assert_eq!(functions.len(), 9);
    for package in ["checks", "bridge-console"] {
        let mut tree = Command::new(env!("CARGO"));
        tree.args([
            "tree",
            "--locked",
            "--offline",
            "--package",
            package,
            "--edges",
            "normal,build",
            "--prefix",
            "none",
        ]);
        let tree = tree.current_dir(root()).output().unwrap();
        assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
        let compiled: BTreeSet<String> = String::from_utf8(tree.stdout)
            .unwrap()
            .lines()
            .filter_map(|line| line.split(' ').next().map(str::to_owned))
            .collect();
        assert!(compiled.contains("simulator") && compiled.contains("host-client"), "{compiled:?}");
        let stores = ["local", "bridge", "dynoxide-rs", "rusqlite", "libsqlite3-sys", "s3s", "lambda_runtime"];
        for unwanted in functions.iter().map(String::as_str).chain(stores) {
            assert!(!compiled.contains(unwanted), "{package} compiles {unwanted}");
        }
        assert!(!compiled.iter().any(|name| name.starts_with("aws-sdk-")), "{package} compiles an AWS SDK");
    }
}

/// The crates of the workspace, as Cargo describes them.
pub fn packages() -> Vec<Value> {
    let mut metadata = Command::new(env!("CARGO"));
    metadata.args(["metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"]);
    let metadata = metadata.current_dir(root()).output().unwrap();
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// The binaries of their own and the runner's commands are the same programs: the same prose, the same options.
#[test]
fn each_command_has_a_binary_of_its_own_for_those_who_need_no_more() {
    let help = |binary: &str, command: &[&str]| {
        let said = Command::new(executable(binary)).args(command).arg("--help").output().unwrap();
        assert!(said.status.success(), "{binary} {command:?}: {}", String::from_utf8_lossy(&said.stderr));
        let said = String::from_utf8(said.stdout).unwrap();
        let is_said = |line: &&str| !line.starts_with("Usage:") && !line.trim().is_empty();
        said.lines().filter(is_said).map(str::to_owned).collect::<Vec<_>>()
    };
    for (binary, command) in
        [("pruvan-doctor", "doctor"), ("pruvan-conformance", "conformance"), ("pruvan-simulator", "pruvan")]
    {
        let alone: Vec<String> = help(binary, &[])
            .into_iter()
            .filter(|line| !line.contains("--version") && line.trim() != "Print version")
            .collect();
        assert!(alone.iter().any(|line| line.contains("--url")), "{alone:?}");
        assert_eq!(alone, help("local", &[command]));
    }
    for command in ["console", "demo", "import", "download"] {
        help("local", &[command]);
    }
}

#[test]
fn comments_stay_within_120_columns() {
    let mut wide = Vec::new();
    for path in ["functions", "shared", "infra", "tests"].iter().flat_map(|folder| rust_files(&root().join(folder))) {
        let text = std::fs::read_to_string(&path).unwrap();
        let is_wide = |line: &str| line.trim_start().starts_with("//") && line.chars().count() > 120;
        let lines = (1..).zip(text.lines()).filter(|(_, line)| is_wide(line));
        wide.extend(lines.map(|(number, _)| format!("{}:{number}", path.display())));
    }
    assert!(wide.is_empty(), "{}", wide.join("\n"));
}

/// What is longer does more than one thing.
#[test]
fn files_have_at_most_400_lines_and_those_of_infra_500() {
    let mut long = Vec::new();
    for (folder, most) in [("functions", 400), ("shared", 400), ("infra", 500)] {
        for path in rust_files(&root().join(folder)) {
            let lines = std::fs::read_to_string(&path).unwrap().lines().count();
            if lines > most {
                long.push(format!("{}: {lines}", path.display()));
            }
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}
