#!/usr/bin/env bash
# infra/openapi.yaml, from outside: a linter reads it, the Postman collection is the one that it makes, and a fuzzer that knows its schemas
# finds no 5xx and no reply that it doesn't describe on the local runner.
#
# Needs npx and Python. DEPLOY_TOOLS keeps the fuzzer between runs; EXAMPLES is how many requests it makes up for an operation.
set -euo pipefail
cd "$(dirname "$0")/../.."
tools="${DEPLOY_TOOLS:-$PWD/.venv-deploy}"
examples="${EXAMPLES:-30}"
work="$(mktemp -d)"
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT
step() { printf -- '-- %s\n' "$1"; }

step "lint"
npx -y @redocly/cli@2.77.0 lint infra/openapi.yaml 2>"$work/lint" || { cat "$work/lint" >&2; exit 1; }
[ -x "$tools/fuzzer/bin/schemathesis" ] || { python3 -m venv "$tools/fuzzer" && "$tools/fuzzer/bin/pip" install -q schemathesis==4.32.5 PyYAML; }

step "the Postman collection is up to date"
"$tools/fuzzer/bin/python" infra/postman.py "$work/postman.json"
cmp "$work/postman.json" infra/postman.json || { echo "error: run python3 infra/postman.py" >&2; exit 1; }

step "the local runner"
cargo build --locked -q -p local
target/debug/local --memory --port 0 >"$work/ready" 2>"$work/log" &
for _ in $(seq 100); do [ -s "$work/ready" ] && break; sleep 0.1; done
url="$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["gateway"])' "$work/ready")"
# Something of everything, so that not all that is asked for is missing.
curl -sf -o /dev/null -X PUT "$url/accounts/vendor1" -d '{"integration": "internal"}'
curl -sf -o /dev/null -X POST "$url/accounts/vendor1/orders" -H 'Content-Type: text/csv' --data-binary @tests/fixtures/pruvan-export.csv
key="$(curl -sf -X POST "$url/accounts/vendor1/keys" | python3 -c 'import json, sys; print(json.load(sys.stdin)["apiKey"])')"
curl -sf -o /dev/null "$url/uploadPictures.html" -F file=@tests/fixtures/photo.jpg \
  -F "payload={\"username\":\"vendor1\",\"token\":\"$key\",\"key2\":\"2026-0101\",\"key4\":\"Task\",\"fileType\":\"picture\",\"uuId\":\"photo-1\"}"

step "schemathesis"
# What is asked of a body that breaks its schema: an answer that is described, and no 5xx. Some of those bodies are taken all the same, since
# values may come leniently.
"$tools/fuzzer/bin/schemathesis" --config-file tests/fuzz/schemathesis.toml run infra/openapi.yaml --url "$url" --max-examples "$examples" --seed 1 --no-color \
  --checks not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance \
  --phases examples,coverage,fuzzing --request-timeout 30
