#!/bin/bash
# boot.sh VERSION: builds the package for arm64, lays it on a bare Debian for arm64
# without a network, boots that with Debian's kernel in an emulator and plays the
# site around it: box.sh. As root. CAMRELAY_DEB names a package that is there
# already, CAMRELAY_CONSOLE a file for what the box says on its serial line.
set -euo pipefail

version=$1
cd "$(dirname "$0")/../.."
. packaging/test/package.sh
prepare arm64 "$version"
[ -e "$cache/vmlinuz" ] || packaging/test/mkkernel.sh "$cache"

work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
root=$work/root
mkdir "$root"
tar --numeric-owner -C "$root" -xf "$cache/arm64.tar.zst" -I zstd
chmod 755 "$root"
packaging/test/seconddeb.sh "$deb" "$work/v2.deb"
cp "$deb" "$root/root/v1.deb"
cp "$work/v2.deb" "$root/root/v2.deb"
CGO_ENABLED=0 go build -trimpath -o "$work/guest" ./packaging/test/guest
CGO_ENABLED=0 GOARCH=arm64 go build -trimpath -o "$root/root/guest" ./packaging/test/guest

# A box as one is flashed, but for a way in.
units=$root/etc/systemd/system
echo box >"$root/etc/hostname"
echo '127.0.1.1 box' >>"$root/etc/hosts"
printf '[Match]\nName=e*\n[Network]\nDHCP=yes\n' >"$root/etc/systemd/network/10-wire.network"
ln -sf /lib/systemd/system/systemd-networkd.service "$units/multi-user.target.wants/"
for unit in systemd-firstboot.service systemd-timesyncd.service e2scrub_reap.service; do
	rm -f "$units"/*.wants/$unit
	ln -sf /dev/null "$units/$unit"
done
cat >"$units/obey.service" <<'UNIT'
[Service]
ExecStart=/root/guest obey :7000
Restart=always
UNIT
ln -sf ../obey.service "$units/multi-user.target.wants/"
rm -f "$work/disk"
mke2fs -q -t ext4 -L root -d "$root" -E root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0 "$work/disk" 900M
rm -rf "$root"

# In a network of its own, in which there is nothing but this.
unshare -n packaging/test/box.sh "$work" "$cache" "${CAMRELAY_CONSOLE-$work/console}"
