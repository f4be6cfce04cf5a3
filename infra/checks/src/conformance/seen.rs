//! What was seen in the replies of a run.

use std::collections::BTreeMap;

use simulator::spec::{Breach, Service};

use crate::report::{Fault, Outcome};

/// What was seen in the replies.
#[derive(Default)]
pub struct Seen {
    /// By service, how many there were.
    pub replies: BTreeMap<&'static str, usize>,
    breaches: Vec<Told>,
    /// What was sent, and which secret came back.
    pub repeated: Vec<(String, &'static str)>,
}

struct Told {
    breach: Breach,
    /// The first call that it was met in.
    sent: String,
    times: usize,
}

impl Seen {
    /// Notes a reply of `service` to what was `sent`.
    pub fn note(&mut self, service: Service, sent: &str, breaches: Vec<Breach>, repeated: Vec<&'static str>) {
        *self.replies.entry(service.name()).or_default() += 1;
        for breach in breaches {
            match self.breaches.iter_mut().find(|told| told.breach == breach) {
                Some(told) => told.times += 1,
                None => self.breaches.push(Told { breach, sent: sent.to_owned(), times: 1 }),
            }
        }
        self.repeated.extend(repeated.into_iter().map(|name| (sent.to_owned(), name)));
    }

    /// What breaks these rules.
    pub fn outcome(&self, of: impl Fn(&Breach) -> bool, pass: String) -> Outcome {
        let broken: Vec<&Told> = self.breaches.iter().filter(|told| of(&told.breach)).collect();
        let Some(first) = broken.first() else { return Outcome::Pass(pass) };
        let times = if first.times > 1 { format!(" ({} times)", first.times) } else { String::new() };
        let seen = format!("sent {}{times}: {}", first.sent, first.breach.what);
        let next = match broken.len() {
            1 => format!("see {} in the specification", first.breach.section),
            count => {
                let others: Vec<String> = broken[1..]
                    .iter()
                    .take(4)
                    .map(|told| format!("{}: {}", told.breach.section, told.breach.what))
                    .collect();
                let more = if count > 5 { format!("; and {} more", count - 5) } else { String::new() };
                format!("also {}{more}", others.join("; "))
            }
        };
        Outcome::Fail(Fault::new(seen, next))
    }
}
