bind = "0.0.0.0:8443"
certfile = "/etc/ssl/certs/server.crt"
keyfile = "/etc/ssl/private/server.key"
