# shellcheck shell=bash
# Read by the steps of the builds: what they need beside Google's image, and Terraform from the first step. With arguments:
# Debian's packages that a step needs too.
packages=("$@")
python3 -c 'import ensurepip' 2>/dev/null || packages+=(python3-venv)
if [ "${#packages[@]}" -gt 0 ]; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update --quiet=2
    apt-get install --quiet=2 --no-install-recommends "${packages[@]}" >/dev/null
fi
export PATH="$PWD/.delivery/bin:$PATH"
