#!/usr/bin/env bash
# Writes the plan as Terraform keeps it and as people read it, and lays both into the delivery bucket.
# In: PROJECT_ID, BUILD_ID, _COMMIT, _DELIVERY_BUCKET, _VARIABLES. Refuses a commit whose check has not passed.
set -euo pipefail

: "${_COMMIT:?give --substitutions _COMMIT=\$(git rev-parse HEAD)}"
: "${_VARIABLES:?give --substitutions _VARIABLES=FILE, a file below infra/terraform}"
root=$(cd "$(dirname "$0")/../.." && pwd)
plan=$root/.delivery/plan
mkdir -p "$plan"

# The check runs by itself, as an account that may do nothing: here it is only asked for.
checked=$(gcloud builds list --project "$PROJECT_ID" --limit 1 --format 'value(id)' --filter \
    "status=SUCCESS AND tags=phasegate-check AND substitutions._COMMIT=$_COMMIT AND serviceAccount~/phasegate-check@")
[ -n "$checked" ] || {
    echo "no check of $_COMMIT has passed: gcloud builds submit --config cloudbuild-check.yaml" \
        "--substitutions _COMMIT=$_COMMIT" >&2
    exit 1
}

terraform -chdir="$root/infra/terraform" init -input=false \
    -backend-config="bucket=$_DELIVERY_BUCKET" -backend-config=prefix=terraform
terraform -chdir="$root/infra/terraform" plan -input=false -lock-timeout=5m -out="$plan/tfplan" \
    -var-file="$_VARIABLES" -var="project=$PROJECT_ID" -var="commit=$_COMMIT"
terraform -chdir="$root/infra/terraform" show -no-color "$plan/tfplan" >"$plan/plan.txt"
# Another version of a provider is another plan.
terraform -chdir="$root/infra/terraform" version | grep -i provider >>"$plan/plan.txt" || true

# The plan itself holds whatever the state holds: only the text is for reading.
gcloud storage cp "$plan/plan.txt" "gs://$_DELIVERY_BUCKET/plans/$BUILD_ID/plan.txt"
echo "the plan: gs://$_DELIVERY_BUCKET/plans/$BUILD_ID/plan.txt"
echo "to apply it: the same build with _ACTION=apply,_APPROVED=$BUILD_ID"
