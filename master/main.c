/* master/main.c — the one file that knows all the rooms: it hands the master its roles. */
#include "master/master.h"

#include "app/script.h"
#include "base/inherit.h"
#include "config/script.h"
#include "logger/logger.h"
#include "worker/tls.h"
#include "worker/worker.h"

static const struct lc_role worker = {
    .name = "worker", .run = lc_worker_run, .check = lc_worker_check, .vet = lc_tls_vet};
static const struct lc_role logger = {.name = "logger", .run = lc_logger_run};
static const struct lc_roles roles = {.worker = &worker, .logger = &logger};

int main(int argc, char **argv)
{
    lc_script_set_finder(lc_script_ops_load);
    return lc_master_main(argc, argv, &roles);
}
