//! `POST /validate`: checks the user's credentials and keeps the push key that comes with them (*The validate Web
//! Service*).

use std::sync::Arc;

use bridge::accounts::{Accounts, PushKeyState};
use bridge::auth::authenticate;
use bridge::http::{TRY_AGAIN, guarded, to_pruvan};
use bridge::outbound::Outbound;
use bridge::record::{Record, Recorder};
use bridge::settings::SettingError;
use bridge::time::Clock;
use bridge::{World, form};
use lambda_http::{Body, Request, Response};
use pruvan::validate::{ValidateReply, ValidateRequest};

/// What the function needs.
pub struct Validate {
    recorder: Recorder,
    accounts: Accounts,
    clock: Clock,
    outbound: Outbound,
    push_hosts: Vec<String>,
}

impl Validate {
    /// Reads `ACCOUNTS_TABLE` and `PUSH_HOSTS`.
    pub fn new(world: &World) -> Result<Validate, SettingError> {
        Ok(Validate {
            recorder: Recorder::new(world, "validate"),
            accounts: Accounts::new(world)?,
            clock: world.clock.clone(),
            outbound: world.outbound.clone(),
            push_hosts: world.settings.get("PUSH_HOSTS")?.split(',').map(str::to_owned).collect(),
        })
    }
}

/// Answers one request.
pub async fn handle(state: Arc<Validate>, request: Request) -> Response<Body> {
    let mut record = state.recorder.request(&request);
    let reply = guarded(validate(&state, request, &mut record), || ValidateReply::refused(TRY_AGAIN)).await;
    to_pruvan(&reply)
}

async fn validate(state: &Validate, request: Request, record: &mut Record) -> ValidateReply {
    let payload = match form::read(request).await {
        Ok(form) => form.payload,
        Err(error) => return ValidateReply::refused(record.bad_request(&error.to_string())),
    };
    let request = ValidateRequest::from_payload(payload);
    let now = state.clock.now_ms();
    let account = match authenticate(&state.accounts, &request.credentials, now, record).await {
        Ok(account) => account,
        Err(why) => return ValidateReply::refused(why),
    };
    let Some(push_key) = &request.push_key else {
        record.note("pushKey", "as it was");
        record.ok();
        return ValidateReply::validated();
    };
    // The credentials are right even if the key leads somewhere it must not: it is kept to be seen, and never used.
    let push_key_state = match state.outbound.check(push_key, &state.push_hosts) {
        Ok(_) => PushKeyState::Live,
        Err(reason) => {
            record.note("error", reason.to_string());
            PushKeyState::Refused
        }
    };
    if let Err(error) = state.accounts.set_push_key(&account, push_key, push_key_state, now).await {
        return ValidateReply::refused(record.failed(&error));
    }
    record.note("pushKey", push_key_state.as_str());
    record.ok();
    ValidateReply::validated()
}
