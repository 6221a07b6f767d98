/* Certificates and keys as bytes: from files, through a descriptor, and gone when wiped. */
#include "base/credentials.h"

#include "base/fd.h"
#include "base/mem.h"

#include <licorne/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64], certificate[96], key[96];

static void write_file(const char *path, const void *bytes, size_t len)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    fclose(file);
}

static int make_folder(void **state)
{
    strcpy(folder, "/tmp/licorne-credentials-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(certificate, sizeof(certificate), "%s/certificate", folder);
    snprintf(key, sizeof(key), "%s/key", folder);
    return 0;
}

static int remove_folder(void **state)
{
    unlink(certificate);
    unlink(key);
    return rmdir(folder);
}

static struct lc_credentials *read_both(struct lc_error *err)
{
    const struct lc_pem_file files[] = {
        {LC_PEM_CERTIFICATE, "certfile", certificate},
        {LC_PEM_KEY, "keyfile", key},
    };

    return lc_credentials_read(files, LC_COUNT(files), err);
}

static void assert_item(const struct lc_pem *item, enum lc_pem_kind kind,
                        const char *setting, const char *path, const char *text)
{
    LC_AUTOFREE char *name = lc_printf("%s = %s", setting, path);

    assert_int_equal(item->kind, kind);
    assert_string_equal(item->name, name);
    assert_true(lc_slice_equals(item->text, lc_slice(text)));
}

static void assert_both(const struct lc_credentials *credentials)
{
    assert_int_equal(credentials->count, 2);
    assert_item(&credentials->items[0], LC_PEM_CERTIFICATE, "certfile", certificate,
                "one");
    assert_item(&credentials->items[1], LC_PEM_KEY, "keyfile", key, "");
}

static void files_are_read_with_their_names(void **state)
{
    struct lc_error err;

    write_file(certificate, "one", 3);
    write_file(key, "", 0);
    struct lc_credentials *credentials = read_both(&err);
    assert_non_null(credentials);
    assert_both(credentials);
    lc_credentials_destroy(credentials);
}

static void a_missing_file_is_named(void **state)
{
    struct lc_error err;

    write_file(certificate, "one", 3);
    assert_null(read_both(&err));
    assert_int_equal(err.code, LC_E_CONFIG);
    assert_non_null(strstr(err.text, "keyfile = "));
    assert_non_null(strstr(err.text, "No such file or directory"));
}

static void a_fifo_is_refused_and_not_waited_for(void **state)
{
    struct lc_error err;

    assert_int_equal(mkfifo(certificate, 0600), 0);
    assert_null(read_both(&err));
    assert_non_null(strstr(err.text, "is not a regular file"));
}

static void a_huge_file_is_refused(void **state)
{
    struct lc_error err;

    write_file(certificate, "", 0);
    assert_int_equal(truncate(certificate, LC_PEM_FILE_MAX + 1), 0);
    assert_null(read_both(&err));
    assert_non_null(strstr(err.text, "is larger than 1024 KiB"));
}

static void what_was_exported_is_imported(void **state)
{
    struct lc_error err;

    write_file(certificate, "one", 3);
    write_file(key, "", 0);
    struct lc_credentials *mine = read_both(&err);
    LC_AUTOCLOSE int fd = lc_credentials_export(mine, &err);
    assert_true(fd >= 0);
    struct lc_credentials *theirs = lc_credentials_import(fd, &err);
    assert_non_null(theirs);
    assert_true(lc_credentials_equal(mine, theirs));
    lc_credentials_destroy(mine);
    assert_both(theirs);
    lc_credentials_destroy(theirs);
}

/* Every way of cutting or bending the bytes is seen; under ASan, nothing beyond is touched. */
static void a_malformed_export_is_refused(void **state)
{
    struct lc_error err;
    unsigned refused = 0;

    write_file(certificate, "one", 3);
    write_file(key, "two", 3);
    struct lc_credentials *good = read_both(&err);
    for (size_t len = 0; len < good->size; len++) {
        write_file(certificate, good->block, len);
        FILE *file = fopen(certificate, "r");
        struct lc_credentials *bad = lc_credentials_import(fileno(file), &err);
        fclose(file);
        refused += bad == NULL;
        lc_credentials_destroy(bad);
    }
    /* A block may end with its first item, and with no other byte. */
    assert_int_equal(refused, good->size - 1);

    for (size_t at = 0; at < 12; at++) {
        good->block[at] ^= (char)0x80;
        write_file(certificate, good->block, good->size);
        good->block[at] ^= (char)0x80;
        FILE *file = fopen(certificate, "r");
        assert_null(lc_credentials_import(fileno(file), &err));
        fclose(file);
    }
    lc_credentials_destroy(good);
}

static void wiped_credentials_hold_nothing(void **state)
{
    struct lc_error err;

    write_file(certificate, "one", 3);
    write_file(key, "two", 3);
    struct lc_credentials *credentials = read_both(&err);
    lc_credentials_wipe(credentials);
    assert_int_equal(credentials->count, 0);
    assert_null(credentials->block);
    lc_credentials_wipe(credentials);
    lc_credentials_destroy(credentials);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_are_read_with_their_names, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_missing_file_is_named, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_fifo_is_refused_and_not_waited_for, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_huge_file_is_refused, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(what_was_exported_is_imported, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_malformed_export_is_refused, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(wiped_credentials_hold_nothing, make_folder,
                                        remove_folder),
    };

    return cmocka_run_group_tests_name("credentials", tests, NULL, NULL);
}
