#!/bin/bash
# fetch-hlsjs.sh: gets the player of the viewers' page, the light build of
# hls.js (Apache-2.0), from npm and lays it with its licence where go:embed
# takes it from. Without it camrelay builds all the same; its page then plays
# only where the browser itself knows HLS.
set -euo pipefail

version=1.7.4
sha256=e4ab3d5d13f7cca9ef241d098f39686e19fd451831ba07dc9943482fd5ff75c7

cd "$(dirname "$0")/.."
assets=daemon/web/assets
die() { echo "fetch-hlsjs: $*" >&2; exit 1; }

command -v npm >/dev/null || die "npm is needed to get hls.js $version; packaging/install-deps.sh build installs it"
mkdir -p build
dir=$(mktemp -d build/hlsjs.XXXXXX)
trap 'rm -rf "$dir"' EXIT
npm pack --silent --pack-destination "$dir" "hls.js@$version" >/dev/null </dev/null ||
	die "npm cannot get hls.js $version"
package=$dir/hls.js-$version.tgz
echo "$sha256  $package" | sha256sum --quiet -c - || die "$package is not the hls.js $version that was reviewed"
tar -xzf "$package" -C "$dir" package/dist/hls.light.min.js package/LICENSE
mv "$dir/package/LICENSE" "$assets/hls.light.LICENSE.txt"
mv "$dir/package/dist/hls.light.min.js" "$assets/hls.light.min.js"
touch "$assets"/hls.light.* # npm's stamps are of 1985, older than any rule
echo "fetch-hlsjs: hls.js $version" >&2
