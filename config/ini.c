#include "config/ini.h"

#include "base/mem.h"
#include "config/problems.h"
#include "config/source.h"
#include "config/strings.h"
#include "config/suggest.h"

#include <licorne/error.h>

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <string.h>

/* inih is built with lines of 200 bytes: a longer one is cut, its rest read as new lines. So it
 * never sees a long line: our reader hands it on in pieces, the later ones as continuation
 * lines which the handler glues together again. inih would also strip blanks from the ends of
 * a piece and see comments in it, so in continuations those bytes travel in disguise, as control
 * bytes that no file may hold. */
enum { LINE_LIMIT = 65536 };

static const char plain[] = " \t;#";
static const char disguised[] = "\x1c\x1d\x1e\x1f";
static const char disguised_semicolon[] = "\x1e";

struct reader {
    FILE *in;
    const char *name;
    struct lc_source *source;

    char *line; /* the line as it came */
    size_t line_room;
    char *rest; /* what inih has not seen of it */
    int number; /* of the line in the file */
    int section_number;
    bool is_glued;     /* inih now sees a later piece of a line               */
    bool continues;    /* … a line that goes on with the value before it      */
    bool is_in_option; /* a line that begins with a blank would do so         */
    bool failed;       /* no sense in going on                                */
    bool is_skipping;  /* an option that there is not                         */
    struct lc_error problems;
    int failed_at_call; /* … by the handler, at this piece                     */

    int *numbers; /* the line of each piece: inih counts pieces */
    int calls;

    const struct lc_setting *setting; /* the option that is being gathered */
    int setting_number;
    struct lc_strings values;
};

static int note(struct reader *r, int number, const char *text)
{
    struct lc_error err;

    lc_error_set(&err, LC_E_CONFIG, "%s:%d: %s", r->name, number, text);
    lc_problems_add(&r->problems, &err);
    return -1;
}

static int fail(struct reader *r, int number, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int fail(struct reader *r, int number, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    LC_AUTOFREE char *text = lc_vprintf(format, args);
    va_end(args);
    r->failed = true;
    return note(r, number, text);
}

/* The option is left out, and what follows is still looked at. */
static int skip(struct reader *r, int number, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int skip(struct reader *r, int number, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    LC_AUTOFREE char *text = lc_vprintf(format, args);
    va_end(args);
    note(r, number, text);
    r->is_skipping = true;
    return 0;
}

/* --- lines --- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_comment(const char *line)
{
    const char *text = line + strspn(line, " \t");

    if (*text == ';' || *text == '#')
        return true;
    return strncasecmp(line, "rem", 3) == 0 && (line[3] == '\0' || is_blank(line[3]));
}

static void disguise(char *text, const char *from, const char *to)
{
    for (; *text != '\0'; text++) {
        const char *found = strchr(from, *text);

        if (found != NULL)
            *text = to[found - from];
    }
}

/* What follows a blank and a semicolon is a comment; the first semicolon decides. Those that stay
 * are the value's, and inih must not take a later one for a comment. */
static void cut_comment(char *line)
{
    char *at = strchr(line, ';');
    char *value = strpbrk(line, "=:");

    if (at != NULL && at > line && is_blank(at[-1]))
        *at = '\0';
    else if (value != NULL)
        disguise(value, ";", disguised_semicolon);
}

static void trim_end(char *text, size_t len)
{
    while (len > 0 && is_blank(text[len - 1]))
        len--;
    text[len] = '\0';
}

/* 0, or -1: the line holds bytes that no configuration has. */
static int check_bytes(struct reader *r, size_t len)
{
    if (len > LINE_LIMIT)
        return fail(r, r->number, "the line is too long: %zu bytes, at most %d", len,
                    LINE_LIMIT);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)r->line[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return fail(r, r->number, "control byte 0x%02x", c);
    }
    return 0;
}

/* Decides what the line is, and leaves in `rest` what inih shall see of it. */
static void prepare(struct reader *r)
{
    char *text = r->line + strspn(r->line, " \t");

    r->continues = false;
    if (is_comment(r->line) || *text == '\0') {
        r->rest = text + strlen(text);
        return;
    }
    r->continues = is_blank(*r->line) && r->is_in_option;
    r->rest = text;
    if (r->continues) {
        disguise(text, plain, disguised);
        return;
    }
    r->is_in_option = *text != '[';
    if (r->is_in_option) {
        cut_comment(text);
    } else {
        r->section_number = r->number;
        text = strchr(text, ']');
        if (text != NULL)
            text[1] = '\0';
    }
}

/* False at the end of the file, or with r->failed. */
static bool next_line(struct reader *r)
{
    ssize_t got = getline(&r->line, &r->line_room, r->in);
    size_t len = got < 0 ? 0 : (size_t)got;

    if (got < 0) {
        if (ferror(r->in))
            fail(r, r->number + 1, "%s", strerror(errno));
        return false;
    }
    r->number++;
    if (len > 0 && r->line[len - 1] == '\n')
        len--;
    if (len > 0 && r->line[len - 1] == '\r')
        len--;
    if (r->number == 1 && len >= 3 && memcmp(r->line, "\xef\xbb\xbf", 3) == 0) {
        len -= 3;
        memmove(r->line, r->line + 3, len);
    }
    if (check_bytes(r, len) < 0)
        return false;
    trim_end(r->line, len);
    prepare(r);
    return true;
}

static void note_call(struct reader *r)
{
    if ((r->calls & (r->calls - 1)) == 0) { /* room for the next power of two */
        size_t room = r->calls == 0 ? 1 : 2 * (size_t)r->calls;
        r->numbers = lc_realloc(r->numbers, room * sizeof(*r->numbers));
    }
    r->numbers[r->calls++] = r->number;
}

/* How much of `rest` fits: a first piece must not end in a blank, which inih would strip. */
static size_t piece_len(const char *rest, size_t room)
{
    size_t len = strlen(rest);

    if (len <= room)
        return len;
    for (len = room; len > 1 && is_blank(rest[len - 1]);)
        len--;
    return len;
}

/* inih's fgets. Each piece ends in a newline: some versions drop what follows one that does
 * not. */
static char *read_piece(char *into, int size, void *stream)
{
    struct reader *r = stream;
    bool has_more = r->rest != NULL && *r->rest != '\0';
    size_t used = 0;

    if (r->failed || (!has_more && !next_line(r)))
        return NULL;
    r->is_glued = has_more;
    note_call(r);
    if (r->is_glued || r->continues)
        into[used++] = ' ';

    size_t len = piece_len(r->rest, (size_t)size - used - 3);
    memcpy(into + used, r->rest, len);
    memcpy(into + used + len, "\n", 2);
    r->rest += len;
    if (!r->continues && !r->is_glued)
        disguise(r->rest, plain, disguised);
    return into;
}

/* --- values --- */

static char *trimmed(const char *text)
{
    char *copy;

    text += strspn(text, " \t");
    copy = lc_strdup(text);
    trim_end(copy, strlen(copy));
    return copy;
}

static char *unquoted(const char *text, size_t len)
{
    char *copy = lc_malloc(len + 1), *out = copy;

    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\\' && i + 1 < len && text[i + 1] == '"')
            i++;
        *out++ = text[i];
    }
    *out = '\0';
    return copy;
}

/* `text` with every ${NAME} replaced; NULL with r->failed. */
static char *expanded(struct reader *r, const char *text)
{
    LC_AUTOFREE char *out = lc_strdup("");

    for (;;) {
        const char *open = strstr(text, "${");
        const char *close = open == NULL ? NULL : strchr(open, '}');

        if (close == NULL) {
            char *done = lc_printf("%s%s", out, text);
            return done;
        }
        LC_AUTOFREE char *name = lc_strndup(open + 2, (size_t)(close - open) - 2);
        const char *value = getenv(name);
        if (value == NULL) {
            fail(r, r->setting_number,
                 "%s: there is no environment variable '%s' for ${%s}", r->setting->name,
                 name, name);
            return NULL;
        }
        char *longer = lc_printf("%s%.*s%s", out, (int)(open - text), text, value);
        free(out);
        out = longer;
        text = close + 1;
    }
}

static char *converted(struct reader *r, const char *raw)
{
    LC_AUTOFREE char *text = trimmed(raw);
    size_t len = strlen(text);

    if (len >= 2 && text[0] == '"' && text[len - 1] == '"')
        return unquoted(text + 1, len - 2);
    if (strstr(text, "%(here)s") != NULL) {
        fail(r, r->setting_number,
             "%s: %%(here)s is not available in this version of Licorne",
             r->setting->name);
        return NULL;
    }
    return expanded(r, text);
}

/* The option is complete: it becomes an assignment. */
static int finish_option(struct reader *r)
{
    const struct lc_setting *setting = r->setting;
    struct lc_assignment *made;

    if (setting == NULL)
        return 0;

    LC_AUTOFREE char *place = lc_printf("%s:%d", r->name, r->setting_number);
    made = lc_source_add(r->source, setting, LC_FROM_FILE, place, NULL);
    for (size_t i = 0; i < r->values.count; i++) {
        /* Lines without text are no items of a list. */
        if (r->values.count > 1 && *r->values.items[i] == '\0')
            continue;
        char *value = converted(r, r->values.items[i]);
        if (value == NULL)
            return -1;
        lc_strings_take(&made->values, value);
    }
    lc_strings_clear(&r->values);
    r->setting = NULL;
    return 0;
}

/* --- options --- */

static int check_section(struct reader *r, const char *section)
{
    static const char *const later[] = {"DEFAULT", "proxies", "auth", "cef", "global"};
    static const char *const later_kinds[] = {
        "app:", "log:", "filter:", "pipeline:", "composite:", "host:"};
    struct lc_suggestion near;
    char hint[128];

    if (strcmp(section, "server") == 0)
        return 0;
    if (*section == '\0')
        return fail(r, r->number,
                    "an option before any section: [server] must come first");
    for (size_t i = 0; i < LC_COUNT(later); i++)
        if (strcmp(section, later[i]) == 0)
            return fail(r, r->section_number,
                        "[%s] is not available in this version of Licorne: only "
                        "[server] is",
                        section);
    for (size_t i = 0; i < LC_COUNT(later_kinds); i++)
        if (strncmp(section, later_kinds[i], strlen(later_kinds[i])) == 0)
            return fail(r, r->section_number,
                        "[%s] is not available in this version of Licorne: only "
                        "[server] is",
                        section);
    lc_suggestion_init(&near, section);
    lc_suggestion_offer(&near, "server");
    lc_suggestion_text(&near, hint, sizeof(hint));
    return fail(r, r->section_number, "there is no section [%s]%s", section, hint);
}

static int begin_option(struct reader *r, const char *section, const char *name)
{
    LC_AUTOFREE char *lower = lc_strdup(name);
    struct lc_suggestion near;
    char hint[128];

    if (check_section(r, section) < 0)
        return -1;
    for (char *at = lower; *at != '\0'; at++)
        *at = (char)tolower((unsigned char)*at);
    r->setting = lc_setting_find(lower);
    r->setting_number = r->number;
    if (r->setting != NULL)
        return 0;
    lc_suggestion_init(&near, lower);
    for (size_t i = 0; i < LC_SETTING_COUNT; i++)
        lc_suggestion_offer(&near, lc_settings[i].name);
    lc_suggestion_text(&near, hint, sizeof(hint));
    return skip(r, r->number, "there is no setting '%s'%s", name, hint);
}

static void glue(struct lc_strings *values, const char *more)
{
    char **last = &values->items[values->count - 1];
    char *longer = lc_printf("%s%s", *last, more);

    free(*last);
    *last = longer;
}

static int on_piece(struct reader *r, const char *section, const char *name,
                    const char *value)
{
    LC_AUTOFREE char *text = lc_strdup(value);

    disguise(text, disguised, plain);
    if (r->is_skipping && (r->is_glued || r->continues))
        return 0;
    r->is_skipping = false;
    if (r->setting != NULL && r->is_glued)
        glue(&r->values, text);
    else if (r->setting != NULL && r->continues)
        lc_strings_add(&r->values, text);
    else if (finish_option(r) < 0 || begin_option(r, section, name) < 0)
        return -1;
    else if (!r->is_skipping)
        lc_strings_add(&r->values, text);
    return 0;
}

/* inih's handler: nonzero is success. */
static int on_option(void *user, const char *section, const char *name, const char *value)
{
    struct reader *r = user;

    if (r->failed)
        return 0;
    if (on_piece(r, section, name, value) == 0)
        return 1;
    r->failed_at_call = r->calls;
    return 0;
}

int lc_ini_read(FILE *in, const char *name, struct lc_source *source,
                struct lc_error *err)
{
    struct reader r = {.in = in, .name = name, .source = source};
    /* The first piece that was wrong; inih goes on behind what it cannot read. */
    int wrong = ini_parse_stream(read_piece, &r, on_option, &r);

    if (wrong < 0) {
        fail(&r, r.number, "inih: error %d", wrong);
    } else if (wrong > 0 && !(r.failed && wrong == r.failed_at_call)) {
        if (r.failed) /* by a consequence of this */
            r.problems.code = LC_E_NONE;
        fail(&r, r.numbers[wrong - 1],
             "neither a [section] nor an option = value nor a comment");
    } else if (!r.failed) {
        finish_option(&r);
    }
    lc_strings_clear(&r.values);
    free(r.numbers);
    free(r.line);
    return lc_problems_tell(&r.problems, err);
}
