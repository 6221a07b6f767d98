"""ssl_context(cfg): the context that the settings describe."""


def ssl_context(conf):
    import ssl

    def default():
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=conf.ca_certs)
        context.load_cert_chain(certfile=conf.certfile, keyfile=conf.keyfile)
        context.verify_mode = ssl.VerifyMode(int(conf.cert_reqs))
        if conf.ciphers:
            context.set_ciphers(conf.ciphers)
        return context

    return conf.ssl_context(conf, default) if conf.ssl_context else default()
