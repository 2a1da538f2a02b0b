#!/bin/bash
# mkroot.sh ARCH OUT.tar.zst: a bare Debian 12 for amd64 or arm64, with systemd
# and nothing of camrelay's. As root, with the network.
set -euo pipefail

arch=$1 out=$2
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
if [ "$arch" != "$(dpkg --print-architecture)" ] && [ ! -e /proc/sys/fs/binfmt_misc/qemu-aarch64 ]; then
	# Where no systemd runs, nobody has registered the emulator.
	[ -e /proc/sys/fs/binfmt_misc/register ] || mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
	cat /usr/lib/binfmt.d/qemu-aarch64.conf >/proc/sys/fs/binfmt_misc/register
fi
debootstrap --arch="$arch" --variant=minbase \
	--include=systemd,systemd-sysv,dbus,udev,iproute2,procps bookworm "$root" >"${out%.tar.zst}.log" 2>&1 ||
	{ tail -5 "${out%.tar.zst}.log" >&2; exit 1; }
chmod 755 "$root"
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
tar --numeric-owner -C "$root" -cf - . | zstd -q -3 -T0 -f -o "$out.part"
mv "$out.part" "$out"
