#!/usr/bin/python3
"""Cameras by GStreamer's RTSP server.

usage: cameras.py CERT.pem

Serves the same mounts three times on free ports of 127.0.0.1: openly, with
digest authentication (admin, p@ss:w/rd), and over TLS. Prints "ready PORT
AUTHPORT TLSPORT", then "teardown PATH" for each TEARDOWN.
"""
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

Gst.init(None)

VIDEO = "videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=320,height=240,framerate=25/1 ! "
AUDIO = "audiotestsrc is-live=true ! audio/x-raw,rate=%d,channels=1 ! "
H264 = "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 bitrate=300 ! rtph264pay name=pay0 pt=96 "
AAC = AUDIO % 48000 + "avenc_aac ! rtpmp4gpay name=pay1 pt=97 "

MOUNTS = {
    "/h264aac": VIDEO + H264 + "config-interval=-1 " + AAC,
    "/inband": VIDEO + "x264enc tune=zerolatency speed-preset=ultrafast sliced-threads=false threads=1 key-int-max=25 ! "
               "video/x-h264,stream-format=byte-stream ! rtph264pay name=pay0 pt=96 config-interval=-1 ",
    "/h265": VIDEO + "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=25 bitrate=300 ! "
             "rtph265pay name=pay0 pt=96 config-interval=-1 " + AAC,
    "/pcma": VIDEO + H264 + AUDIO % 8000 + "alawenc ! rtppcmapay name=pay1 pt=8 ",
    "/opus": VIDEO + H264 + AUDIO % 48000 + "opusenc ! rtpopuspay name=pay1 pt=97 ",
    "/mjpeg": VIDEO + "jpegenc ! rtpjpegpay name=pay0 pt=26 ",
    "/audio": AUDIO % 48000 + "avenc_aac ! rtpmp4gpay name=pay0 pt=97 ",
}


def torn(_client, ctx):
    print("teardown", ctx.uri.abspath if ctx.uri else "?", flush=True)


def serve(user=None, cert=None):
    s = GstRtspServer.RTSPServer()
    s.set_address("127.0.0.1")
    s.set_service("0")
    role = "user" if user else "anonymous"
    if user or cert:
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", role)
        if cert:
            auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(cert))
            auth.set_default_token(token)
        if user:
            auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
            auth.add_digest(user[0], user[1], token)
        s.set_auth(auth)
    for path, launch in MOUNTS.items():
        f = GstRtspServer.RTSPMediaFactory()
        f.set_launch("( " + launch + ")")
        f.set_shared(True)
        if user or cert:
            p = GstRtspServer.RTSPPermissions()
            p.add_permission_for_role(role, "media.factory.access", True)
            p.add_permission_for_role(role, "media.factory.construct", True)
            f.set_permissions(p)
        s.get_mount_points().add_factory(path, f)
    s.connect("client-connected", lambda _s, c: c.connect("teardown-request", torn))
    s.attach(None)
    return s


servers = [serve(), serve(user=("admin", "p@ss:w/rd")), serve(cert=sys.argv[1])]
print("ready", *(s.get_bound_port() for s in servers), flush=True)
GLib.MainLoop().run()
