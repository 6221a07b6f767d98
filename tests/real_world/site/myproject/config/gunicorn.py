import multiprocessing

workers = multiprocessing.cpu_count() + 1
threads = 2
proc_name = "from-a-module"
