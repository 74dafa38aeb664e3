#!/bin/sh
# Finds a Chromium for the browser tests, or installs one: Debian's package, else Playwright's own build.
set -eu
for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null 2>&1; then exit 0; fi
done
if command -v apt-get >/dev/null 2>&1; then
    sudo=""
    [ "$(id -u)" -eq 0 ] || sudo=sudo
    if { $sudo apt-get update && $sudo apt-get install -y chromium; } >/dev/null 2>&1; then exit 0; fi
fi
exec .venv/bin/playwright install --with-deps chromium
