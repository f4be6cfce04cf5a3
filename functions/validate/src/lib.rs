//! `POST /validate`: checks the user's credentials and keeps the push key that comes with them (*The validate Web
//! Service*).

use std::sync::Arc;

use bridge::Dependencies;
use bridge::accounts::Accounts;
use bridge::auth::authenticate;
use bridge::http::{guarded, to_pruvan};
use bridge::outbound::Outbound;
use bridge::settings::SettingError;
use bridge::telemetry::{Record, Telemetry};
use bridge::time::Clock;
use bridge::web_service::{self, Refusal};
use lambda_http::{Body, Request, Response};
use pruvan::validate::{ValidateReply, ValidateRequest};

/// What the function needs.
pub struct Validate {
    telemetry: Telemetry,
    accounts: Accounts,
    clock: Clock,
    outbound: Outbound,
    push_hosts: Vec<String>,
}

impl Validate {
    /// Reads `ACCOUNTS_TABLE` and `PUSH_HOSTS`.
    pub fn new(dependencies: &Dependencies) -> Result<Validate, SettingError> {
        Ok(Validate {
            telemetry: Telemetry::new(dependencies, "validate"),
            accounts: Accounts::new(dependencies)?,
            clock: dependencies.clock.clone(),
            outbound: dependencies.outbound.clone(),
            push_hosts: dependencies.settings.get("PUSH_HOSTS")?.split(',').map(str::to_owned).collect(),
        })
    }
}

/// Answers one request of Pruvan's, whatever comes (*The validate Web Service*).
pub async fn handle(state: Arc<Validate>, request: Request) -> Response<Body> {
    let mut record = state.telemetry.request(&request);
    let validated = guarded(validate(&state, request, &mut record), || Err(Refusal::again())).await;
    to_pruvan(&match validated {
        Ok(()) => ValidateReply::validated(),
        Err(why) => ValidateReply::refused(why.as_str()),
    })
}

async fn validate(state: &Validate, request: Request, record: &mut Record) -> Result<(), Refusal> {
    let request = ValidateRequest::from_payload(web_service::read(request, record).await?.payload);
    let now = state.clock.now_ms();
    let account = authenticate(&state.accounts, &request.credentials, now, record).await?;
    let Some(push_key) = &request.push_key else {
        record.note("pushKey", "as it was");
        record.ok();
        return Ok(());
    };
    // The credentials are right even if the key leads somewhere it must not: it is kept to be seen, and never used.
    let refused = state.outbound.check(push_key, &state.push_hosts).err().map(|refused| refused.to_string());
    if let Some(reason) = &refused {
        record.note("error", reason.as_str());
    }
    let kept = state.accounts.set_push_key(&account, push_key, refused.as_deref(), now).await;
    let push_key_state = kept.map_err(|error| Refusal::failed(record, &error))?;
    record.note("pushKey", push_key_state.as_str());
    record.ok();
    Ok(())
}
