#!/bin/bash
# guest.sh: runs in a booted box without a network as the last unit, with
# /root/v1.deb, /root/v2.deb and /root/guest. Prints TAP lines, at last
# "GUEST end N passed, M failed".
n=0 failed=0
ok() {
	n=$((n + 1))
	if [ "$1" = 0 ]; then echo "ok $n - $2"; else
		failed=$((failed + 1))
		echo "not ok $n - $2"
		systemctl show -P StatusText camrelay
		journalctl -u camrelay -o short-monotonic --no-pager -n 15
	fi
}
await() { # SECONDS CMD…
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.2
	done
}
prop() { systemctl show -P "$1" camrelay; }
active() { [ "$(prop ActiveState)" = active ]; }
status() { [[ "$(prop StatusText)" == $1 ]]; }
runs() { [ "$(prop MainPID)" != "$1" ] && active && status '1/1 cameras warm, config #*'; }
played() { sed -E 's/.*played=([0-9]+).*/\1/' /root/report 2>/dev/null || echo 0; }
plays_on() {
	local before=$(played)
	plays_more() { [ "$(played)" -ge $((before + 2)) ]; }
	await 60 plays_more
}
starts() { journalctl -u camrelay -o cat --no-pager | grep -c 'camrelay runs'; }
files() { find / -xdev \( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /var/log -o -path /root \
	-o -path /dev -o -path /var/tmp -o -path /var/cache/ldconfig \) -prune -o -print | sort; }

echo "GUEST begin $(uname -m), $(systemctl --version | head -1)"
export DEBIAN_FRONTEND=noninteractive
files >/root/files.before
systemd-run -q --unit=camera /root/guest camera 127.0.0.1:9000

dpkg -i /root/v1.deb </dev/null
ok $? "dpkg -i without a network"
await 60 active
ok $? "active, so READY=1 was told"
await 30 status 'no cameras, config #1'
ok $? "status: $(prop StatusText)"
[ "$(prop Type) $(prop WatchdogUSec) $(prop User)" = 'notify 30s camrelay' ]
ok $? "type, watchdog, user: $(prop Type) $(prop WatchdogUSec) $(prop User)"
[ "$(stat -c '%a %U:%G' /etc/camrelay /etc/camrelay/secrets /var/lib/camrelay | tr '\n' ' ')" = \
	'750 root:camrelay 750 root:camrelay 750 camrelay:camrelay ' ]
ok $? "the configuration is for root and the group camrelay"
camrelay check
ok $? "camrelay check takes the configuration of the package"
camrelay check -c /usr/share/doc/camrelay/examples/camrelay.yaml
ok $? "and the example"

cat >/etc/camrelay/conf.d/10-gate.yaml <<'YAML'
access: {view: open}
cameras:
  gate: {url: "rtsp://127.0.0.1:9000/gate"}
YAML
await 60 status '1/1 cameras warm, config #2'
ok $? "a drop-in takes effect: $(prop StatusText)"
systemd-run -q --unit=follow /root/guest follow http://127.0.0.1:8888/gate/hls.m3u8 /root/report
plays_on
ok $? "a player plays: $(cat /root/report)"
ss -Hltun | awk '{print $1":"$5}' >/root/ports
grep -q 'tcp:.*:8554' /root/ports && grep -q 'tcp:.*:1935' /root/ports && grep -q 'udp:.*:8890' /root/ports
ok $? "RTSP, RTMP and SRT have their ports in the sandbox"

echo 'nonsense: 1' >/etc/camrelay/conf.d/20-bad.yaml
await 60 status '1/1 cameras warm, config #2, the edit after it is rejected'
ok $? "a bad edit: $(prop StatusText)"
rm /etc/camrelay/conf.d/20-bad.yaml
systemctl reload camrelay && await 60 status '1/1 cameras warm, config #2'
ok $? "it is gone: $(prop StatusText)"

[ -n "$(journalctl -u camrelay CAMRELAY_CAMERA=gate -o cat --no-pager)" ]
ok $? "the journal can be asked for a camera"

pid=$(prop MainPID)
kill -9 "$pid"
await 60 runs "$pid"
ok $? "kill -9: it runs again, $(prop NRestarts) restarts"
plays_on
ok $? "the player goes on: $(cat /root/report)"

mkdir -p /run/systemd/system/camrelay.service.d
printf '[Service]\nWatchdogSec=4\nTimeoutAbortSec=1\n' >/run/systemd/system/camrelay.service.d/test.conf
systemctl daemon-reload
systemctl restart camrelay
ok $? "restart"
pid=$(prop MainPID)
await 60 status '1/1 cameras warm, config #2'
kill -STOP "$pid"
await 60 runs "$pid"
ok $? "it stands still: the watchdog bites, $(prop NRestarts) restarts"
journalctl -u camrelay -o cat --no-pager | grep -qi 'watchdog timeout'
ok $? "the journal names the watchdog"
rm -r /run/systemd/system/camrelay.service.d
systemctl daemon-reload

echo '# an edit of the box' >>/etc/camrelay/camrelay.yaml
await 60 status '1/1 cameras warm, config #3'
systemctl stop follow
systemd-run -q --unit=follow2 /root/guest follow http://127.0.0.1:8888/gate/hls.m3u8 /root/report
plays_on
pid=$(prop MainPID) before=$(starts)
dpkg -i /root/v2.deb </dev/null
ok $? "upgrade, with an edited configuration and nobody to answer"
await 60 runs "$pid"
ok $? "it runs: $(prop StatusText)"
[ "$(starts)" = $((before + 1)) ] && grep -q 'an edit of the box' /etc/camrelay/camrelay.yaml
ok $? "it was restarted once, and the configuration is the box's"
plays_on
ok $? "the player goes on: $(cat /root/report)"
longest=$(sed -E 's/.*longest_ms=([0-9]+).*/\1/' /root/report)
[ "$longest" -le 15000 ]
ok $? "and saw one stall of $longest ms at most"
grep -q ' refused=0 ' /root/report
ok $? "nobody was refused: the manager held the ports"
wrote() { awk '/^write_bytes/ { print $2 }' "/proc/$(prop MainPID)/io"; }
before=$(wrote)
plays_on && plays_on
[ "$(wrote)" = "$before" ]
ok $? "while it plays, it writes nothing but to memory: $(($(wrote) - before)) bytes"

pid=$(prop MainPID)
dpkg -i /root/v1.deb </dev/null && await 60 runs "$pid"
ok $? "downgrade"
dpkg -r camrelay && ! active && [ -e /etc/camrelay/camrelay.yaml ] && [ -d /var/lib/camrelay ]
ok $? "remove: it ends, configuration and state stay"
[ ! -e /run/camrelay ]
ok $? "and nothing in memory"
dpkg -i /root/v2.deb </dev/null && await 60 runs 0 && [ "$(prop UnitFileState)" = enabled ]
ok $? "install again: it runs, and will at boot"
! journalctl -u camrelay -o cat --no-pager | grep -iE 'operation not permitted|permission denied|seccomp|panic|DATA RACE'
ok $? "the sandbox was in nobody's way"
systemd-analyze security camrelay --no-pager | tail -1
systemctl stop follow2
dpkg -P camrelay
ok $? "purge"
files | diff /root/files.before - >/root/left
# The user stays, as Debian has it: its number is not to become another's.
! grep '^>' /root/left | grep -vE ' /etc/(passwd|group|shadow|gshadow)-$| /etc/\.pwd\.lock$| /var/lib/dpkg/|/var/lib/systemd/(timers|random)'
ok $? "and nothing is left"
echo "GUEST end $((n - failed)) passed, $failed failed, $SECONDS s"
