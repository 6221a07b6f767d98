"""The hook ssl_context(config, default_ssl_context_factory).

Connections are encrypted by the server itself. The hook is called once for each reading of the
configuration, with a context that keeps rules and no keys: what the hook changes in it becomes
the server's rule. What cannot be carried over is refused where it is asked for.
"""
import ssl

LEAST = ssl.TLSVersion.TLSv1_2


def _refused(what, instead):
    def method(self, *args, **kwargs):
        raise NotImplementedError("%s: connections are encrypted by the server itself; %s"
                                  % (what, instead))
    return method


def _refused_property(what, instead):
    return property(lambda self: None, _refused(what, instead))


class Context(ssl.SSLContext):
    NO_SUCH_SETTING = "there is no setting for this"
    BY_NAME = "each name's certificate is chosen by the server"

    load_cert_chain = _refused("load_cert_chain", "set certfile and keyfile")
    load_verify_locations = _refused("load_verify_locations", "set ca_certs")
    load_default_certs = _refused("load_default_certs", "set ca_certs")
    set_default_verify_paths = _refused("set_default_verify_paths", "set ca_certs")
    set_servername_callback = _refused("set_servername_callback", BY_NAME)
    sni_callback = _refused_property("sni_callback", BY_NAME)
    set_ecdh_curve = _refused("set_ecdh_curve", NO_SUCH_SETTING)
    load_dh_params = _refused("load_dh_params", NO_SUCH_SETTING)
    keylog_filename = _refused_property("keylog_filename", NO_SUCH_SETTING)
    num_tickets = _refused_property("num_tickets", NO_SUCH_SETTING)
    set_psk_server_callback = _refused("set_psk_server_callback", NO_SUCH_SETTING)

    def set_alpn_protocols(self, alpn_protocols):
        if list(alpn_protocols) != ["http/1.1"]:
            raise NotImplementedError("set_alpn_protocols: only http/1.1 is spoken")


def _default(conf):
    context = Context(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = LEAST
    context.verify_mode = ssl.VerifyMode(int(conf.cert_reqs))
    if conf.ciphers:
        context.set_ciphers(conf.ciphers)
    return context


def _ciphers(context):
    """For TLS 1.2; those of 1.3 cannot be chosen."""
    return ":".join(cipher["name"] for cipher in context.get_ciphers()
                    if cipher["protocol"] != "TLSv1.3")


def _version(context, name):
    version = getattr(context, name)
    if version in (ssl.TLSVersion.MINIMUM_SUPPORTED, ssl.TLSVersion.MAXIMUM_SUPPORTED):
        return 0
    if version < LEAST:
        raise ValueError("%s: TLS 1.2 is the least that is spoken" % name)
    return int(version)


def rules(conf):
    """(least version, greatest, verify_mode, options that are set, that are cleared, ciphers) as
    the hook wants them; 0, -1 or None where it leaves all to the settings."""
    context = conf.ssl_context(conf, lambda: _default(conf))
    if not isinstance(context, Context):
        raise TypeError("it has to return what default_ssl_context_factory() has returned, not "
                        + type(context).__name__)
    usual = _default(conf)
    for name in ("verify_flags", "post_handshake_auth"):
        if getattr(context, name) != getattr(usual, name):
            raise NotImplementedError("%s: %s" % (name, Context.NO_SUCH_SETTING))
    verifies = int(context.verify_mode)
    if verifies and not conf.ca_certs:
        raise ValueError("verify_mode: set ca_certs, the authorities whose clients are let in")
    ciphers = _ciphers(context)
    return (_version(context, "minimum_version"), _version(context, "maximum_version"),
            -1 if verifies == int(conf.cert_reqs) else verifies,
            int(context.options) & ~int(usual.options),
            int(usual.options) & ~int(context.options),
            None if ciphers == _ciphers(usual) else ciphers)
