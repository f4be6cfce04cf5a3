#!/usr/bin/env bash
# Runs the functions in `sam local`'s containers, on the stores of `cargo run -p local`:
#   tests/deploy/sam-local.sh         builds (SAM_BUILD_MODE=debug is quicker), then the round trip through `sam local start-api`, then
#                              `sam local invoke` of every function with its event of infra/events
#
# Needs Rust, pip, socat and a Docker engine, with public.ecr.aws/lambda/provided:al2023-x86_64 or the right to pull it.
set -euo pipefail
cd "$(dirname "$0")/../.."
tools=${DEPLOY_TOOLS:-$PWD/.venv-deploy}
image=public.ecr.aws/lambda/provided:al2023-x86_64
work=$(mktemp -d)
export AWS_DEFAULT_REGION=us-east-1 SAM_CLI_TELEMETRY=0

step() { printf '\n== %s (%ss)\n' "$1" "$SECONDS"; }
fail() { echo "NOT SO  $1" >&2; exit 1; }
clean_up() {
  status=$?
  jobs -p | xargs -r kill 2>/dev/null || true
  wait 2>/dev/null || true
  if [ $status -ne 0 ]; then tail -n 30 "$work"/*.log >&2 2>/dev/null || true; fi
  rm -rf "$work"
}
trap clean_up EXIT

step "tools"
docker version >/dev/null 2>&1 || { echo "there is no Docker engine here: sam local can't run" >&2; exit 1; }
command -v socat >/dev/null || { echo "socat is not installed: it lets containers reach the stores" >&2; exit 1; }
[ -x "$tools/sam/bin/sam" ] || { python3 -m venv "$tools/sam" && "$tools/sam/bin/pip" install -q -r infra/requirements.txt; }
export PATH="$tools/sam/bin:$PATH"
pull=(); if docker image inspect "$image" >/dev/null 2>&1; then pull=(--skip-pull-image); fi

step "sam build"
sam build --parameter-overrides Architecture=x86_64 >"$work/build.log" 2>&1 || fail "sam build"

step "the stores"
cargo build -q --locked -p local
cargo run -q --locked -p local -- --memory --port 0 --tick 3600 >"$work/ready.json" 2>"$work/local.log" &
for _ in $(seq 120); do [ -s "$work/ready.json" ] && break; sleep 0.5; done
# The stores take no other access key than the runner's own. sam local hands it on.
printed() { sed -n "s|.*\"$1\":\"\([^\"]*\)\".*|\1|p" "$work/ready.json"; }
AWS_ACCESS_KEY_ID=$(printed accessKeyId) AWS_SECRET_ACCESS_KEY=$(printed secretAccessKey)
export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
# They listen on 127.0.0.1 and nowhere else; a container reaches this machine by the bridge's address.
bridge=$(ip -4 -o address show docker0 | sed 's|.* inet \([0-9.]*\)/.*|\1|')
port() { sed -n "s|.*\"$1\":\"http://127.0.0.1:\([0-9]*\)\".*|\1|p" "$work/ready.json"; } # of dynamodb, s3 or gateway
for store in dynamodb s3; do
  socat "TCP-LISTEN:$(port $store),bind=$bridge,fork,reuseaddr" "TCP:127.0.0.1:$(port $store)" &
done
export AWS_ENDPOINT_URL_DYNAMODB="http://$bridge:$(port dynamodb)" AWS_ENDPOINT_URL_S3="http://$bridge:$(port s3)"

step "the round trip through sam local start-api"
sam local start-api "${pull[@]}" --port 3999 --warm-containers LAZY --parameter-overrides Architecture=x86_64 >"$work/api.log" 2>&1 &
for _ in $(seq 120); do curl -s -o /dev/null http://127.0.0.1:3999/ && break; sleep 0.5; done
"$tools/sam/bin/python" tests/deploy/round_trip.py --unsigned --pruvan http://127.0.0.1:3999 --host http://127.0.0.1:3999 --kept "$work/kept.json"
kill %+ 2>/dev/null; wait %+ 2>/dev/null || true

step "sam local invoke, function by function"
invoke() { # function, event, what the reply must hold
  sed "s/API-KEY/${key:-}/" "infra/events/$2.json" >"$work/event.json"
  sam local invoke "$1" "${pull[@]}" --event "$work/event.json" --parameter-overrides Architecture=x86_64 >"$work/reply" 2>"$work/$2.log" \
    || fail "$1 with infra/events/$2.json"
  grep -qF "$3" "$work/reply" || fail "$1 with infra/events/$2.json answers $(cat "$work/reply")"
  echo "ok      $1 with infra/events/$2.json"
}
stored='{\"status\":true,\"error\":null}'
# The account that the runner made, with a key of its own for these events.
key=$(curl -s -X POST "http://127.0.0.1:$(port gateway)/accounts/example/keys" | sed -n 's/.*"apiKey":"\([^"]*\)".*/\1/p')
invoke AccountsFunction accounts '\"username\":\"example\"'
invoke OrdersFunction orders '\"result\":\"created\"'
invoke ValidateFunction validate '{\"error\":\"\",\"validated\":true}'
invoke GetWorkOrdersFunction get-work-orders '\"workOrderNumber\":\"1001\"'
invoke UploadPicturesFunction upload-pictures "$stored"
invoke StatusFunction status "$stored"
invoke PushDrainFunction push-drain null
invoke FetchVideosFunction fetch-videos null
invoke CountOrdersFunction count-orders null

step "done"
