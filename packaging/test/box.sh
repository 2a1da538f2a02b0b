#!/bin/bash
# box.sh WORK CACHE CONSOLE: boots WORK/disk with the kernel in CACHE, and plays
# around it: camera, players and servers run here, the box obeys at port 7000. Runs
# in a network namespace of its own, for boot.sh. Prints TAP lines, at last
# "BOX end N passed, M failed". What camera and players say is in CONSOLE.site.
# CAMRELAY_STEADY is for how many seconds it counts what a steady box writes: 60,
# or 600 to be sure.
set -uo pipefail

work=$1 cache=$2 console=$3 steady=${CAMRELAY_STEADY-60}
n=0 failed=0 here=()
ok() {
	n=$((n + 1))
	[ "$1" = 0 ] && echo "ok $n - $2 [$SECONDS s]"
	if [ "$1" != 0 ]; then
		failed=$((failed + 1))
		echo "not ok $n - $2 [$SECONDS s]"
		alive && box 'systemctl show -P StatusText camrelay; journalctl -u camrelay -o short-monotonic --no-pager -n 15'
		alive || { echo "Bail out! The emulator has ended"; exit 1; }
	fi
}
alive() { kill -0 "$qemu" 2>/dev/null; }
await() { # SECONDS CMD…
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.5
	done
}
# Functions that every script in the box has.
# shellcheck disable=SC2016
prelude='
await() { local end=$((SECONDS + 2 * $1)); shift; until "$@" >/dev/null 2>&1; do [ $SECONDS -lt $end ] || return 1; sleep 0.5; done; }
prop() { systemctl show -P "$1" camrelay; }
active() { [ "$(prop ActiveState)" = active ]; }
status() { [[ "$(prop StatusText)" == $1 ]]; }
put() { cat >"$1.new" && mv "$1.new" "$1"; } # at once: the box is slow, and the file is watched
runs() { [ "$(prop MainPID)" != "$1" ] && active && status "${2-1/1 cameras warm, config #*}"; }
'
box() { timeout -s KILL "${limit-600}" "$work/guest" tell 127.0.0.1:7000 "$prelude$1"; }
of() { sed -E "s/.*$1=([0-9]+).*/\1/" "$work/report" 2>/dev/null || echo 0; }
plays_on() {
	local before
	before=$(of played)
	plays_more() { [ "$(of played)" -ge $((before + 2)) ]; }
	await 120 plays_more
}
start() { # CMD…
	"$@" >>"$console.site" 2>&1 </dev/null &
	here+=($!)
}
decoded() { # FFMPEG'S ARGUMENTS…: how many pictures and sounds it decodes of 5 s
	timeout -s KILL 180 ffmpeg -nostdin -hide_banner -v error "$@" -t 5 -f framehash - 2>>"$console.site" |
		awk -F, '/^[01],/ { seen[$1]++ } END { print "pictures=" seen[0]+0, "sounds=" seen[1]+0 }'
}
enough() { [[ $1 =~ pictures=([0-9]+)\ sounds=([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -ge 60 ] && [ "${BASH_REMATCH[2]}" -ge 60 ]; }
finish() {
	kill "${here[@]}" 2>/dev/null
	wait
}
trap finish EXIT

ip link set lo up
start "$work/guest" camera 127.0.0.1:9000
timeout -s KILL "${CAMRELAY_LIMIT-5400}" qemu-system-aarch64 -M virt -cpu max,pauth-impdef=on -smp 2 -m 1024 \
	-accel tcg,thread=multi -nodefaults -display none -no-reboot -kernel "$cache/vmlinuz" -initrd "$cache/initrd" \
	-append 'console=ttyAMA0 panic=5 quiet loglevel=3 systemd.show_status=0 net.ifnames=0 fsck.mode=skip' \
	-drive "if=none,id=disk,file=$work/disk,format=raw,cache=unsafe" -device virtio-blk-pci,drive=disk \
	-netdev user,id=wire,hostfwd=tcp:127.0.0.1:7000-:7000,hostfwd=tcp:127.0.0.1:8888-:8888,hostfwd=tcp:127.0.0.1:8554-:8554 \
	-device virtio-net-pci,netdev=wire,romfile= -device virtio-rng-pci -serial "file:$console" </dev/null &
qemu=$!
here+=($qemu)

SECONDS=0
await 300 box true
ok $? "a bare Debian $(box 'cat /etc/debian_version') boots: $(box 'uname -mr')" || exit 1
box 'find / -xdev \( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /var/log -o -path /root \
	-o -path /dev -o -path /var/tmp -o -path /var/cache/ldconfig \) -prune -o -print | sort >/root/files.before'

echo "# install"
box 'DEBIAN_FRONTEND=noninteractive dpkg -i /root/v1.deb </dev/null'
ok $? "dpkg -i without a network"
box '! ldd /usr/bin/camrelay | grep -vE "linux-vdso|libm.so|libc.so|ld-linux"'
ok $? "it needs glibc alone"
box 'await 120 active'
ok $? "active, so READY=1 was told"
# shellcheck disable=SC2016
box '
pid=$(prop MainPID) began=$(prop ExecMainStartTimestampMonotonic) ready=$(prop ActiveEnterTimestampMonotonic)
echo "# program $(stat -c %s /usr/bin/camrelay) bytes, package $(stat -c %s /root/v1.deb) bytes"
echo "# from the start to READY $(((ready - began) / 1000)) ms"
sleep 10
echo "# idle: $(grep -E "^(VmRSS|RssAnon|RssFile):" /proc/$pid/status | tr -s "\t\n" " "), cgroup $(prop MemoryCurrent) bytes"
echo "# $(camrelay version), $(systemctl --version | head -1)"'
box 'await 60 status "no cameras, config #1"'
ok $? "status: $(box 'prop StatusText')"
box '[ "$(prop Type) $(prop WatchdogUSec) $(prop User)" = "notify 30s camrelay" ]'
ok $? "type, watchdog, user as in the unit"
await 60 grep -aq 'http://10.0.2.15:8888/' "$console"
ok $? "the login screen of the serial line says where the box is: $(grep -ao 'http://10.0.2.15[^ ]*' "$console" | head -1)"

echo "# a camera here, players here, servers here"
box 'put /etc/camrelay/conf.d/10-gate.yaml <<YAML
access: {view: open}
cameras:
  gate: {url: "rtsp://10.0.2.2:9000/gate"}
YAML
await 120 status "1/1 cameras warm, config #2"'
ok $? "a drop-in takes effect: $(box 'prop StatusText')"
got=$(decoded -i http://127.0.0.1:8888/gate/index.m3u8)
enough "$got"
ok $? "HLS is pulled and decoded here: $got"
got=$(decoded -rtsp_transport tcp -i rtsp://127.0.0.1:8554/gate)
enough "$got"
ok $? "RTSP is pulled and decoded here: $got"
decoded -listen 1 -i rtmp://127.0.0.1:1935/live/gate >"$work/rtmp" &
rtmp=$!
decoded -i 'srt://127.0.0.1:9001?mode=listener' >"$work/srt" &
srt=$!
box 'put /etc/camrelay/conf.d/20-up.yaml <<YAML
pushes:
  gate-rtmp: {camera: gate, url: "rtmp://10.0.2.2/live/gate"}
  gate-srt: {camera: gate, url: "srt://10.0.2.2:9001"}
YAML
await 120 status "1/1 cameras warm, *, config #3"'
ok $? "pushes begin by an edit: $(box 'prop StatusText')"
wait $rtmp
enough "$(cat "$work/rtmp")"
ok $? "the push by RTMP is received and decoded here: $(cat "$work/rtmp")"
wait $srt
enough "$(cat "$work/srt")"
ok $? "the push by SRT is received and decoded here: $(cat "$work/srt")"
box 'rm /etc/camrelay/conf.d/20-up.yaml; await 120 status "1/1 cameras warm, config #4"'
ok $? "and end by one: $(box 'prop StatusText')"
box 'echo "nonsense: 1" | put /etc/camrelay/conf.d/20-bad.yaml
await 120 status "1/1 cameras warm, config #4, the edit after it is rejected"'
ok $? "a bad edit changes nothing: $(box 'prop StatusText; rm /etc/camrelay/conf.d/20-bad.yaml')"
box 'await 120 status "1/1 cameras warm, config #4"'
ok $? "it is gone: $(box 'prop StatusText')"

echo "# what goes wrong"
start "$work/guest" follow http://127.0.0.1:8888/gate/hls.m3u8 "$work/report"
player=$!
plays_on
ok $? "a player here plays: $(cat "$work/report")"
box 'pid=$(prop MainPID); kill -9 $pid; await 120 runs $pid'
ok $? "kill -9: it runs again, $(box 'prop NRestarts') restarts"
plays_on
ok $? "the player goes on: $(cat "$work/report")"
# What is in the way of its next segments makes the packager of the camera write its
# journal anew, and there lies a pipe that nobody reads.
pid=$(box 'prop MainPID')
box "pid=$pid"'
cd /run/camrelay/hls/gate
newest=$(ls -t *-*.m4s | head -1) last=${newest#*-}
for i in $(seq 10); do (set -C; : >"${newest%-*}-$((${last%.m4s} + i)).m4s"); done 2>/dev/null
hung() { mkfifo -m 666 hls.window.new; grep -lE "wait_for_partner|fifo_open" /proc/$pid/task/*/wchan; }
await 120 hung && rm hls.window.new && status "1/1 cameras warm, config #4"'
ok $? "one loop hangs, that which packages the camera: $(box 'prop StatusText')"
got=$(decoded -rtsp_transport tcp -i rtsp://127.0.0.1:8554/gate)
enough "$got" && [ "$(box 'prop MainPID')" = "$pid" ]
ok $? "all others go on, as RTSP does: $got"
box "await 200 runs $pid && journalctl -u camrelay -o cat --no-pager | grep -i 'watchdog timeout'"
ok $? "the watchdog bites, $(box 'prop NRestarts') restarts, $(box 'journalctl -u camrelay -o cat --no-pager | grep -o "what=.*\|something hangs.*" | tail -1')"
plays_on
ok $? "the player goes on: $(cat "$work/report")"
box 'mkdir -p /run/systemd/system/camrelay.service.d
printf "[Service]\nTimeoutAbortSec=5\n" >/run/systemd/system/camrelay.service.d/test.conf
systemctl daemon-reload
pid=$(prop MainPID) before=$(prop NRestarts); kill -STOP $pid; await 150 runs $pid && [ "$(prop NRestarts)" -gt $before ]
rc=$?; rm -r /run/systemd/system/camrelay.service.d; systemctl daemon-reload; exit $rc'
ok $? "every loop of it stands still: the watchdog bites, $(box 'prop NRestarts') restarts"
plays_on
ok $? "the player goes on: $(cat "$work/report")"
box '{ declare -f await prop active status; cat <<"SCRIPT"; } >/root/wireless
ip link set eth0 down
systemctl restart camrelay && active && await 120 status "0/1 cameras warm, config #4" &&
	echo "$(prop MainPID) $(cat /sys/class/net/eth0/operstate)" >/root/without
ip link set eth0 up
SCRIPT
systemd-run -q --collect --unit=wireless /bin/bash /root/wireless'
without() { limit=60 box '! systemctl is-active --quiet wireless && test -s /root/without'; }
await 300 without && box 'await 120 status "1/1 cameras warm, config #4" && [ "$(cat /root/without)" = "$(prop MainPID) down" ]'
rc=$?
box 'journalctl -u camrelay -u systemd-networkd -o short-monotonic --no-pager -n 40' >>"$console.site"
ok $rc "it starts without a network, and has its camera when that comes: $(box 'cat /root/without; prop StatusText' | tr '\n' ' ')"
plays_on
ok $? "the player goes on: $(cat "$work/report")"

echo "# the clock"
# No earlier than the kernel takes, which is when it began.
box 'systemctl stop camrelay; date -s @$(($(cut -d. -f1 /proc/uptime) + 60)) >/dev/null && systemctl start camrelay &&
[ $(date +%Y) = 1970 ] && await 120 status "1/1 cameras warm, config #4"'
ok $? "it starts in $(box 'date +%Y'): $(box 'prop StatusText')"
plays_on
said=$(limit=900 box 'camrelay selftest --quick')
rc=$?
[ $rc = 1 ] && grep -q '^fail  clock  *the clock says 1970-' <<<"$said" && [ "$(grep -c ^fail <<<"$said")" = 2 ]
ok $? "selftest finds it, and nothing else: $(grep ^fail <<<"$said" | tr -s ' ' | tr '\n' ';')"
before=$(of discontinuities)
box "date -s @$(date +%s) >/dev/null"
plays_on && plays_on && plays_on
ok $? "the clock is set to $(box 'date +%Y'), the player goes on: $(cat "$work/report")"
[ "$(box 'date +%Y')" = "$(date +%Y)" ] && [ $(($(of discontinuities) - before)) -le 1 ]
ok $? "and has seen $(($(of discontinuities) - before)) discontinuities"
box '! journalctl -u camrelay -o cat --no-pager -n 50 | grep -i "watchdog timeout" && status "1/1 cameras warm, config #4"'
ok $? "nothing else has noticed: $(box 'prop StatusText')"

echo "# upgrade"
kill "$player"
start "$work/guest" follow http://127.0.0.1:8888/gate/hls.m3u8 "$work/report"
player=$!
plays_on
box 'systemd-run -q --unit=follow /root/guest follow http://127.0.0.1:8888/gate/hls.m3u8 /root/report'
box 'echo "# an edit of the box" >>/etc/camrelay/camrelay.yaml; await 120 status "1/1 cameras warm, config #5"
pid=$(prop MainPID); DEBIAN_FRONTEND=noninteractive dpkg -i /root/v2.deb </dev/null && await 120 runs $pid &&
grep -q "an edit of the box" /etc/camrelay/camrelay.yaml && dpkg-query -W camrelay'
ok $? "to a second version, with an edited configuration and nobody to answer"
plays_on
ok $? "the player goes on: $(cat "$work/report")"
box 'grep " refused=0 " /root/report; rc=$?; systemctl stop follow; exit $rc'
ok $? "one in the box was never refused: the manager held the ports"
[ "$(of longest_ms)" -le 30000 ]
ok $? "and saw one stall of $(of longest_ms) ms at most"

echo "# eight cameras, steady"
box '{ echo "cameras:"; for i in 1 2 3 4 5 6 7; do echo "  door$i: {url: \"rtsp://10.0.2.2:9000/door\"}"; done; } | put /etc/camrelay/conf.d/30-more.yaml
await 240 status "8/8 cameras warm, config #6"'
ok $? "they are warm: $(box 'prop StatusText')"
# Viewers are told of in the journal, which closes its file minutes later: it goes to
# memory, as a box has it whose flash is to last, and what is read is not marked so.
kill "$player"
box 'journalctl --relinquish-var; mount -o remount,noatime /'
# shellcheck disable=SC2016
counts='c() { awk "\$3 == \"vda\" { print \$10 * 512 }" /proc/diskstats; awk "/^write_bytes/ { print \$2 }" /proc/$(prop MainPID)/io; }
all() { awk "/^write_bytes/ { print FILENAME, \$2 }" /proc/[0-9]*/io 2>/dev/null; }'
sleep 45 # the journal and the file system write behind
wrote=$(limit=$((steady + 600)) box "$counts; sync; sleep 5; all >/run/before; since=\$(date +%s); a=(\$(c)); sleep $steady; sync; b=(\$(c))
all | diff /run/before - >&2; ps -e -o pid,comm | grep -v ' kworker' >&2; journalctl --no-pager --since=@\$since >&2
echo disk=\$((b[0] - a[0])) daemon=\$((b[1] - a[1])) load=\$(cut -d' ' -f1 /proc/loadavg)" 2>&1 | tee -a "$console.site" | tail -1)
[[ $wrote == disk=0\ daemon=0\ * ]]
ok $? "bytes written in $steady s: $wrote"
box 'status "8/8 cameras warm, config #6"'
ok $? "still: $(box 'prop StatusText')"
box 'rm /etc/camrelay/conf.d/30-more.yaml; await 120 status "1/1 cameras warm, config #7"'

echo "# read-only"
start "$work/guest" follow http://127.0.0.1:8888/gate/hls.m3u8 "$work/report"
player=$!
plays_on
# What mounts its root so has a /tmp in memory: systemd needs one for a private /dev.
box 'cp /usr/share/systemd/tmp.mount /run/systemd/system/; systemctl daemon-reload; systemctl start tmp.mount; sync; mount -o remount,ro / && ! touch /var/lib/camrelay/probe 2>/dev/null
pid=$(prop MainPID); systemctl restart camrelay && await 120 runs $pid "1/1 cameras warm, config #*"'
ok $? "it starts where nothing can be written: $(box 'prop StatusText')"
plays_on
ok $? "the player goes on: $(cat "$work/report")"
box 'mkdir -p /run/camrelay/conf.d; echo "cameras: {yard: {url: \"rtsp://10.0.2.2:9000/door\"}}" | put /run/camrelay/conf.d/50-yard.yaml
await 120 status "2/2 cameras warm, *"'
ok $? "an edit in memory takes effect: $(box 'prop StatusText')"
# What was mounted for the sandbox stays as it was until the next start.
box 'rm /run/camrelay/conf.d/50-yard.yaml; mount -o remount,rw / && pid=$(prop MainPID) && systemctl restart camrelay &&
await 120 runs $pid "1/1 cameras warm, config #?"'
ok $? "it can be written again: $(box 'prop StatusText')"

echo "# how it is"
limit=600 box 'camrelay selftest --quick' | sed 's/^/# /'
ok "${PIPESTATUS[0]}" "selftest"
box 'status "1/1 cameras warm, config #*"'
ok $? "and it has disturbed nobody"
box 'systemd-analyze verify --man=no camrelay.service'
ok $? "systemd-analyze verify"
score=$(box 'systemd-analyze security camrelay --no-pager | tail -1')
[[ $score =~ :\ ([0-9])\.([0-9]) ]] && [ "${BASH_REMATCH[1]}${BASH_REMATCH[2]}" -le 15 ]
ok $? "$score"
box '! journalctl -u camrelay -o cat --no-pager | grep -iE "operation not permitted|permission denied|seccomp|panic"'
ok $? "the sandbox was in nobody's way"

echo "# away"
box 'dpkg -r camrelay && ! active && [ -e /etc/camrelay/camrelay.yaml ] && dpkg -i /root/v1.deb </dev/null && await 120 runs 0'
ok $? "removed and installed again, it runs"
box 'dpkg -P camrelay'
ok $? "purge"
box 'find / -xdev \( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /var/log -o -path /root \
	-o -path /dev -o -path /var/tmp -o -path /var/cache/ldconfig \) -prune -o -print | sort | diff /root/files.before - | grep "^>" |
	grep -vE " /etc/(passwd|group|shadow|gshadow)-$| /etc/\.pwd\.lock$| /var/lib/dpkg/|/var/lib/systemd/(timers|random)" && exit 1; exit 0'
ok $? "and nothing is left but its user"
box 'systemctl poweroff' >/dev/null 2>&1
wait $qemu
ok $? "power off: $(tr -d '\r' <"$console" | grep -a 'Power down' || echo 'the emulator has ended')"
echo "BOX end $((n - failed)) passed, $failed failed, $SECONDS s"
exit $((failed != 0))
