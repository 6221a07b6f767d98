/* secure_scheme_headers in its two forms. */
#include "config/scheme_headers.h"

#include "base/mem.h"

#include <licorne/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void is_read_as(const char *text, const char *expected)
{
    struct lc_scheme_headers headers;
    struct lc_error err = {0};
    char found[400] = "";

    if (lc_scheme_headers_parse(text, &headers, &err) < 0)
        fail_msg("%s: %s", text, err.text);
    for (size_t i = 0, n = 0; i < headers.count; i++)
        n += (size_t)snprintf(found + n, sizeof(found) - n, "[%.*s=%.*s]",
                              LC_ARG(headers.items[i].name),
                              LC_ARG(headers.items[i].value));
    assert_string_equal(found, expected);
    lc_scheme_headers_clear(&headers);
}

static void is_refused(const char *text, const char *why)
{
    struct lc_scheme_headers headers;
    struct lc_error err = {0};

    if (lc_scheme_headers_parse(text, &headers, &err) == 0)
        fail_msg("%s was taken", text);
    assert_int_equal(err.code, LC_E_CONFIG);
    if (strstr(err.text, why) == NULL)
        fail_msg("%s: %s", text, err.text);
    assert_null(headers.items);
    assert_null(headers.bytes);
}

static void pairs_are_separated_by_commas(void **state)
{
    is_read_as("X-FORWARDED-PROTO=https, X-Forwarded-Ssl = on ",
               "[X-FORWARDED-PROTO=https][X-Forwarded-Ssl=on]");
    is_read_as("Forwarded=proto=https", "[Forwarded=proto=https]");
    is_read_as("A=b,", "[A=b]");
    is_read_as("", "");
}

static void gunicorns_dictionary_is_understood(void **state)
{
    is_read_as("{'X-FORWARDED-PROTOCOL': 'ssl', 'X-FORWARDED-PROTO': 'https',\n"
               " \"X-FORWARDED-SSL\": \"on\"}",
               "[X-FORWARDED-PROTOCOL=ssl][X-FORWARDED-PROTO=https][X-FORWARDED-SSL=on]");
    is_read_as("{'A': 'it\\'s', 'B': \"it's\",}", "[A=it's][B=it's]");
    is_read_as(" { } ", "");
    is_read_as("{'A':'b, c=d'}", "[A=b, c=d]");
}

static void names_and_values_are_those_of_header_fields(void **state)
{
    is_refused("X Y=https", "'X Y' is no name of a header field");
    is_refused("=https", "'' is no name of a header field");
    is_refused("{'': 'b'}", "'' is no name of a header field");
    is_refused("A=", "A: '' is no value of a header field");
    is_refused("{'A': 'b\x01'}", "is no value of a header field");
    is_refused("A=b, a=c", "a is there twice");
}

static void what_has_another_form_is_refused(void **state)
{
    is_refused("https", "a = is missing at ''");
    is_refused("{'A' 'b'}", "a colon is missing at ''b'}'");
    is_refused("{'A': 'b' 'C': 'd'}", "a comma or } is missing");
    is_refused("{'A': b}", "a quoted text is missing at 'b}'");
    is_refused("{'A': 'b}", "a quotation is not closed");
    is_refused("{'A': '\\x41'}", "a quotation is not closed, or has an escape");
    is_refused("{'A': 'b'", "a comma or } is missing");
    is_refused("{'A': 'b'} {", "there is too much at '{'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_are_separated_by_commas),
        cmocka_unit_test(gunicorns_dictionary_is_understood),
        cmocka_unit_test(names_and_values_are_those_of_header_fields),
        cmocka_unit_test(what_has_another_form_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
