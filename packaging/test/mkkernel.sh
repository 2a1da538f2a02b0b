#!/bin/bash
# mkkernel.sh OUT: leaves Debian's kernel of cloud machines for arm64 in OUT/vmlinuz,
# and in OUT/initrd what it takes to find the disk of a virtual one. Nothing is
# installed.
set -euo pipefail

out=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out" "$work/get" "$work/tree"/{bin,dev,proc,sys,root,m}
cd "$work/get"
kernel=$(apt-cache depends linux-image-cloud-arm64:arm64 | sed -n 's/.*Depends: \(linux-image-[0-9][^ ]*\).*/\1/p' | head -1)
[ -n "$kernel" ] || { echo "mkkernel: apt knows no kernel of arm64; dpkg --add-architecture arm64 && apt-get update" >&2; exit 1; }
apt-get -q -o APT::Sandbox::User=root download "$kernel" busybox-static:arm64 >/dev/null
for deb in *.deb; do dpkg-deb -x "$deb" "$work/get"; done

version=$(ls lib/modules)
depmod -b "$work/get" "$version"
install -m 755 bin/busybox "$work/tree/bin/busybox"
modules=lib/modules/$version
for module in virtio_mmio virtio_pci virtio_blk virtio_net virtio-rng; do
	line=$(grep -E "/$module.ko:" "$modules/modules.dep")
	tr ' ' '\n' <<<"${line#*:}" | tac # what it needs, the deepest first
	echo "${line%%:*}"
done | awk 'NF && !seen[$0]++' | while read -r file; do
	cp "$modules/$file" "$work/tree/m/"
	echo "/m/${file##*/}"
done >"$work/order"
mv "$work/order" "$work/tree/m/order"
cat >"$work/tree/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
while read -r module; do /bin/busybox insmod "$module"; done </m/order
tries=0
until [ -b /dev/vda ] || [ $tries -ge 100 ]; do
	/bin/busybox sleep 0.1
	tries=$((tries + 1))
done
/bin/busybox mount -t ext4 -o rw /dev/vda /root || exec /bin/busybox sh
/bin/busybox umount /proc
/bin/busybox umount /sys
/bin/busybox mount --move /dev /root/dev
exec /bin/busybox switch_root /root /sbin/init
INIT
chmod 755 "$work/tree/init"
(cd "$work/tree" && find . | cpio -o -H newc --quiet | gzip -1n) >"$out/initrd.part"
cp "$work/get/boot/vmlinuz-$version" "$out/vmlinuz.part"
mv "$out/initrd.part" "$out/initrd"
mv "$out/vmlinuz.part" "$out/vmlinuz"
