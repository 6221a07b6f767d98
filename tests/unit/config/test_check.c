#include "given_config.h"

#include "config/settings.h"

#define NOT_AVAILABLE "not available in this version of Licorne: "

/* Something that is not the default. */
static const char *other_value(const struct lc_setting *setting)
{
    switch (setting->type) {
    case LC_BOOL: return strcmp(setting->value, "true") == 0 ? "false" : "true";
    case LC_STRING:
    case LC_LIST: return "other";
    case LC_INT:
    case LC_SECONDS:
    case LC_BYTES:
    case LC_MODE:
    case LC_USER:
    case LC_GROUP: break;
    }
    return "77";
}

static void every_setting_that_is_not_there_yet_is_refused_by_name(void **state)
{
    struct given *g = *state;
    size_t refused = 0;

    for (size_t i = 0; i < LC_SETTING_COUNT; i++) {
        const struct lc_setting *setting = &lc_settings[i];

        if (setting->refused == NULL)
            continue;
        LC_AUTOFREE char *file = lc_printf("[server]\n%s = %s\n", setting->name,
                                           other_value(setting));
        LC_AUTOFREE char *text = lc_printf("shop.ini:2: %s: " NOT_AVAILABLE "%s",
                                           setting->name, setting->refused);

        given_file(g, "shop.ini", file);
        assert_refused(text, "-c", "shop.ini");
        refused++;
    }
    assert_true(refused > 0);
}

static void a_refused_setting_may_be_given_its_default(void **state)
{
    for (size_t i = 0; i < LC_SETTING_COUNT; i++) {
        const struct lc_setting *setting = &lc_settings[i];

        if (setting->refused == NULL || setting->type == LC_MODE)
            continue;
        LC_AUTOFREE char *file = lc_printf("[server]\n%s = %s\n", setting->name,
                                           setting->value == NULL ? "" : setting->value);

        given_file(*state, "shop.ini", file);
        if (loaded("-c", "shop.ini") == NULL)
            fail_msg("%s", ((struct given *)*state)->err.text);
    }
}

static void a_refusal_names_the_source(void **state)
{
    assert_refused("dirty_workers (--dirty-workers on the command line): " NOT_AVAILABLE
                   "there is no pool of dirty workers yet",
                   "--dirty-workers", "2");
}

static void sync_and_gthread_are_the_kinds_of_workers(void **state)
{
    assert_false(lc_config_is_threaded(loaded("-k", "sync", "--threads", "1")));
    assert_true(lc_config_is_threaded(loaded("-k", "gthread", "--threads", "1")));
    assert_refused(
        "worker_class (--worker-class on the command line): 'gevent' is not "
        "available in this version of Licorne: only sync and gthread are, of which "
        "gthread with threads = N serves N requests at a time",
        "-k", "gevent");
    assert_refused(
        "worker_class (--worker-class on the command line): 'gthred' is not "
        "available in this version of Licorne: only sync and gthread are (did you "
        "mean 'gthread'?)",
        "-k", "gthred");
}

static void gunicorns_other_names_for_them_are_known(void **state)
{
    assert_string_equal(loaded("-k", "gunicorn.workers.sync.SyncWorker")->worker_class,
                        "sync");
    assert_string_equal(loaded("-k", "egg:gunicorn#sync")->worker_class, "sync");
    assert_true(lc_config_is_threaded(loaded("-k", "egg:gunicorn#gthread")));
    assert_true(
        lc_config_is_threaded(loaded("-k", "gunicorn.workers.gthread.ThreadWorker")));
}

static void more_threads_than_one_mean_gthread(void **state)
{
    assert_true(lc_config_is_threaded(loaded("--threads", "2")));
    assert_true(lc_config_is_threaded(loaded("-k", "sync", "--threads", "128")));
    assert_int_equal(loaded("-k", "sync", "--threads", "0")->threads, 1);
    assert_refused(
        "threads (--threads on the command line): 0: a gthread worker needs at least "
        "one",
        "-k", "gthread", "--threads", "0");
    assert_refused("threads (--threads on the command line): 129 are too many: at most "
                   "128",
                   "--threads", "129");
}

static void limits_are_brought_into_gunicorns_bounds(void **state)
{
    const struct lc_config *config = loaded("--limit-request-line", "9000",
                                            "--limit-request-fields", "40000",
                                            "--limit-request-field_size", "0");

    assert_int_equal(config->limit_request_line, 8190);
    assert_int_equal(config->limit_request_fields, 32768);
    assert_int_equal(config->limit_request_field_size, 8190);
    config = loaded("--limit-request-line", "0", "--limit-request-fields", "0",
                    "--limit-request-field_size", "100000");
    assert_int_equal(config->limit_request_line, 0);
    assert_int_equal(config->limit_request_fields, 32768);
    assert_int_equal(config->limit_request_field_size, 100000);
}

static void a_body_may_be_larger_than_an_int(void **state)
{
    assert_true(loaded("--limit-request-body", "8589934592")->limit_request_body ==
                INT64_C(8589934592));
    assert_int_equal(loaded(NULL)->limit_request_body, 0);
    assert_refused("limit_request_body (--limit-request-body on the command line): -1 is "
                   "negative: 0 or more is needed",
                   "--limit-request-body", "-1");
    assert_refused("limit_request_body (--limit-request-body on the command line): "
                   "99999999999999999999 is too large: at most 1152921504606846976",
                   "--limit-request-body", "99999999999999999999");
}

static void trusted_proxies_are_addresses_and_networks(void **state)
{
    setenv("FORWARDED_ALLOW_IPS", "*", 1);
    assert_string_equal(loaded(NULL)->forwarded_allow_ips, "*");
    setenv("FORWARDED_ALLOW_IPS", "10.0.0.1/8", 1);
    assert_refused("forwarded_allow_ips (environment variable FORWARDED_ALLOW_IPS): "
                   "'10.0.0.1/8' has host bits set",
                   NULL);
    unsetenv("FORWARDED_ALLOW_IPS");
    assert_non_null(loaded("--forwarded-allow-ips", "10.0.0.0/8,::1"));
    assert_refused("proxy_allow_ips (--proxy-allow-from on the command line): "
                   "'localhost' is no IP address or network: write 10.0.0.1, 10.0.0.0/8, "
                   "::1 or *",
                   "--proxy-allow-from", "localhost");
}

static void words_are_read_in_any_case_and_kept_in_one(void **state)
{
    static const char *const versions[][2] = {
        {"OFF", "off"}, {"False", "off"}, {"0", "off"},     {"none", "off"}, {"V1", "v1"},
        {"v2", "v2"},   {"auto", "auto"}, {"True", "auto"}, {"1", "auto"},
    };

    for (size_t i = 0; i < LC_COUNT(versions); i++)
        assert_string_equal(loaded("--proxy-protocol", versions[i][0])->proxy_protocol,
                            versions[i][1]);
    assert_string_equal(loaded("--proxy-protocol")->proxy_protocol, "auto");
    assert_string_equal(loaded("--header-map", "Refuse")->header_map, "refuse");
    assert_refused("proxy_protocol (--proxy-protocol on the command line): 'v3' is none "
                   "of off, v1, v2, auto",
                   "--proxy-protocol=v3");
    assert_refused("header_map (--header-map on the command line): 'keep' is none of "
                   "drop, refuse, dangerous",
                   "--header-map", "keep");
}

static void names_of_header_fields_are_checked(void **state)
{
    assert_non_null(loaded("--forwarder-headers", "SCRIPT_NAME, REMOTE_USER,*"));
    assert_refused("forwarder_headers (--forwarder-headers on the command line): "
                   "'REMOTE USER' is no name of a header field",
                   "--forwarder-headers", "A,REMOTE USER");
    given_file(*state, "shop.ini",
               "[server]\nsecure_scheme_headers = X-FORWARDED-PROTO=https, X-S=on\n");
    assert_non_null(loaded("-c", "shop.ini"));
    given_file(*state, "shop.ini", "[server]\nsecure_scheme_headers = {'A' 'b'}\n");
    assert_refused("shop.ini:2: secure_scheme_headers: a colon is missing at ''b'}': "
                   "write NAME=value, NAME=value or {'NAME': 'value'}",
                   "-c", "shop.ini");
}

static void addresses_are_read_before_anything_starts(void **state)
{
    assert_refused("bind (--bind on the command line): 'a:b': 'b' is not a valid port "
                   "number.",
                   "-b", "a:1", "-b", "a:b");
    setenv("PORT", "", 1);
    assert_refused("bind (environment variable PORT): '0.0.0.0:': '' is not a valid port "
                   "number.",
                   NULL);
}

static void directories_must_exist(void **state)
{
    struct given *g = *state;
    LC_AUTOFREE char *text = lc_printf("chdir (--chdir on the command line): there is no "
                                       "directory '%s/nope'",
                                       g->dir);
    LC_AUTOFREE char *sub = lc_printf("%s/sub", g->dir);

    assert_refused(text, "--chdir", "nope");
    assert_refused("worker_tmp_dir (--worker-tmp-dir on the command line): there is no "
                   "directory '/nope'",
                   "--worker-tmp-dir", "/nope");
    assert_refused("tmp_upload_dir (--tmp-upload-dir on the command line): there is no "
                   "directory '/nope'",
                   "--tmp-upload-dir", "/nope");
    assert_int_equal(mkdir(sub, 0700), 0);
    assert_non_null(loaded("--worker-tmp-dir", "sub", "--tmp-upload-dir", sub));
}

static void raw_env_needs_names_and_values(void **state)
{
    assert_non_null(loaded("-e", "A=", "-e", "B=x=y"));
    assert_refused("raw_env (--env on the command line): 'A' is not NAME=VALUE", "-e",
                   "A");
    assert_refused("raw_env (--env on the command line): '=A' is not NAME=VALUE", "-e",
                   "=A");
}

static void the_rest_of_the_rules_hold(void **state)
{
    assert_refused("workers (--workers on the command line): 513 are too many: at most "
                   "512",
                   "-w", "513");
    assert_int_equal(loaded("-w", "0")->workers, 0);
    assert_refused("worker_connections (--worker-connections on the command line): 0: a "
                   "worker must be allowed at least one connection",
                   "--worker-connections", "0");
    assert_non_null(loaded("--http-parser", "FAST"));
    assert_refused("http_parser (--http-parser on the command line): 'x' is none of "
                   "auto, fast, python",
                   "--http-parser", "x");
    assert_refused("errorlog (--log-file on the command line): a file, or - for "
                   "stderr, is needed",
                   "--log-file", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_setting_that_is_not_there_yet_is_refused_by_name),
        TEST(a_refused_setting_may_be_given_its_default),
        TEST(a_refusal_names_the_source),
        TEST(sync_and_gthread_are_the_kinds_of_workers),
        TEST(gunicorns_other_names_for_them_are_known),
        TEST(more_threads_than_one_mean_gthread),
        TEST(limits_are_brought_into_gunicorns_bounds),
        TEST(a_body_may_be_larger_than_an_int),
        TEST(trusted_proxies_are_addresses_and_networks),
        TEST(words_are_read_in_any_case_and_kept_in_one),
        TEST(names_of_header_fields_are_checked),
        TEST(addresses_are_read_before_anything_starts),
        TEST(directories_must_exist),
        TEST(raw_env_needs_names_and_values),
        TEST(the_rest_of_the_rules_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
