#!/bin/bash
# run.sh VERSION: builds the package for this machine and tries it in a bare
# Debian that has no network: installed by dpkg alone where no systemd runs, then
# booted in a container (guest.sh). As root. CAMRELAY_DEB names a package that is
# there already.
set -euo pipefail

version=$1
cd "$(dirname "$0")/../.."
. packaging/test/package.sh
arch=$(dpkg --print-architecture)
prepare "$arch" "$version"

work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
root=$work/root
mkdir "$root"
tar --numeric-owner -C "$root" -xf "$cache/$arch.tar.zst" -I zstd
chmod 755 "$root"
cp "$deb" "$root/root/v1.deb"
cp packaging/test/guest.sh "$root/root/"
CGO_ENABLED=0 go build -trimpath -o "$root/root/guest" ./packaging/test/guest

packaging/test/seconddeb.sh "$deb" "$root/root/v2.deb"

echo "# where no systemd runs"
enter() {
	unshare -n -m -p -f --mount-proc="$root/proc" timeout -s KILL 120 chroot "$root" /bin/sh -ec "$1" >"$work/log" 2>&1 ||
		{ echo "not ok - $1"; cat "$work/log"; exit 1; }
	echo "ok - $1"
}
enter 'dpkg -i /root/v1.deb && camrelay version && camrelay check'
enter 'test -L /etc/systemd/system/multi-user.target.wants/camrelay.service && getent passwd camrelay'
enter 'ldd /usr/bin/camrelay; ! ldd /usr/bin/camrelay | grep -vE "linux-vdso|libm.so|libc.so|ld-linux"'
enter 'dpkg -i /root/v2.deb && dpkg -r camrelay && dpkg -i /root/v1.deb && ! test -L /etc/systemd/system/camrelay.service'
enter 'dpkg -P camrelay && ! test -e /etc/camrelay && ! test -e /var/lib/camrelay'

echo "# booted"
unit=$root/etc/systemd/system/guest-test.service
cat >"$unit" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/bash -c "/bin/bash /root/guest.sh >/root/guest.log 2>&1"
TimeoutStartSec=900
ExecStopPost=/bin/systemctl poweroff --no-block
UNIT
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -sf ../guest-test.service "$root/etc/systemd/system/multi-user.target.wants/"
# TERM, not KILL: a killed nspawn leaves the container's first process running.
SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 timeout -k 30 1000 systemd-nspawn -q -D "$root" --register=no --keep-unit \
	--private-network --console=pipe --boot </dev/null >"$work/console.log" 2>&1 || true
cat "$root/root/guest.log" 2>/dev/null || cat "$work/console.log"
grep -qE '^GUEST end [0-9]+ passed, 0 failed' "$root/root/guest.log"
