#!/usr/bin/python3
"""Cameras by GStreamer's RTSP server, for the end-to-end tests.

usage: gstcams.py PORT [WIDTHxHEIGHT]   (0: any free port; 640x360)

Prints "ready PORT". Then each line on stdin is a command:
  count           prints a JSON object: mount -> [video frames, audio frames] handed to the payloaders
  requests        prints a JSON object: mount -> {method: number} of DESCRIBE, PLAY and TEARDOWN
  freeze MOUNT    the mount's media stops, its sockets stay open
  thaw MOUNT
  quit
All mounts are encoded live and shared by their clients. The picture flashes
white for one frame at each full second, and a tick sounds with it.
"""
import json
import sys
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

Gst.init(None)

FPS = 25
WIDTH, HEIGHT = (sys.argv[2] if len(sys.argv) > 2 else "640x360").split("x")
VIDEO = ("videotestsrc name=vsrc is-live=true pattern=ball ! "
         f"video/x-raw,format=I420,width={WIDTH},height={HEIGHT},framerate=25/1 ! ")
AUDIO = "audiotestsrc is-live=true wave=ticks ! audio/x-raw,rate=48000,channels=1 ! avenc_aac bitrate=64000 ! "
H264 = "x264enc speed-preset=ultrafast bitrate=800 key-int-max=50 "
# The payloader repeats parameter sets between the slices of a picture, which ffmpeg takes for two pictures.
ONE_SLICE = "tune=zerolatency sliced-threads=false threads=1 ! "
PAY_V = "valve name=valve0 ! rtph264pay name=pay0 pt=96 config-interval=-1 "
PAY_A = "valve name=valve1 ! rtpmp4gpay name=pay1 pt=97 "

MOUNTS = {
    "/h264": "( " + VIDEO + H264 + ONE_SLICE + PAY_V + AUDIO + PAY_A + ")",
    "/bframes": "( " + VIDEO + H264 + "bframes=2 b-adapt=false ! video/x-h264,profile=main ! " + PAY_V + AUDIO + PAY_A + ")",
    "/h265": "( " + VIDEO + "x265enc speed-preset=ultrafast tune=zerolatency bitrate=800 key-int-max=50 ! "
             "valve name=valve0 ! rtph265pay name=pay0 pt=96 config-interval=-1 " + AUDIO + PAY_A + ")",
    "/video": "( " + VIDEO + H264 + ONE_SLICE + PAY_V + ")",
    "/pcma": "( " + VIDEO + H264 + ONE_SLICE + PAY_V + "audiotestsrc is-live=true wave=ticks ! "
             "audio/x-raw,rate=8000,channels=1 ! alawenc ! valve name=valve1 ! rtppcmapay name=pay1 pt=8 )",
    "/opus": "( " + VIDEO + H264 + ONE_SLICE + PAY_V + "audiotestsrc is-live=true wave=ticks ! "
             "audio/x-raw,rate=48000,channels=2 ! opusenc ! valve name=valve1 ! rtpopuspay name=pay1 pt=98 )",
    "/audio": "( " + AUDIO + "valve name=valve1 ! rtpmp4gpay name=pay0 pt=97 )",
    # 8 Mbit/s, a key frame each second
    "/big": "( videotestsrc is-live=true pattern=snow ! video/x-raw,format=I420,width=640,height=360,framerate=25/1 ! "
            "x264enc speed-preset=ultrafast bitrate=8000 vbv-buf-capacity=400 key-int-max=25 " + ONE_SLICE + PAY_V
            + AUDIO + PAY_A + ")",
    "/gop4": "( " + VIDEO + "x264enc speed-preset=ultrafast bitrate=800 tune=zerolatency sliced-threads=false threads=1 key-int-max=100 ! " + PAY_V
             + AUDIO + PAY_A + ")",
}


class Camera:
    """One mount: counts what its payloaders are given, stops it on demand."""

    def __init__(self, description):
        self.counts = [0, 0]
        self.valves = []
        self.frozen = False
        self.factory = GstRtspServer.RTSPMediaFactory()
        self.factory.set_launch(description)
        self.factory.set_shared(True)
        self.factory.connect("media-configure", self.configure)

    def configure(self, _factory, media):
        bin_ = media.get_element()
        self.valves = [v for v in (bin_.get_by_name("valve0"), bin_.get_by_name("valve1")) if v]
        self.freeze(self.frozen)
        src = bin_.get_by_name("vsrc")
        if src:
            src.get_static_pad("src").add_probe(Gst.PadProbeType.BUFFER, self.flash, src)
        for i in range(2):
            pay = bin_.get_by_name(f"pay{i}")
            if pay:
                pay.get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, self.count, i)

    def flash(self, _pad, info, src):
        """Chooses the pattern of the frame after this one."""
        frame = round(info.get_buffer().pts / (Gst.SECOND / FPS))
        src.set_property("pattern", "white" if (frame + 1) % FPS == 0 else "ball")
        return Gst.PadProbeReturn.OK

    def count(self, _pad, _info, track):
        self.counts[track] += 1
        return Gst.PadProbeReturn.OK

    def freeze(self, on):
        self.frozen = on
        for v in self.valves:
            v.set_property("drop", on)


class Requests:
    """Counts what clients have asked of each mount."""

    def __init__(self, server):
        self.counts = {m: {"DESCRIBE": 0, "PLAY": 0, "TEARDOWN": 0} for m in MOUNTS}
        server.connect("client-connected", self.watch)

    def watch(self, _server, client):
        for method in ("DESCRIBE", "PLAY", "TEARDOWN"):
            client.connect(method.lower() + "-request", self.count, method)

    def count(self, _client, context, method):
        mount = context.uri.abspath.rstrip("/")
        if mount in self.counts:
            self.counts[mount][method] += 1


def commands(cameras, requests, loop):
    for line in sys.stdin:
        words = line.split()
        if words[0] == "requests":
            print(json.dumps(requests.counts), flush=True)
        elif words[0] == "count":
            print(json.dumps({m: c.counts for m, c in cameras.items()}), flush=True)
        elif words[0] in ("freeze", "thaw"):
            cameras[words[1]].freeze(words[0] == "freeze")
            print("ok", flush=True)
        elif words[0] == "quit":
            break
    loop.quit()


def main():
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(sys.argv[1])
    cameras = {mount: Camera(d) for mount, d in MOUNTS.items()}
    for mount, cam in cameras.items():
        server.get_mount_points().add_factory(mount, cam.factory)
    requests = Requests(server)
    if not server.attach(None):
        sys.exit("cannot bind")
    loop = GLib.MainLoop()
    threading.Thread(target=commands, args=(cameras, requests, loop), daemon=True).start()
    print("ready", server.get_bound_port(), flush=True)
    loop.run()


main()
