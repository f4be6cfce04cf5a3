#!/usr/bin/env bash
# The round trip through `sam local start-api`, and `sam local invoke` of every function with its sample event, on the stores of
# `cargo run -p local`.
#
# Needs a Docker engine, pip, Rust. With SKIP_PULL=1 the Lambda base image is not pulled but must be there under its own name,
# public.ecr.aws/lambda/provided:al2023-x86_64.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=${DEPLOY_TOOLS:-$PWD/.venv-deploy}
work=$(mktemp -d)
# The local stores' own access key.
export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=localsecret AWS_DEFAULT_REGION=us-east-1 AWS_REGION=us-east-1 SAM_CLI_TELEMETRY=0
pull=(); [ "${SKIP_PULL:-0}" = 1 ] && pull=(--skip-pull-image)

step() { printf '\n== %s (%ss)\n' "$1" "$SECONDS"; }
clean_up() {
  status=$?
  [ $status -eq 0 ] || tail -n 40 "$work"/*.log >&2
  kill $(jobs -p) 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap clean_up EXIT

step "tools"
docker info >/dev/null 2>&1 || { echo "no Docker engine runs here" >&2; exit 1; }
[ -x "$tools/sam/bin/sam" ] || { python3 -m venv "$tools/sam" && "$tools/sam/bin/pip" install -q -r infra/requirements.txt; }
export PATH="$tools/sam/bin:$PATH"

step "sam build"
sam build --parameter-overrides Architecture=x86_64 >"$work/build.log" 2>&1

step "the stores"
cargo build -q -p local
target/debug/local --memory --port 0 >"$work/ready.json" 2>"$work/local.log" &
for _ in $(seq 100); do [ -s "$work/ready.json" ] && break; sleep 0.1; done
python3 - "$work" <<'PY'
import json, sys
work = sys.argv[1]
ready = json.load(open(work + "/ready.json"))
variables = {"AWS_ENDPOINT_URL_DYNAMODB": ready["dynamodb"], "AWS_ENDPOINT_URL_S3": ready["s3"]}
json.dump({"Parameters": variables}, open(work + "/env.json", "w"))
PY
key=$(sed -n 's/^ *Password  *//p' "$work/local.log")
# On the host's network a container reaches the stores, which listen on 127.0.0.1 only.
common=(--template .aws-sam/build/template.yaml --env-vars "$work/env.json" --docker-network host
  --parameter-overrides Architecture=x86_64 "${pull[@]}")

step "sam local invoke of every function"
for function in Accounts Orders Validate GetWorkOrders UploadPictures Status PushDrain; do
  event=$(sed -E 's/([a-z])([A-Z])/\1-\2/g' <<<"$function" | tr '[:upper:]' '[:lower:]')
  sed "s/API-KEY/$key/" "infra/events/$event.json" >"$work/event.json"
  sam local invoke "${function}Function" -e "$work/event.json" "${common[@]}" >"$work/reply" 2>"$work/invoke.log"
  case $function in
    Accounts) want='\"username\":\"example\"' ;;
    Orders) want='\"result\":\"created\"' ;;
    Validate) want='\"validated\":true' ;;
    GetWorkOrders) want='\"workOrderNumber\":\"1001\"' ;;
    UploadPictures|Status) want='{\"status\":true,\"error\":null}' ;;
    PushDrain) want='null' ;;
  esac
  grep -qF -- "$want" "$work/reply" || { echo "NOT SO  $function: $(cat "$work/reply")"; exit 1; }
  echo "ok      $function"
done

step "sam local start-api, and the round trip"
sam local start-api --port 3999 --warm-containers LAZY "${common[@]}" >"$work/start-api.log" 2>&1 &
for _ in $(seq 120); do curl -s -o /dev/null http://127.0.0.1:3999/ && break; sleep 0.5; done
"$tools/sam/bin/python" tests/round_trip.py --pruvan http://127.0.0.1:3999 --host http://127.0.0.1:3999 --unsigned --kept "$work/kept.json"

step "done"
