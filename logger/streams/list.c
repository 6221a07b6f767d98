#include "logger/streams/streams.h"

#include <stddef.h>

const struct lc_stream_ops *const lc_stream_types[] = {
    &lc_stream_file, &lc_stream_stdout, &lc_stream_stderr, &lc_stream_remote, NULL,
};
