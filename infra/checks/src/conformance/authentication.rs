//! *Authentication*: who is let in.

use serde_json::json;
use simulator::spec::Service;

use super::call::{Call, Spelling, Who};
use super::suite::{Suite, together};
use super::{status, upload};
use crate::report::{Fault, Outcome};

const AUTHENTICATION: &str = "Authentication";

/// The right key, under any header that is understood. False if it is refused: then there is nothing else to check.
pub async fn right(suite: &mut Suite) -> bool {
    let mut first = None;
    for spelling in [Spelling::AsSpecified, Spelling::Usual, Spelling::Urlencoded] {
        let call = Call { spelling: Some(spelling), ..suite.validate() };
        match suite.call(&call).await.and_then(|answer| answer.taken()) {
            Ok(()) => {
                suite.spelling = spelling;
                suite.row(AUTHENTICATION, "validate lets the right key in", Outcome::Pass(String::new()));
                return true;
            }
            Err(fault) => drop(first.get_or_insert(fault)),
        }
    }
    let seen = first.map(|fault| fault.seen).unwrap_or_default();
    let next =
        format!("documented is {}: see that --username and PRUVAN_KEY are right", Service::Validate.documented());
    suite.row(AUTHENTICATION, "validate lets the right key in", Outcome::Fail(Fault::new(seen, next)));
    false
}

/// Wrong keys, unknown users and empty tokens, in each service.
pub async fn wrong(suite: &mut Suite) {
    for service in Service::ALL {
        let outcome = refused(suite, service, Who::WrongKey).await;
        suite.row(AUTHENTICATION, &format!("{} refuses a wrong key", service.name()), outcome);
    }
    for (who, check) in [
        (Who::UnknownUser, "an unknown user is refused by all services"),
        (Who::EmptyToken, "an empty token is refused by all services"),
    ] {
        let (mut faults, mut of) = (Vec::new(), 0);
        for service in Service::ALL {
            match refused(suite, service, who).await {
                Outcome::Fail(fault) | Outcome::Warn(fault) => faults.push(fault),
                Outcome::Pass(_) => {}
                Outcome::Skip(_) => continue,
            }
            of += 1;
        }
        suite.row(AUTHENTICATION, check, together(faults, of));
    }
    // Where a push key was taken from somebody who wasn't let in, the right one comes back.
    drop(suite.call(&suite.validate()).await);
}

async fn refused(suite: &Suite, service: Service, who: Who) -> Outcome {
    let call = match service {
        Service::Validate => match &suite.receiver {
            // If anything is ever pushed there, the key was taken from somebody who wasn't let in.
            Ok(receiver) => Call::new(service, json!({ "pushkey": receiver.bait() })),
            Err(_) => Call::new(service, json!({})),
        },
        Service::Status => match suite.target() {
            Some(target) => status::report(suite, &target.number, json!({})),
            // What is said of an order that isn't there has the shape of a refusal.
            None => return suite.no_order(),
        },
        Service::GetWorkOrders => Call::new(service, json!({ "timestamp": null })),
        Service::UploadPictures => upload::item(suite, "wrong-key", json!({})).with_file("1.jpg", upload::PHOTO),
    };
    match suite.call(&call.by(who)).await.and_then(|answer| answer.refused()) {
        Ok(()) => Outcome::Pass(String::new()),
        Err(fault) => Outcome::Fail(fault),
    }
}
