bind = "0.0.0.0:8000"
proxy_protocol = True
proxy_allow_ips = "*"
