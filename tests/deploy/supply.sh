#!/usr/bin/env bash
# What the project is made of and delivered with: licences, bans and sources of its dependencies (.deny.toml), dependencies that nothing uses,
# the template by checkov (.checkov.yaml), the role for GitHub by the calls that CloudFormation makes, and the workflows of .github.
#
# With ADVISORIES=1 also known vulnerabilities and yanked crates: those are read from a repository on GitHub, so .ci/run leaves them out, and
# .github/workflows/ci.yml has them, weekly too. Needs Rust, pip and, the first time, some minutes to compile two tools; DEPLOY_TOOLS keeps them.
set -euo pipefail
cd "$(dirname "$0")/../.."
tools=${DEPLOY_TOOLS:-$PWD/.venv-deploy}
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
step() { printf -- '-- %s (%ss)\n' "$1" "$SECONDS"; }

step "tools"
# What takes minutes to compile lies beside DEPLOY_TOOLS, which is another folder whenever a list of tools changes. They run for seconds, so
# they aren't optimised much: that halves the minutes.
compiled() { # crate, version
  local root=${DEPLOY_TOOLS:+${DEPLOY_TOOLS%/*}}
  root=${root:-$tools}/$1-$2
  [ -x "$root/bin/$1" ] || CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
    cargo install --quiet --locked --root "$root" "$1@$2"
  PATH="$root/bin:$PATH"
}
compiled cargo-deny 0.20.2
compiled cargo-machete 0.9.2
python=$tools/supply-$(sha256sum infra/requirements-ci.txt | cut -c1-16)
# The mark is made last, so that an installation that was broken off is made anew.
[ -e "$python/complete" ] || { rm -rf "$python"; python3 -m venv "$python"; "$python/bin/pip" install -q -r infra/requirements-ci.txt; touch "$python/complete"; }
[ -x "$tools/sam/bin/sam" ] || { python3 -m venv "$tools/sam" && "$tools/sam/bin/pip" install -q -r infra/requirements.txt; }

step "licences and sources of all that is built"
cargo deny --locked check licenses sources
step "bans in what is linked, without the tests"
cargo deny --locked --exclude-dev check --allow unused-workspace-dependency --deny unmatched-skip --deny unnecessary-skip bans
step "unused dependencies"
cargo deny --locked check --allow banned --allow duplicate bans
cargo machete --with-metadata
if [ -n "${ADVISORIES:-}" ]; then
  step "advisories"
  cargo deny --locked check advisories
fi

step "checkov, on the template as SAM expands it and on the role for GitHub"
AWS_DEFAULT_REGION=us-east-1 "$tools/sam/bin/python" tests/deploy/sam_transform.py template.yaml >"$work/template.json"
"$python/bin/checkov" --config-file .checkov.yaml --file "$work/template.json" infra/github-role.yaml

step "what SAM makes: stages, streams, lengths"
python3 tests/deploy/expanded.py "$work/template.json"

step "what the role for GitHub may do, and what a deployment takes"
"$tools/sam/bin/cfn-lint" infra/github-role.yaml
"$tools/sam/bin/python" tests/deploy/github_role.py "$work/template.json"

step "workflows"
"$python/bin/check-jsonschema" --builtin-schema vendor.github-workflows .github/workflows/*.yml
"$python/bin/zizmor" --offline --persona pedantic --quiet .github/workflows

step "done"
