bind = "0.0.0.0:8000"
worker_class = "gevent"
worker_connections = 1000
workers = 4
