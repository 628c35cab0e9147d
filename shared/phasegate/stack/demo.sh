#!/usr/bin/env bash
# Backfills two weeks on the local stack: up, a message on the kick-off topic, watch to the end, down.
# PHASEGATE: the command with its --home. Arguments: the pipeline file, the source folder.
set -euo pipefail

trap '$PHASEGATE stack down' EXIT
environment=$($PHASEGATE stack up --pipeline "$1" --source "$2")
eval "$environment"

run="demo-$(date -u +%Y%m%d-%H%M%S)"
request='{"run_id": "'$run'", "from": "2023-10-24", "to": "2023-11-06", "why": "stack-demo"}'
if command -v gcloud >/dev/null; then
    CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true CLOUDSDK_CORE_PROJECT="$PHASEGATE_PROJECT" \
        CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB="http://$PUBSUB_EMULATOR_HOST/" \
        gcloud pubsub topics publish backfill-kickoff --message "$request"
else
    message='{"messages": [{"data": "'$(printf %s "$request" | base64 | tr -d '\n')'"}]}'
    curl -fsS "http://$PUBSUB_EMULATOR_HOST/v1/projects/$PHASEGATE_PROJECT/topics/backfill-kickoff:publish" \
        -H 'Content-Type: application/json' -d "$message"
fi

for _ in $(seq 60); do
    $PHASEGATE --backend gcp status "$run" >/dev/null 2>&1 && break
    sleep 0.5
done
# What fails or is blocked ends the watch with another status: that is shown, and is this script's own status.
$PHASEGATE --backend gcp watch "$run"
