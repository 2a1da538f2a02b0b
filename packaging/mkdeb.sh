#!/bin/bash
# mkdeb.sh ARCH VERSION: builds camrelay for amd64 or arm64 and packs it as
# build/camrelay_VERSION_ARCH.deb, VERSION as Debian writes it. The same sources
# and tools make the same bytes. packaging/install-deps.sh deb installs what it
# takes.
set -euo pipefail
umask 022

arch=$1 version=$2
cd "$(dirname "$0")/.."

# A release candidate comes before its release, a build after it: ~rc1, +5.gabc123.
debian=$(sed -E 's/^v//; s/-(dev|alpha|beta|rc)/~\1/; s/-/+/; s/-/./g' <<<"$version")
[[ $debian =~ ^[0-9][A-Za-z0-9.+~]*$ ]] || { echo "mkdeb: $version is no version" >&2; exit 64; }
# All that is built has the time of the last commit.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s -r go.mod)}
export SOURCE_DATE_EPOCH LC_ALL=C.UTF-8 TZ=UTC

out=build/deb-$arch
stage=$out/camrelay
rm -rf "$out"
mkdir -p "$stage"
cp -r packaging/debian "$stage/debian"
cp -r rootfs "$stage/rootfs"
cp -r packaging/examples/. "$stage/rootfs/usr/share/doc/camrelay/examples/"
debian_dir=$stage/debian
packaging/crossbuild.sh "$arch" "$version" "$stage/camrelay"

# What debhelper makes maintainer scripts of lies where it looks for it.
mv "$stage/rootfs/usr/lib/sysusers.d/camrelay.conf" "$debian_dir/camrelay.sysusers"
mv "$stage/rootfs/usr/lib/tmpfiles.d/camrelay.conf" "$debian_dir/camrelay.tmpfiles"
cp systemd/camrelay.service "$debian_dir/"
# The annotated file changes with each version. A conffile that does makes dpkg
# ask, and an upgrade that nobody watches stops: the one on the box is short.
mv "$stage/rootfs/etc/camrelay/camrelay.yaml" "$stage/rootfs/usr/share/doc/camrelay/examples/"
mv "$debian_dir/camrelay.yaml" "$stage/rootfs/etc/camrelay/"
(cd "$stage/rootfs" && find . -mindepth 1 -maxdepth 2 -type d -path './*/*' -printf 'rootfs/%P/* %P\n') |
	sort >"$debian_dir/camrelay.install"
echo 'camrelay usr/bin' >>"$debian_dir/camrelay.install"

# What the program holds of others' asks to be named.
{
	GOARCH=$arch GOOS=linux CGO_ENABLED=1 go list -deps \
		-f '{{with .Module}}{{if .Version}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' ./cmd/camrelay | sort -u |
		while read -r path release dir; do
			printf '\n======== %s %s\n\n' "$path" "$release"
			find "$dir" -maxdepth 1 -iname 'licen[cs]e*' -type f | sort | xargs -r -d '\n' cat
		done
	printf '\n======== Go\n\n'
	cat "$(go env GOROOT)/LICENSE"
	for package in libsrt-openssl-dev libssl-dev "libstdc++-12-dev"; do
		doc=/usr/share/doc/$package/copyright
		[ ! -e "$doc" ] || { printf '\n======== %s\n\n' "$package" && cat "$doc"; }
	done
	printf '\n======== hls.js\n\n'
	cat daemon/web/assets/hls.light.LICENSE.txt
} >"$stage/rootfs/usr/share/doc/camrelay/third-party-licenses"

cat >"$debian_dir/changelog" <<CHANGELOG
camrelay ($debian) stable; urgency=medium

  * Release $version.

 -- The camrelay authors <camrelay@camrelay.example>  $(date -R -d "@$SOURCE_DATE_EPOCH")
CHANGELOG

# -d: what building takes was there, this only packs.
(cd "$stage" && DEB_BUILD_OPTIONS=noautodbgsym dpkg-buildpackage -b "-a$arch" -us -uc -d) >"$out/log" 2>&1 ||
	{ cat "$out/log" >&2; exit 1; }
deb=build/camrelay_${debian}_$arch.deb
mv "$out/camrelay_${debian}_$arch.deb" "$deb"
root=()
[ "$(id -u)" -ne 0 ] || root=(--allow-root)
lintian "${root[@]}" --fail-on error,warning "$deb"
rm -rf "$out"
echo "mkdeb: $deb, $(stat -c%s "$deb") bytes, $(dpkg-deb -f "$deb" Depends)" >&2
