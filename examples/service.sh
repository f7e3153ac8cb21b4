#!/usr/bin/env bash
# The sandbox as a service, with curl: examples/service.sh [URL]; `iterpref serve` runs at the URL.
set -euo pipefail
url="${1:-http://127.0.0.1:8080}"
json='Content-Type: application/json'

echo '# one job'
curl -fsS -H "$json" "$url/jobs" -d '{
  "program": "def double(x): return 3 * x",
  "tests": [{"path": "test.py", "content": "assert double(2) == 4"}],
  "style": "assert"
}'
echo; echo '# a script, as SandboxFusion is asked'
curl -fsS -H "$json" "$url/run_code" -d '{"code": "print(2 * int(input()))", "stdin": "21", "language": "python"}'
echo; echo '# how it does'
curl -fsS "$url/metrics" | grep '^iterpref_verdicts_total'
