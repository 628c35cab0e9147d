#!/usr/bin/env bash
# Applies the plan that was approved, sends one date through every function, and goes back where that fails.
# In: as plan.sh, and _ACTION, _APPROVED, _SMOKE_DATE. Ends with 0 when the release stands, else with another status.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
plan=$root/.delivery/plan

case "$_ACTION" in
plan) echo "planned only"; exit 0 ;;
apply) ;;
*) echo "_ACTION is '$_ACTION': give plan or apply" >&2; exit 2 ;;
esac
: "${_APPROVED:?_ACTION=apply needs _APPROVED, the id of the build whose plan was read}"
: "${_SMOKE_DATE:?_ACTION=apply needs _SMOKE_DATE, a date whose tables may be made anew}"
[ "$_APPROVED" != "$BUILD_ID" ] || { echo "a build does not approve itself" >&2; exit 2; }

gcloud storage cp "gs://$_DELIVERY_BUCKET/plans/$_APPROVED/plan.txt" "$plan/approved.txt"
if ! diff "$plan/approved.txt" "$plan/plan.txt"; then
    echo "the plan is not the one that was approved (build $_APPROVED): read it, and approve this one" >&2
    exit 1
fi

# The whole tree is kept, not only the functions' source: going back is an apply of what stood then.
tar --create --gzip --file "$root/.delivery/release.tgz" --directory "$root" \
    --exclude=./.delivery --exclude=./.venv --exclude=./.git --exclude=./infra/terraform/.terraform .

if terraform -chdir="$root/infra/terraform" apply -input=false -lock-timeout=5m "$plan/tfplan" && "$here/smoke.sh"; then
    # Only now: under the same commit there may lie the release that stood before.
    gcloud storage cp "$root/.delivery/release.tgz" "gs://$_DELIVERY_BUCKET/releases/$_COMMIT.tgz"
    printf '%s\n' "$_COMMIT" >"$root/.delivery/current"
    gcloud storage cp "$root/.delivery/current" "gs://$_DELIVERY_BUCKET/releases/current"
    echo "$_COMMIT is deployed"
    exit 0
fi
echo "$_COMMIT does not stand: going back" >&2
"$here/rollback.sh"
exit 1
