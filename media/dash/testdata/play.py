#!/usr/bin/python3
"""Plays a manifest with dashdemux and tells what comes out of its decoders.

usage: play.py URL N

Prints "video PTS" and "audio PTS", in nanoseconds, for each frame once there are
N of both, or with an error as soon as GStreamer has one.
"""
import os
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

Gst.init(None)

PIPELINE = (
    "souphttpsrc location={} ! dashdemux name=d "
    "d.video_00 ! queue ! qtdemux ! h264parse ! avdec_h264 ! fakesink name=video "
    "d.audio_00 ! queue ! qtdemux ! aacparse ! avdec_aac ! fakesink name=audio"
)


def main():
    url, n = sys.argv[1], int(sys.argv[2])
    pipeline = Gst.parse_launch(PIPELINE.format(url))
    loop = GLib.MainLoop()
    times = {"video": [], "audio": []}
    failed = []

    def frame(_pad, info, kind):
        times[kind].append(info.get_buffer().pts)
        if min(map(len, times.values())) >= n:
            GLib.idle_add(loop.quit)
        return Gst.PadProbeReturn.OK

    def message(_bus, m):
        if m.type == Gst.MessageType.ERROR:
            failed.append(m.parse_error())
            loop.quit()
        elif m.type == Gst.MessageType.EOS:
            failed.append("the stream has ended")
            loop.quit()

    for kind in times:
        pipeline.get_by_name(kind).get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, frame, kind)
    bus = pipeline.get_bus()
    bus.add_signal_watch()
    bus.connect("message", message)
    pipeline.set_state(Gst.State.PLAYING)
    loop.run()
    for kind, all_of_it in times.items():
        for pts in list(all_of_it):
            print(kind, pts)
    sys.stdout.flush()
    if failed:
        print(failed[0], file=sys.stderr)
    # The state is not set to NULL: threads that wait for live segments would be waited for.
    os._exit(1 if failed else 0)


main()
