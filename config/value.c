#include "config/value.h"

#include "base/mem.h"
#include "config/strings.h"

#include <licorne/error.h>

#include <ctype.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* --- numbers --- */

enum number_rule {
    DECIMAL,    /* Python's int(text)                                         */
    PREFIXED,   /* … or 0x, 0o, 0b before the digits                          */
    OCTAL_BY_0, /* … and a leading 0 means octal, as chmod has it             */
    NOT_BY_0,   /* … or is refused, where it could be taken for either        */
};

enum number_problem { NONE, NOT_A_NUMBER, TOO_LARGE };

static enum number_rule rule_for(const struct lc_setting *setting,
                                 enum lc_origin_kind kind)
{
    bool is_mode = setting->type == LC_MODE;

    switch (kind) {
    case LC_FROM_ARGUMENTS: return is_mode ? OCTAL_BY_0 : DECIMAL;
    case LC_FROM_ENVIRONMENT: return DECIMAL;
    case LC_FROM_FILE: return is_mode ? NOT_BY_0 : PREFIXED;
    case LC_FROM_DEFAULT: break;
    }
    return OCTAL_BY_0;
}

/* Takes a prefix off; -1 where a leading zero is not allowed. */
static int base_of(const char **digits, enum number_rule rule)
{
    const char *at = *digits;

    if (rule == DECIMAL || at[0] != '0' || at[1] == '\0')
        return 10;
    *digits += 2;
    switch (tolower((unsigned char)at[1])) {
    case 'x': return 16;
    case 'o': return 8;
    case 'b': return 2;
    }
    *digits = at;
    if (rule == NOT_BY_0 && at[strspn(at, "0")] != '\0')
        return -1;
    return rule == OCTAL_BY_0 ? 8 : 10;
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

/* "64K", "512M", "2G"; false when the product is too large. */
static bool take_unit(const char **at, int64_t *value)
{
    static const char units[] = "KMG";
    const char *unit = **at == '\0' ? NULL : strchr(units, toupper((unsigned char)**at));

    if (unit == NULL)
        return true;
    ++*at;
    return !__builtin_mul_overflow(*value, (int64_t)1 << (10 * (unit - units + 1)),
                                   value);
}

/* As Python's int(): blanks around, a sign, single underscores between digits. */
static enum number_problem parse_number(const char *text, enum number_rule rule,
                                        bool has_unit, int64_t *out)
{
    const char *at = text + strspn(text, " \t\r\n");
    int64_t value = 0;
    bool is_negative = *at == '-';
    bool is_large = false;

    if (*at == '-' || *at == '+')
        at++;
    int base = base_of(&at, rule);
    if (base < 0 || digit_value(*at) >= base)
        return NOT_A_NUMBER;
    for (; digit_value(*at) < base; at++) {
        is_large = is_large || __builtin_mul_overflow(value, base, &value) ||
                   __builtin_add_overflow(value, digit_value(*at), &value);
        if (at[1] == '_' && digit_value(at[2]) < base)
            at++;
    }
    if (has_unit)
        is_large = !take_unit(&at, &value) || is_large;
    if (at[strspn(at, " \t\r\n")] != '\0')
        return NOT_A_NUMBER;
    if (is_large)
        return TOO_LARGE;
    *out = is_negative ? -value : value;
    return NONE;
}

static bool is_number_type(enum lc_setting_type type)
{
    return type == LC_INT || type == LC_SECONDS || type == LC_BYTES || type == LC_MODE;
}

bool lc_value_is_well_formed(const struct lc_setting *setting, enum lc_origin_kind kind,
                             const char *text)
{
    int64_t ignored;

    return !is_number_type(setting->type) ||
           parse_number(text, rule_for(setting, kind), setting->type == LC_BYTES,
                        &ignored) != NOT_A_NUMBER;
}

static const char *why_no_number(const struct lc_setting *setting, const char *text)
{
    char *end;

    if (setting->type == LC_MODE && *text == '0')
        return "is no mode: write 0o022 for octal, 18 for decimal";
    strtod(text, &end);
    return *text != '\0' && *end == '\0' ? "is not a whole number" : "is not a number";
}

/* --- one function for each type --- */

/* What the functions below need to know; `text` is the one value, blanks around it removed. */
struct given {
    const struct lc_assignment *from;
    const char *text;
    void *field;
    struct lc_error *err;
};

static int wrong(const struct given *g, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int wrong(const struct given *g, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    LC_AUTOFREE char *text = lc_vprintf(format, args);
    va_end(args);
    return lc_setting_wrong(g->from->setting, &g->from->origin, g->err, "%s", text);
}

static int64_t most_of(enum lc_setting_type type)
{
    return type == LC_MODE ? 0777 : type == LC_BYTES ? (int64_t)1 << 60 : INT32_MAX;
}

static int assign_number(const struct given *g)
{
    const struct lc_setting *setting = g->from->setting;
    int64_t most = most_of(setting->type);
    int64_t value;

    switch (parse_number(g->text, rule_for(setting, g->from->origin.kind),
                         setting->type == LC_BYTES, &value)) {
    case NONE: break;
    case NOT_A_NUMBER:
        return wrong(g, "'%s' %s", g->text, why_no_number(setting, g->text));
    case TOO_LARGE: value = *g->text == '-' ? -1 : INT64_MAX; break;
    }
    if (value < 0)
        return wrong(g, "%s is negative: 0 or more is needed", g->text);
    if (value > most && setting->type == LC_MODE)
        return wrong(g, "%s is too large: at most 0777", g->text);
    if (value > most)
        return wrong(g, "%s is too large: at most %lld", g->text, (long long)most);
    *(int64_t *)g->field = value;
    return 0;
}

static bool is_one_of(const char *text, const char *const words[3])
{
    for (int i = 0; i < 3; i++)
        if (strcasecmp(text, words[i]) == 0)
            return true;
    return false;
}

static int assign_bool(const struct given *g)
{
    static const char *const yes[] = {"true", "yes", "on"}, *const no[] = {"false", "no",
                                                                           "off"};
    bool is_true = is_one_of(g->text, yes);

    /* The SENDFILE variable has more words, and anything else means no. */
    if (g->from->origin.kind == LC_FROM_ENVIRONMENT)
        is_true = is_true || strcasecmp(g->text, "y") == 0 || strcmp(g->text, "1") == 0;
    else if (!is_true && !is_one_of(g->text, no))
        return wrong(g, "'%s' is neither true (yes, on) nor false (no, off)", g->text);
    *(bool *)g->field = is_true;
    return 0;
}

static bool is_digits(const char *text)
{
    return *text != '\0' && text[strspn(text, "0123456789")] == '\0';
}

/* uid_t and gid_t have 32 bits, and the last of them means "leave it". */
static int assign_id(const struct given *g)
{
    int64_t id;

    if (parse_number(g->text, DECIMAL, false, &id) != NONE || id >= UINT32_MAX)
        return wrong(g, "%s is too large", g->text);
    *(int64_t *)g->field = id;
    return 0;
}

static int assign_user(const struct given *g)
{
    const struct passwd *found;

    if (is_digits(g->text))
        return assign_id(g);
    found = getpwnam(g->text);
    if (found == NULL)
        return wrong(g, "there is no user '%s'", g->text);
    *(int64_t *)g->field = found->pw_uid;
    return 0;
}

static int assign_group(const struct given *g)
{
    const struct group *found;

    if (is_digits(g->text))
        return assign_id(g);
    found = getgrnam(g->text);
    if (found == NULL)
        return wrong(g, "there is no group '%s'", g->text);
    *(int64_t *)g->field = (int64_t)found->gr_gid;
    return 0;
}

static int assign_string(const struct given *g)
{
    char **field = g->field;
    /* An empty text is a way to say None, where None is what the setting begins as. */
    bool is_none = *g->text == '\0' && g->from->setting->value == NULL;

    free(*field);
    *field = is_none ? NULL : lc_strdup(g->text);
    return 0;
}

static char *stripped(const char *text)
{
    size_t len;

    while (isspace((unsigned char)*text))
        text++;
    len = strlen(text);
    while (len > 0 && isspace((unsigned char)text[len - 1]))
        len--;
    return lc_strndup(text, len);
}

static int assign_list(const struct given *g)
{
    const struct lc_assignment *from = g->from;
    struct lc_strings *field = g->field;

    lc_strings_clear(field);
    /* Without an item in a file it is empty; on the command line '' is an item. */
    if (from->origin.kind == LC_FROM_FILE && from->values.count == 1 && *g->text == '\0')
        return 0;
    for (size_t i = 0; i < from->values.count; i++)
        lc_strings_take(field, stripped(from->values.items[i]));
    return 0;
}

int lc_value_assign(struct lc_config *config, const struct lc_assignment *assignment,
                    struct lc_error *err)
{
    static int (*const assign[])(const struct given *) = {
        [LC_STRING] = assign_string, [LC_LIST] = assign_list,
        [LC_INT] = assign_number,    [LC_SECONDS] = assign_number,
        [LC_BYTES] = assign_number,  [LC_MODE] = assign_number,
        [LC_BOOL] = assign_bool,     [LC_USER] = assign_user,
        [LC_GROUP] = assign_group,
    };
    const struct lc_setting *setting = assignment->setting;
    const struct lc_strings *values = &assignment->values;
    struct given g = {
        .from = assignment, .field = lc_setting_field(setting, config), .err = err};

    lc_assert(values->count > 0);
    /* A flag that is given again counts anew; a file's line that goes on is a mistake. */
    if (values->count > 1 && setting->type != LC_LIST)
        return wrong(&g,
                     "one value is needed, not %zu lines (a line that begins with a "
                     "blank goes on with the value before it)",
                     values->count);

    LC_AUTOFREE char *text = stripped(values->items[0]);
    g.text = text;
    return assign[setting->type](&g);
}

void lc_value_default(struct lc_config *config, const struct lc_setting *setting)
{
    struct lc_assignment none = {.setting = setting};

    lc_value_clear(config, setting);
    if (setting->value != NULL) {
        struct lc_error err;

        lc_strings_add(&none.values, setting->value);
        lc_assert(lc_value_assign(config, &none, &err) == 0);
        lc_strings_clear(&none.values);
    } else if (setting->type == LC_USER) {
        *(int64_t *)lc_setting_field(setting, config) = geteuid();
    } else if (setting->type == LC_GROUP) {
        *(int64_t *)lc_setting_field(setting, config) = getegid();
    }
}

/* --- whole fields --- */

void lc_value_clear(struct lc_config *config, const struct lc_setting *setting)
{
    void *field = lc_setting_field(setting, config);

    switch (setting->type) {
    case LC_STRING:
        free(*(char **)field);
        *(char **)field = NULL;
        break;
    case LC_LIST: lc_strings_clear(field); break;
    case LC_BOOL: *(bool *)field = false; break;
    case LC_INT:
    case LC_SECONDS:
    case LC_BYTES:
    case LC_MODE:
    case LC_USER:
    case LC_GROUP: *(int64_t *)field = 0; break;
    }
}

bool lc_value_equal(const struct lc_setting *setting, const struct lc_config *a,
                    const struct lc_config *b)
{
    const void *left = lc_setting_field(setting, a);
    const void *right = lc_setting_field(setting, b);

    switch (setting->type) {
    case LC_STRING: {
        const char *x = *(char *const *)left, *y = *(char *const *)right;
        return x == NULL || y == NULL ? x == y : strcmp(x, y) == 0;
    }
    case LC_LIST: return lc_strings_equal(left, right);
    case LC_BOOL: return *(const bool *)left == *(const bool *)right;
    case LC_INT:
    case LC_SECONDS:
    case LC_BYTES:
    case LC_MODE:
    case LC_USER:
    case LC_GROUP: break;
    }
    return *(const int64_t *)left == *(const int64_t *)right;
}

void lc_value_copy(const struct lc_setting *setting, struct lc_config *to,
                   const struct lc_config *from)
{
    const void *source = lc_setting_field(setting, from);
    void *field = lc_setting_field(setting, to);

    lc_value_clear(to, setting);
    switch (setting->type) {
    case LC_STRING: *(char **)field = lc_strdup(*(char *const *)source); break;
    case LC_LIST: lc_strings_copy(field, source); break;
    case LC_BOOL: *(bool *)field = *(const bool *)source; break;
    case LC_INT:
    case LC_SECONDS:
    case LC_BYTES:
    case LC_MODE:
    case LC_USER:
    case LC_GROUP: *(int64_t *)field = *(const int64_t *)source; break;
    }
}

/* --- as text --- */

static void put_char(FILE *out, unsigned char c, char quote)
{
    if (quote != '\0' && (c == '\\' || c == (unsigned char)quote))
        fprintf(out, "\\%c", c);
    else if (c == '\n')
        fputs("\\n", out);
    else if (c == '\t')
        fputs("\\t", out);
    else if (c < 0x20 || c == 0x7f)
        fprintf(out, "\\x%02x", c);
    else
        fputc(c, out);
}

/* Control bytes are written so that each setting stays one line. */
static void put_string(FILE *out, const char *text)
{
    for (; *text != '\0'; text++)
        put_char(out, (unsigned char)*text, '\0');
}

static void put_quoted(FILE *out, const char *text)
{
    char quote = strchr(text, '\'') != NULL && strchr(text, '"') == NULL ? '"' : '\'';

    fputc(quote, out);
    for (; *text != '\0'; text++)
        put_char(out, (unsigned char)*text, quote);
    fputc(quote, out);
}

static void put_list(FILE *out, const struct lc_strings *list)
{
    fputc('[', out);
    for (size_t i = 0; i < list->count; i++) {
        fputs(i == 0 ? "" : ", ", out);
        put_quoted(out, list->items[i]);
    }
    fputc(']', out);
}

char *lc_value_text(const struct lc_setting *setting, const struct lc_config *config)
{
    const void *field = lc_setting_field(setting, config);
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    lc_assert(out != NULL);
    switch (setting->type) {
    case LC_STRING:
        put_string(out, *(char *const *)field == NULL ? "None" : *(char *const *)field);
        break;
    case LC_LIST: put_list(out, field); break;
    case LC_BOOL: fputs(*(const bool *)field ? "True" : "False", out); break;
    case LC_INT:
    case LC_SECONDS:
    case LC_BYTES:
    case LC_MODE:
    case LC_USER:
    case LC_GROUP: fprintf(out, "%lld", (long long)*(const int64_t *)field); break;
    }
    fclose(out);
    return text;
}
