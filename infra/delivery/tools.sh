# shellcheck shell=bash
# Read by the steps of cloudbuild.yaml: what they need beside Google's image, and Terraform from the first step.
if ! command -v make >/dev/null || ! python3 -c 'import ensurepip' 2>/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update --quiet=2
    apt-get install --quiet=2 --no-install-recommends make python3-venv >/dev/null
fi
export PATH="$PWD/.delivery/bin:$PATH"
