import threading

preload_app = True
workers = 2


def post_fork(server, worker):
    server.log.info("Worker spawned (pid: %s)", worker.pid)

    # Exporters of traces and pools of connections run a thread, which does not survive a fork.
    def export():
        stop.wait(0.05)
        worker.log.info("exporting from %s", worker.pid)

    stop = threading.Event()
    threading.Thread(target=export, daemon=True).start()
