#!/bin/bash
# install-deps.sh build|test|arm64|deb|package-test|boot-test|arm64-test: installs the Debian packages
# that building, testing, cross-building, packing camrelay or testing its package
# needs and that are missing, and says which.
# As root or by sudo. No service that comes with them is started.
set -euo pipefail

build=(gcc libc6-dev libsrt-openssl-dev ca-certificates)
test=(ffmpeg srt-tools nginx libnginx-mod-rtmp gstreamer1.0-tools gstreamer1.0-plugins-base
	gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav
	gir1.2-gst-rtsp-server-1.0 gir1.2-gst-plugins-base-1.0 python3-gi glib-networking chromium iproute2
	ansible-core python3-jsonschema python3-yaml prometheus systemd)
arm64=(gcc-aarch64-linux-gnu g++-aarch64-linux-gnu libc6-dev-arm64-cross libsrt-openssl-dev:arm64)
deb=("${arm64[@]}" g++ libssl-dev debhelper lintian)
package_test=("${deb[@]}" debootstrap zstd systemd systemd-container)
arm64_test=("${deb[@]}" debootstrap zstd iproute2 qemu-user-static)
boot_test=("${deb[@]}" debootstrap zstd e2fsprogs iproute2 kmod cpio qemu-system-arm qemu-user-static ffmpeg)

say() { echo "install-deps: $*" >&2; }
die() { say "$*"; exit 1; }

case ${1-} in
build) want=("${build[@]}") ;;
test) want=("${build[@]}" "${test[@]}") ;;
arm64) want=("${build[@]}" "${arm64[@]}") ;;
deb) want=("${build[@]}" "${deb[@]}") ;;
package-test) want=("${build[@]}" "${package_test[@]}") ;;
boot-test) want=("${build[@]}" "${boot_test[@]}") ;;
arm64-test) want=("${build[@]}" "${arm64_test[@]}") ;;
*) die "usage: install-deps.sh build|test|arm64|deb|package-test|boot-test|arm64-test" ;;
esac

command -v go >/dev/null || die "Go 1.26 or newer is needed and not in PATH; Debian 12 has none: see https://go.dev/dl/"
command -v dpkg-query >/dev/null || die "this is not Debian; install by other means: ${want[*]} npm"
# Packages of npm differ: Debian has it apart, others within nodejs.
command -v npm >/dev/null || want+=(npm)

missing=()
for p in "${want[@]}"; do
	state=$(dpkg-query -W -f '${db:Status-Status}\n' "$p" 2>/dev/null) || true
	grep -qx installed <<<"$state" || missing+=("$p")
done
[ ${#missing[@]} -gt 0 ] || exit 0
say "installing ${missing[*]}"

root=()
if [ "$(id -u)" -ne 0 ]; then
	command -v sudo >/dev/null || die "not root and no sudo; as root: apt-get install ${missing[*]}"
	root=(sudo)
fi
apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
	apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)

# policy-rc.d keeps packages from starting their services (invoke-rc.d(8)).
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	trap '"${root[@]}" rm -f $policy' EXIT
	printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee $policy >/dev/null
	"${root[@]}" chmod 755 $policy
fi

if [[ "${want[*]}" = *:arm64* ]] && ! dpkg --print-foreign-architectures | grep -qx arm64; then
	say "adding the architecture arm64"
	"${root[@]}" dpkg --add-architecture arm64
	"${apt[@]}" update >&2
elif ! compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null; then
	"${apt[@]}" update >&2
fi
install=("${apt[@]}" install --no-install-recommends "${missing[@]}")
if ! "${install[@]}" </dev/null >&2; then
	say "trying again with fresh package lists"
	"${apt[@]}" update >&2
	"${install[@]}" </dev/null >&2 || die "cannot install; apt-get says why above"
fi
