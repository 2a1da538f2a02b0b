#!/bin/bash
# camrelay, for the yardstick of relays: warm, ondemand, hls-fmp4, rtmp, srt.
# CAMRELAY names the binary.
set -eu
if [[ $1 == urls ]]; then
  echo "rtsp=rtsp://127.0.0.1:$PORT/cam%d"; echo "hls=http://127.0.0.1:$((PORT+1))/cam%d/index.m3u8"; exit 0
fi
hls=off rtsp=127.0.0.1:$PORT keep=warm
case $OUT in
  warm) ;;
  ondemand) hls=ondemand keep=ondemand ;;
  hls-fmp4) hls=always rtsp='' ;;
  rtmp|srt) rtsp='' ;;
  *) exit 77 ;;
esac
{ cat <<Y
version: 1
access: {view: open}
rtsp: {listen: "$rtsp"}
http: {listen: "127.0.0.1:$((PORT+1))"}
api: {listen: "127.0.0.1:$((PORT+2))"}
hls: {mode: $hls, segment: 2s, part: 400ms, window: 14s, budget: 2GiB}
defaults: {transport: tcp, keep: $keep, idle_after: 1s}
cameras:
Y
for ((i=0;i<N;i++)); do echo "  cam$i: {url: \"$CAM$i\"}"; done
[[ $OUT == rtmp || $OUT == srt ]] && echo "pushes:"
for ((i=0;i<N;i++)); do
  case $OUT in
    rtmp) echo "  up$i: {camera: cam$i, url: \"$RTMP/$NAME$i\"}" ;;
    srt) echo "  up$i: {camera: cam$i, url: \"srt://127.0.0.1:$((SRTPORT+i))\"}" ;;
  esac
done; } >"$DIR/camrelay.yaml"
exec "$CAMRELAY" run -c "$DIR/camrelay.yaml" --runtime-dir "$DIR" --state-dir "$DIR/state"
