#!/bin/bash
# crossbuild.sh ARCH VERSION OUT: builds camrelay for amd64 or arm64 with
# libsrt, OpenSSL and libstdc++ inside, so that it needs nothing but glibc.
# packaging/install-deps.sh arm64 installs what it takes. CAMRELAY_EXTLDFLAGS is
# for tests: more for the linker.
set -euo pipefail

arch=$1 version=$2 out=$3
case $arch in
amd64) triple=x86_64-linux-gnu tools= ;;
arm64) triple=aarch64-linux-gnu tools=aarch64-linux-gnu- ;;
*) echo "crossbuild: no such architecture: $arch" >&2; exit 64 ;;
esac
cd "$(dirname "$0")/.."

# A directory that holds only archives comes first in the search path, so that
# srtgo's own -lsrt finds libsrt.a. Its name is fixed, whatever TMPDIR says:
# CGO_LDFLAGS is part of the build's identity and of the cache's key.
lib=/var/tmp/camrelay-static-$arch
mkdir -p "$lib"
ln -sf /usr/lib/$triple/lib{srt,ssl,crypto}.a "$("${tools}g++" -print-file-name=libstdc++.a)" "$lib/"

GOOS=linux GOARCH=$arch CGO_ENABLED=1 CC=${tools}gcc CXX=${tools}g++ \
	CGO_LDFLAGS="-O2 -g -L$lib -lsrt -lssl -lcrypto -lstdc++ -lm" \
	go build -trimpath -buildmode=pie \
	-ldflags="-s -w -X main.version=$version -linkmode=external -extldflags '-static-libgcc -Wl,-z,relro,-z,now ${CAMRELAY_EXTLDFLAGS-}'" \
	-o "$out" ./cmd/camrelay

needs=$("${tools}readelf" -d "$out" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' | sort | tr '\n' ' ')
case $needs in
*libsrt* | *libssl* | *libcrypto* | *libstdc++* | *libgcc_s*)
	echo "crossbuild: $out needs $needs" >&2
	exit 1
	;;
esac
echo "crossbuild: $out, $(stat -c%s "$out") bytes, needs $needs" >&2
