#!/bin/bash
# seconddeb.sh DEB OUT: the same package under a higher version.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
dpkg-deb -R "$1" "$work/tree"
sed -i -E 's/^Version: .*/&+1/' "$work/tree/DEBIAN/control"
dpkg-deb --root-owner-group -Zgzip -z1 -b "$work/tree" "$2" >/dev/null
