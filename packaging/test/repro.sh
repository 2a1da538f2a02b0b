#!/bin/bash
# repro.sh ARCH VERSION: builds the package here, and once more in a copy of this
# tree elsewhere, with empty caches and by somebody with other habits, and wants
# the same bytes.
set -euo pipefail

arch=$1 version=$2
cd "$(dirname "$0")/../.."
. packaging/test/package.sh
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
elsewhere="$work/somewhere else/entirely"
mkdir -p "$elsewhere" "$work/cache" "$work/tmp"
(umask 027 && tar -c --exclude=./build . | tar -x --touch --no-same-permissions -C "$elsewhere")

build() { # DIRECTORY: prints the package
	(cd "$1" && packaging/mkdeb.sh "$arch" "$version" >&2)
	newest "$1" "$arch"
}
one=$(build "$PWD")
other=$(umask 077 && GOCACHE=$work/cache TMPDIR=$work/tmp TZ=Asia/Kathmandu LC_ALL=C build "$elsewhere")
if cmp "$one" "$other"; then
	echo "ok - the same bytes twice: $(sha256sum <"$one" | cut -d' ' -f1) ${one##*/}"
	exit
fi
echo "not ok - $one and its twin differ in:"
for deb in "$one" "$other"; do
	mkdir "$work/${#deb}"
	dpkg-deb -R "$deb" "$work/${#deb}"
	(cd "$work/${#deb}" && find . -type f -exec sha256sum {} + && find . -printf '%M %u %g %T@ %p\n') | sort -k2 >"$work/${#deb}.list"
done
diff "$work/${#one}.list" "$work/${#other}.list"
exit 1
