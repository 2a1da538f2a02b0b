#!/bin/bash
# arm64.sh VERSION: installs the package for arm64 in a bare Debian 12 and 13 that
# have no network, in which programs for arm64 are emulated one by one; there
# faults.sh has the self test pass, and fail for what is planted. As root.
# CAMRELAY_DEB names a package that is there already.
set -euo pipefail

version=$1
cd "$(dirname "$0")/../.."
. packaging/test/package.sh
prepare arm64 "$version"
[ -e "$cache/trixie-arm64.tar.zst" ] || packaging/test/mkroot.sh arm64 "$cache/trixie-arm64.tar.zst" trixie
packaging/test/binfmt.sh

work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
CGO_ENABLED=0 GOARCH=arm64 go build -trimpath -o "$work/guest" ./packaging/test/guest
# The same program but for the version that libsrt says it has.
echo 'int camrelay_old(void) { return 0x010404; }' | aarch64-linux-gnu-gcc -x c -c -fPIC -o "$work/old.o" -
CAMRELAY_EXTLDFLAGS="$work/old.o -Wl,--defsym=srt_getversion=camrelay_old" \
	packaging/crossbuild.sh arm64 "$version" "$work/camrelay-old-srt"

echo "# the faults of the tests of the room, on arm64"
CGO_ENABLED=0 GOARCH=arm64 go test -c -o selftest/faults.test ./selftest
trap 'rm -rf --one-file-system "$work" selftest/faults.test' EXIT
(cd selftest && unshare -m timeout -s KILL 600 ./faults.test -test.v -test.run 'TestPlantedFaults|TestABoxWithoutFaults|TestOtherBoards') |
	grep -E '^ *--- '

failed=0
for suite in bookworm trixie; do
	tree=$cache/arm64.tar.zst
	[ "$suite" = bookworm ] || tree=$cache/$suite-arm64.tar.zst
	root=$work/$suite
	mkdir "$root"
	tar --numeric-owner -C "$root" -xf "$tree" -I zstd
	chmod 755 "$root"
	cp "$deb" "$root/root/v1.deb"
	cp "$work/guest" "$work/camrelay-old-srt" packaging/test/faults.sh "$root/root/"
	cp -r hal/box/testdata/boards/raspberrypi4 "$root/root/board"
	faults=
	[ "$suite" != bookworm ] || faults=faults
	unshare -n -m -p -f --mount-proc="$root/proc" timeout -s KILL 3600 chroot "$root" /bin/bash /root/faults.sh $faults || failed=1
	rm -rf --one-file-system "$root"
done
exit $failed
