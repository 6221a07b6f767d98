import os

bind = ":" + str(os.environ.get("PORT", 8080))
threads = int(os.environ.get("GUNICORN_THREADS", 2))
workers = int(os.environ.get("WEB_CONCURRENCY", 2))
accesslog = "-"
access_log_format = (
    '{"remote_ip":"%(h)s","request_id":"%({X-Request-Id}i)s","response_code":"%(s)s",'
    '"request_method":"%(m)s","request_path":"%(U)s","request_querystring":"%(q)s",'
    '"request_timetaken":"%(D)s","response_length":"%(B)s","agent":"%(a)s"}'
)
