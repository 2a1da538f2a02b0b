#!/bin/bash
# faults.sh [faults]: runs in a bare root without a network, with /root/v1.deb; for
# faults also with /root/guest, /root/camrelay-old-srt and /root/board. Installs the
# package and has the self test pass; then plants one fault after the other, which
# alone the self test is to find, with the reason. Prints TAP lines, at last
# "FAULTS end N passed, M failed".
n=0 failed=0
export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin
ok() {
	n=$((n + 1))
	if [ "$1" = 0 ]; then echo "ok $n - $2 [$SECONDS s]"; else
		failed=$((failed + 1))
		echo "not ok $n - $2 [$SECONDS s]"
		sed 's/^/# /' /run/said
	fi
}
conf=/etc/camrelay/conf.d/90-fault.yaml
# finds FAULT CHECK REASON CMD…
finds() {
	local fault=$1 check=$2 reason=$3 all
	shift 3
	timeout -s KILL 600 "$@" >/run/said 2>&1
	[ $? = 1 ] && all=$(grep '^fail ' /run/said | grep -v '^fail after') && [[ $all =~ ^fail\ +$check\ .*$reason ]] &&
		[ "$(wc -l <<<"$all")" = 1 ]
	ok $? "$fault: $(tr -s ' ' <<<"$all")"
}
quick=(camrelay selftest --quick)

ip link set lo up
mount -t sysfs sysfs /sys
for dir in /run /dev/shm /tmp; do mount -t tmpfs -o mode=1777 tmpfs "$dir"; done
echo "# Debian $(cat /etc/debian_version), $(uname -m)"
dpkg -i /root/v1.deb </dev/null >/run/said 2>&1
ok $? "dpkg -i without a network"
camrelay version >/run/said 2>&1
ok $? "$(head -1 /run/said)"
! ldd /usr/bin/camrelay | grep -vE "linux-vdso|libm.so|libc.so|ld-linux" >/run/said
ok $? "it needs glibc alone"
install -d -o camrelay -g camrelay -m 750 /run/camrelay
timeout -s KILL 600 "${quick[@]}" >/run/said 2>&1
ok $? "the self test: $(tail -1 /run/said)"
sed 's/^/# /' /run/said

if [ "${1-}" = faults ]; then
	printf 'camras: {}\n' >$conf
	finds "a misspelt key" config '90-fault.yaml:1:1.*unknown' "${quick[@]}"
	printf 'rtsp: {listen: "127.0.0.1:8554"\n' >$conf
	finds "a bracket is missing" config '90-fault.yaml:' "${quick[@]}"
	printf 'http: {listen: "192.0.2.1:8888"}\n' >$conf
	finds "an address of another box" ports 'http cannot listen at 192.0.2.1:8888: the box does not have this address' "${quick[@]}"
	rm $conf
	/root/guest hold :8554 >/run/held &
	holder=$!
	until [ -s /run/held ]; do sleep 0.1; done
	finds "a port taken" ports 'rtsp cannot listen at :8554: another program has the port' "${quick[@]}"
	kill $holder && wait $holder
	/root/guest hold :8890 >/run/held &
	holder=$!
	until [ -s /run/held ]; do sleep 0.1; done
	finds "a port of UDP taken" ports 'srt cannot listen at :8890: another program has the port' "${quick[@]}"
	kill $holder && wait $holder
	printf 'rtsp: {listen: ":554"}\n' >$conf
	chmod 644 $conf && chown camrelay $conf
	finds "a port that takes a right" ports 'rtsp cannot listen at :554: ports below 1024 need a right' \
		setpriv --reuid camrelay --regid camrelay --init-groups "${quick[@]}"
	rm $conf
	chown root:root /var/lib/camrelay && chmod 755 /var/lib/camrelay
	finds "no permission to write" files 'camrelay may not write to /var/lib/camrelay' "${quick[@]}"
	chown camrelay:camrelay /var/lib/camrelay && chmod 750 /var/lib/camrelay
	chmod 600 /etc/camrelay/camrelay.yaml
	finds "no permission to read" files 'camrelay may not read /etc/camrelay/camrelay.yaml' "${quick[@]}"
	chmod 644 /etc/camrelay/camrelay.yaml
	mount -t tmpfs -o size=4m,uid=camrelay tmpfs /run/camrelay
	finds "a tmpfs that is too small" tmpfs 'has 4 MiB, the cameras need 16' "${quick[@]}"
	mount -o remount,ro /run/camrelay
	finds "a tmpfs that cannot be written to" tmpfs '/run/camrelay cannot be written to' "${quick[@]}"
	umount /run/camrelay
	mv /etc/camrelay/camrelay.yaml /root/
	finds "no configuration" config 'camrelay.yaml error cannot read the file: no such file' "${quick[@]}"
	mv /root/camrelay.yaml /etc/camrelay/
	finds "too few files" limits 'only 200 files may be open' bash -c 'ulimit -Sn 200 -Hn 200; exec camrelay selftest --quick'
	finds "an old libsrt" libsrt 'libsrt 1.4.4 is older than 1.5.1: it has known holes' /root/camrelay-old-srt selftest --quick
	finds "a board that is too hot, without power" hardware '.' camrelay selftest --quick --root /root/board
fi
echo "FAULTS end $((n - failed)) passed, $failed failed, $SECONDS s"
exit $((failed != 0))
