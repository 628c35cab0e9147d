#!/usr/bin/env bash
# Applies a release that stood: the last one that passed its smoke test, or the commit that is given.
# In: PROJECT_ID, _DELIVERY_BUCKET, _VARIABLES. Usage: rollback.sh [COMMIT]
set -euo pipefail

: "${_VARIABLES:?give _VARIABLES, a file below infra/terraform}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

commit=${1:-}
if [ -z "$commit" ]; then
    gcloud storage cp "gs://$_DELIVERY_BUCKET/releases/current" "$work/current" || {
        echo "gs://$_DELIVERY_BUCKET/releases/current could not be read (no release has stood yet, or see above):" \
            "nothing was rolled back, what was applied stays" >&2
        exit 1
    }
    commit=$(cat "$work/current")
fi
gcloud storage cp "gs://$_DELIVERY_BUCKET/releases/$commit.tgz" "$work/release.tgz"
mkdir "$work/release"
tar --extract --gzip --file "$work/release.tgz" --directory "$work/release"

terraform -chdir="$work/release/infra/terraform" init -input=false \
    -backend-config="bucket=$_DELIVERY_BUCKET" -backend-config=prefix=terraform
terraform -chdir="$work/release/infra/terraform" apply -input=false -auto-approve -lock-timeout=5m \
    -var-file="$_VARIABLES" -var="project=$PROJECT_ID" -var="commit=$commit"
printf '%s\n' "$commit" >"$work/current"
gcloud storage cp "$work/current" "gs://$_DELIVERY_BUCKET/releases/current"
echo "back at $commit"
