"""Metrics of one's own. The server sends its own by itself, whichever class writes the logs."""
import logging
import re
import socket

from gunicorn.glogging import Logger

METRIC_VAR = "metric"
VALUE_VAR = "value"
MTYPE_VAR = "mtype"
GAUGE_TYPE = "gauge"
COUNTER_TYPE = "counter"
HISTOGRAM_TYPE = "histogram"


def connected(address):
    """A socket that sends to `address`, HOST[:PORT] or unix://PATH; None if there is none."""
    if not address:
        return None
    is_path = address.startswith("unix://")
    host, colon, port = address.rpartition(":")
    sock = socket.socket(socket.AF_UNIX if is_path else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.connect(address[len("unix://"):] if is_path
                     else (host if colon else address, int(port) if colon else 8125))
    except OSError:
        sock.close()
        return None
    return sock


class Statsd(Logger):
    """gauge() and its kin, and records that carry a metric: extra={"metric": NAME, "value": 1,
    "mtype": "gauge"}."""

    def __init__(self, cfg):
        super().__init__(cfg)
        self.prefix = re.sub(r"^(.+[^.]+)\.*$", "\\g<1>.", cfg.statsd_prefix or "")
        self.dogstatsd_tags = cfg.dogstatsd_tags
        self.sock = connected(cfg.statsd_host)

    def info(self, msg, *args, **kwargs):
        self.log(logging.INFO, msg, *args, **kwargs)

    def debug(self, msg, *args, **kwargs):
        self.log(logging.DEBUG, msg, *args, **kwargs)

    def log(self, lvl, msg, *args, **kwargs):
        extra = kwargs.get("extra") or {}
        send = {GAUGE_TYPE: self.gauge, COUNTER_TYPE: self.increment,
                HISTOGRAM_TYPE: self.histogram}.get(extra.get(MTYPE_VAR))
        if send and extra.get(METRIC_VAR) and extra.get(VALUE_VAR):
            send(extra[METRIC_VAR], extra[VALUE_VAR])
        if msg:
            super().log(lvl, msg, *args, **kwargs)

    def gauge(self, name, value):
        self._sock_send("%s%s:%s|g" % (self.prefix, name, value))

    def increment(self, name, value, sampling_rate=1.0):
        self._sock_send("%s%s:%s|c|@%s" % (self.prefix, name, value, sampling_rate))

    def decrement(self, name, value, sampling_rate=1.0):
        self._sock_send("%s%s:-%s|c|@%s" % (self.prefix, name, value, sampling_rate))

    def histogram(self, name, value):
        self._sock_send("%s%s:%s|ms" % (self.prefix, name, value))

    def _sock_send(self, msg):
        if self.dogstatsd_tags:
            msg += "|#" + self.dogstatsd_tags
        try:
            if self.sock:
                self.sock.send(msg.encode("ascii", "replace"))
        except OSError:
            pass  # nobody listens, which the server's own metrics have said already
