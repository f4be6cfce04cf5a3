//! The report for machines.

use quick_xml::Writer;
use quick_xml::events::BytesText;
use serde_json::{Value, json};

use super::{Fault, Outcome, Report, Row};

impl Report {
    /// On several lines: `{"passed": 1, "failed": 1, "skipped": 1, "warned": 0, "checks": [{"section", "check",
    /// "outcome", ...}]}`.
    pub fn json(&self) -> String {
        let [passed, failed, skipped, warned] = self.counts();
        let checks: Vec<Value> = self
            .rows
            .iter()
            .map(|Row { section, check, outcome }| {
                let mut row = json!({ "section": section, "check": check });
                match outcome {
                    Outcome::Pass(note) => {
                        row["outcome"] = json!("pass");
                        row["note"] = json!(note);
                    }
                    Outcome::Fail(Fault { seen, next }) | Outcome::Warn(Fault { seen, next }) => {
                        let warned = matches!(outcome, Outcome::Warn(_));
                        row["outcome"] = json!(if warned { "warn" } else { "fail" });
                        row["seen"] = json!(seen);
                        row["next"] = json!(next);
                    }
                    Outcome::Skip(why) => {
                        row["outcome"] = json!("skip");
                        row["why"] = json!(why);
                    }
                }
                row
            })
            .collect();
        let report =
            json!({ "passed": passed, "failed": failed, "skipped": skipped, "warned": warned, "checks": checks });
        format!("{report:#}\n")
    }

    /// JUnit's XML: one suite of this name, a case a check, whose class is the section.
    pub fn junit(&self, name: &str) -> String {
        let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
        let [_, failed, skipped, _] = self.counts();
        let (tests, failures, skips) = (self.rows.len().to_string(), failed.to_string(), skipped.to_string());
        let suite = xml.create_element("testsuite").with_attributes([
            ("name", name),
            ("tests", tests.as_str()),
            ("failures", failures.as_str()),
            ("errors", "0"),
            ("skipped", skips.as_str()),
        ]);
        let written = suite.write_inner_content(|xml| {
            for Row { section, check, outcome } in &self.rows {
                let case = xml.create_element("testcase");
                let case = case.with_attributes([("classname", section.unwrap_or(name)), ("name", check.as_str())]);
                match outcome {
                    Outcome::Pass(_) => drop(case.write_empty()?),
                    Outcome::Fail(Fault { seen, next }) => drop(case.write_inner_content(|xml| {
                        let text = printable(&format!("{seen}\n{next}"));
                        let failure =
                            xml.create_element("failure").with_attribute(("message", printable(seen).as_str()));
                        failure.write_text_content(BytesText::new(&text)).map(drop)
                    })?),
                    // JUnit knows no warnings.
                    Outcome::Warn(Fault { seen, next }) => drop(case.write_inner_content(|xml| {
                        let text = printable(&format!("{seen}\n{next}"));
                        xml.create_element("system-out").write_text_content(BytesText::new(&text)).map(drop)
                    })?),
                    Outcome::Skip(why) => drop(case.write_inner_content(|xml| {
                        let skipped =
                            xml.create_element("skipped").with_attribute(("message", printable(why).as_str()));
                        skipped.write_empty().map(drop)
                    })?),
                }
            }
            Ok(())
        });
        // Into memory nothing fails.
        drop(written);
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n", String::from_utf8_lossy(&xml.into_inner()))
    }
}

/// Without what XML can't hold.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || *c == '\n').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let row = |section, check: &str, outcome| Row { section, check: check.to_owned(), outcome };
        let fault = Fault::new("HTTP 500: <h1>\"no\"</h1> & \u{1b}", "look into the log");
        Report {
            rows: vec![
                row(Some("General"), "one", Outcome::Pass("12 ms".to_owned())),
                row(Some("General"), "two", Outcome::Fail(fault)),
                row(None, "three", Outcome::Skip("not here".to_owned())),
                row(None, "four", Outcome::Warn(Fault::new("HTTP 413", "of its own"))),
            ],
        }
    }

    #[test]
    fn json_has_all_of_it() {
        let json: Value = serde_json::from_str(&report().json()).unwrap();
        assert_eq!(["passed", "failed", "skipped", "warned"].map(|of| json[of].as_u64()), [Some(1); 4]);
        let two = json!({
            "section": "General", "check": "two", "outcome": "fail", "seen": "HTTP 500: <h1>\"no\"</h1> & \u{1b}",
            "next": "look into the log",
        });
        assert_eq!(json["checks"][1], two);
        assert_eq!(
            json["checks"][2],
            json!({ "section": null, "check": "three", "outcome": "skip", "why": "not here" })
        );
    }

    #[test]
    fn junit_is_xml_with_all_of_it() {
        let expected = "\
<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<testsuite name=\"Pruvan API v2\" tests=\"4\" failures=\"1\" errors=\"0\" skipped=\"1\">
  <testcase classname=\"General\" name=\"one\"/>
  <testcase classname=\"General\" name=\"two\">
    <failure message=\"HTTP 500: &lt;h1&gt;&quot;no&quot;&lt;/h1&gt; &amp; \">HTTP 500: &lt;h1&gt;&quot;no&quot;&lt;/h1&gt; &amp; \nlook into the log</failure>
  </testcase>
  <testcase classname=\"Pruvan API v2\" name=\"three\">
    <skipped message=\"not here\"/>
  </testcase>
  <testcase classname=\"Pruvan API v2\" name=\"four\">
    <system-out>HTTP 413
of its own</system-out>
  </testcase>
</testsuite>
";
        assert_eq!(report().junit("Pruvan API v2"), expected);
    }
}
