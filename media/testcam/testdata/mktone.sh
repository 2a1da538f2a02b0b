#!/bin/sh
# Makes ../tone.adts: 375 AAC-LC frames of 1024 samples at 48 kHz, which are
# exactly 8 s and join their own beginning without a seam. A 440 Hz beep of
# 120 ms starts with each second. Needs ffmpeg and python3.
set -eu
cd "$(dirname "$0")/.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
ffmpeg -v error -y -f lavfi \
	-i "aevalsrc='0.4*sin(2*PI*440*t)*lt(mod(t,1),0.12)*min(1,mod(t,1)*200)*min(1,(0.12-mod(t,1))*200)':s=48000:d=24" \
	-c:a aac -b:a 48k -f adts "$tmp/long.adts"
# The encoder is one frame late (its priming), so the frame that decodes to the
# samples from 8 s on is number 376. The first 8 s settle its rate control.
python3 - "$tmp/long.adts" tone.adts <<'PY'
import sys
data = open(sys.argv[1], 'rb').read()
frames = []
while data:
    n = (data[3] & 3) << 11 | data[4] << 3 | data[5] >> 5
    frames.append(data[:n])
    data = data[n:]
open(sys.argv[2], 'wb').write(b''.join(frames[376:376 + 375]))
PY
