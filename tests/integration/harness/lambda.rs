//! The functions' executables, and what Lambda gives them.
//!
//! `FUNCTION_BINARIES` names a folder with `{binary}/bootstrap` in it (`tests/deploy/release.sh` unpacks the zips there
//! that are deployed). Without it, cargo builds what `cargo test` hasn't built yet.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::Harness;

/// The executable of a function, or of an example of this crate.
pub fn executable(name: &str) -> PathBuf {
    if let Some(folder) = std::env::var_os("FUNCTION_BINARIES") {
        return PathBuf::from(folder).join(name).join("bootstrap");
    }
    // The same selection as `cargo test` makes, so that no dependency is built twice.
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--locked", "--quiet", "--workspace", "--all-targets"]);
    // What cargo told this test would make build scripts run again.
    for (name, _) in
        std::env::vars().filter(|(name, _)| name.starts_with("CARGO_PKG") || name.starts_with("CARGO_MANIFEST"))
    {
        cargo.env_remove(name);
    }
    cargo.env_remove("LD_LIBRARY_PATH");
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    assert!(cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).status().unwrap().success());
    let deps = std::env::current_exe().unwrap();
    let built = deps.parent().unwrap().parent().unwrap();
    let (binary, example) = (built.join(name), built.join("examples").join(name));
    if binary.exists() { binary } else { example }
}

/// Where the stores are, and who may use them.
pub fn endpoints(harness: &Harness) -> BTreeMap<String, String> {
    let names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_S3"];
    names.map(|name| (name.to_owned(), harness.system.settings.get(name).unwrap().to_owned())).into()
}

/// A sample event, with this key.
pub fn event(name: &str, token: &str) -> Value {
    let file = format!("{}/../infra/events/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(file).unwrap().replace("API-KEY", token)).unwrap()
}
