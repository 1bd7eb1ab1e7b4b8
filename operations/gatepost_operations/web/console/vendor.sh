#!/usr/bin/env bash
# Fetch the vendored files from npm, and print their hashes for VENDORED.md.
set -euo pipefail
cd "$(dirname "$0")/static"
version=4.0.1
unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT
(cd "$unpacked" && npm pack --silent "htmx.org@$version" > /dev/null && tar xzf "htmx.org-$version.tgz")
cp "$unpacked"/package/dist/htmx.min.js "$unpacked"/package/dist/ext/hx-sse.min.js .
sha256sum htmx.min.js hx-sse.min.js
