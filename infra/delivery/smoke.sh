#!/usr/bin/env bash
# One date through every function of the deployment. In: PROJECT_ID, BUILD_ID, _SMOKE_DATE.
set -euo pipefail

cd "$(dirname "$0")/../.."
infra=infra/terraform
while IFS= read -r line; do export "${line?}"; done < <(
    terraform -chdir="$infra" output -json environment |
        python3 -c 'import json, sys; [print(f"{k}={v}") for k, v in json.load(sys.stdin).items()]'
)
gcloud storage cp "$(terraform -chdir="$infra" output -raw pipeline_file)" .delivery/pipeline.yaml
export PHASEGATE_PIPELINE="$PWD/.delivery/pipeline.yaml"

# What is deployed and nothing else, by hash, and from wheels: nothing of it runs while it is installed.
python=.delivery/venv/bin/python
if [ ! -x "$python" ]; then
    python3 -m venv .delivery/venv
    "$python" -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all: \
        -r requirements.lock
fi
PYTHONPATH=shared "$python" -m infra.delivery.smoke "$_SMOKE_DATE" --run-id "smoke-$BUILD_ID"

# The sweeper is called by the clock and leaves nothing where there is nothing to heal: its job tells.
job=(sweeper --project "$PROJECT_ID" --location "$PHASEGATE_REGION")
before=$(gcloud scheduler jobs describe "${job[@]}" --format 'value(lastAttemptTime)')
gcloud scheduler jobs run "${job[@]}"
for _ in $(seq 30); do
    tried=$(gcloud scheduler jobs describe "${job[@]}" --format 'value(lastAttemptTime)')
    status=$(gcloud scheduler jobs describe "${job[@]}" --format 'value(status.code)')
    [ -n "$tried" ] && [ "$tried" != "$before" ] && [ -z "$status" ] && { echo "sweeper: its job succeeded"; exit 0; }
    sleep "${PAUSE_SECONDS:-5}"
done
echo "sweeper: its job has not succeeded (status ${status:-unknown}); see its log" >&2
exit 1
