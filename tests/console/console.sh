#!/usr/bin/env bash
# The console in a real browser:
#   tests/console/console.sh           runs tests/console on the runner that is built (target/debug/local, or $LOCAL); arguments go to pytest
#
# Pictures of its pages are left in target/console. Needs pip and Chromium, which is installed if there is none. DEPLOY_TOOLS keeps the tools between runs.
set -euo pipefail
cd "$(dirname "$0")/../.."
tools="${DEPLOY_TOOLS:-$PWD/.venv-deploy}/console"
export LOCAL="${LOCAL:-target/debug/local}" CHROMIUM PYTHONDONTWRITEBYTECODE=1
CHROMIUM="${CHROMIUM:-$(command -v chromium || command -v google-chrome || true)}"

[ -x "$LOCAL" ] || { echo "error: there is no $LOCAL: run cargo build -p local" >&2; exit 1; }
[ -n "$CHROMIUM" ] || { apt-get update -qq && apt-get install -y -qq chromium >/dev/null && CHROMIUM="$(command -v chromium)"; }
cmp -s tests/console/requirements.txt "$tools/installed" ||
  { python3 -m venv "$tools" && "$tools/bin/pip" install -q -r tests/console/requirements.txt && cp tests/console/requirements.txt "$tools/installed"; }

# Two at once: most of the time a test waits for a tick. Those of one file share what they have set up.
"$tools/bin/pytest" -q --tb=short -n 2 --dist loadscope -p no:cacheprovider tests/console "$@"
