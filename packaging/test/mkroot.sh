#!/bin/bash
# mkroot.sh ARCH OUT.tar.zst [SUITE]: a bare Debian for amd64 or arm64, with systemd
# and nothing of camrelay's; bookworm, or that suite. As root, with the network.
set -euo pipefail

arch=$1 out=$2 suite=${3-bookworm}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
[ "$arch" != arm64 ] || "${0%/*}/binfmt.sh"
debootstrap --arch="$arch" --variant=minbase \
	--include=systemd,systemd-sysv,dbus,udev,iproute2,procps "$suite" "$root" >"${out%.tar.zst}.log" 2>&1 ||
	{ tail -5 "${out%.tar.zst}.log" >&2; exit 1; }
chmod 755 "$root"
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
tar --numeric-owner -C "$root" -cf - . | zstd -q -3 -T0 -f -o "$out.part"
mv "$out.part" "$out"
