max_requests = 5
max_requests_jitter = 2
preload_app = True
workers = 2
