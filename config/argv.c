#include "config/argv.h"

#include "base/mem.h"
#include "config/choices.h"
#include "config/strings.h"
#include "config/suggest.h"
#include "config/value.h"

#include <licorne/error.h>

#include <getopt.h>
#include <stdio.h>
#include <string.h>

enum { FLAGS_MAX = 256, FIRST_LONG = 1000, NAMES_MAX = 64 };

struct known_flag {
    const struct lc_setting *setting; /* NULL: --help, --version */
    enum lc_config_action action;     /* … which of them         */
    struct lc_flag flag;
};

struct parser {
    int argc;
    char *const *argv;
    const char *place;
    struct lc_command *command;
    struct lc_error *err;

    struct known_flag known[FLAGS_MAX];
    size_t known_count;
    /* For getopt_long, with the index of `known` in val. */
    struct option longs[FLAGS_MAX];
    char shorts[3 * FLAGS_MAX];

    struct lc_strings unknown;
    enum { NO_WORD_YET, IN_WORDS, AFTER_WORDS } words;
};

/* --- what there is --- */

static int has_arg(enum lc_flag_kind kind)
{
    switch (kind) {
    case LC_FLAG_VALUE: return required_argument;
    case LC_FLAG_MAYBE: return optional_argument;
    case LC_FLAG_TRUE:
    case LC_FLAG_FALSE: break;
    }
    return no_argument;
}

static void know(struct parser *p, const struct lc_setting *setting,
                 enum lc_config_action action, const struct lc_flag *flag)
{
    struct known_flag *known = &p->known[p->known_count];
    static const char *const colons[] = {
        [no_argument] = "", [required_argument] = ":", [optional_argument] = "::"};

    lc_assert(p->known_count < FLAGS_MAX - 1); /* the last of `longs` ends the list */
    known->setting = setting;
    known->action = action;
    known->flag = *flag;
    if (known->flag.name[1] != '-') {
        size_t used = strlen(p->shorts);
        snprintf(p->shorts + used, sizeof(p->shorts) - used, "%c%s", known->flag.name[1],
                 colons[has_arg(flag->kind)]);
    }
    p->known_count++;
}

/* getopt's list of long flags holds those of `known` that begin with two dashes. */
static void list_longs(struct parser *p)
{
    size_t count = 0;

    for (size_t i = 0; i < p->known_count; i++)
        if (p->known[i].flag.name[1] == '-')
            p->longs[count++] = (struct option){
                .name = p->known[i].flag.name + 2,
                .has_arg = has_arg(p->known[i].flag.kind),
                .val = FIRST_LONG + (int)i,
            };
}

static void know_all(struct parser *p)
{
    static const struct {
        struct lc_flag flag;
        enum lc_config_action action;
    } others[] = {
        {{LC_FLAG_TRUE, "-h", ""}, LC_ACTION_HELP},
        {{LC_FLAG_TRUE, "--help", ""}, LC_ACTION_HELP},
        {{LC_FLAG_TRUE, "-v", ""}, LC_ACTION_VERSION},
        {{LC_FLAG_TRUE, "--version", ""}, LC_ACTION_VERSION},
    };

    /* "-": words come in their order; ":": a missing value is told from an unknown flag. */
    snprintf(p->shorts, sizeof(p->shorts), "-:");
    for (size_t i = 0; i < LC_COUNT(others); i++)
        know(p, NULL, others[i].action, &others[i].flag);
    for (size_t i = 0; i < LC_SETTING_COUNT; i++) {
        const char *at = lc_settings[i].flags;
        struct lc_flag flag;

        while (lc_flag_next(&lc_settings[i], &at, &flag))
            know(p, &lc_settings[i], LC_ACTION_SERVE, &flag);
    }
    list_longs(p);
}

static const struct known_flag *known_by(const struct parser *p, int val)
{
    if (val >= FIRST_LONG)
        return &p->known[val - FIRST_LONG];
    for (size_t i = 0; i < p->known_count; i++)
        if (p->known[i].flag.name[1] == val && p->known[i].flag.name[2] == '\0')
            return &p->known[i];
    return NULL;
}

/* --- what is wrong --- */

static int wrong_argument(struct parser *p, const struct known_flag *known,
                          const char *problem)
{
    char names[NAMES_MAX];

    if (known->setting != NULL)
        lc_flags_join(known->setting, names, sizeof(names));
    else
        snprintf(names, sizeof(names), "%s",
                 known->action == LC_ACTION_HELP ? "-h/--help" : "-v/--version");
    return lc_error_set(p->err, LC_E_USAGE, "argument %s: %s", names, problem);
}

/* Argparse takes a word for an option, not a value, if it begins with a dash; but a lone dash, a
 * negative number and what holds a blank are values. */
static bool looks_like_option(const char *word)
{
    if (word[0] != '-' || word[1] == '\0' || strchr(word, ' ') != NULL)
        return false;

    const char *digits = word + 1 + strspn(word + 1, "0123456789");
    if (digits == word + 1 && *digits != '.')
        return true;
    if (*digits == '\0')
        return false;
    if (*digits != '.' || strspn(digits + 1, "0123456789") == 0)
        return true;
    return digits[1 + strspn(digits + 1, "0123456789")] != '\0';
}

static void note_unknown(struct parser *p, const char *word)
{
    struct lc_strings *unknown = &p->unknown;

    /* getopt reports each letter of "-Zxy"; argparse the word. */
    if (unknown->count == 0 || strcmp(unknown->items[unknown->count - 1], word) != 0)
        lc_strings_add(unknown, word);
}

/* The long flags that `word` begins; `names` gets a list of them. */
static size_t count_matches(const struct parser *p, const char *word, char *names,
                            size_t size, const struct known_flag **match)
{
    size_t len = strcspn(word, "="), count = 0, used = 0;

    *names = '\0';
    for (size_t i = 0; i < p->known_count; i++) {
        const char *name = p->known[i].flag.name;

        if (name[1] != '-' || strncmp(name, word, len) != 0)
            continue;
        *match = &p->known[i];
        if (name[len] == '\0') /* all of it: no other counts */
            return 1;
        if (used < size)
            used += (size_t)snprintf(names + used, size - used, "%s%s",
                                     count == 0 ? "" : ", ", name);
        count++;
    }
    return count;
}

/* getopt does not say why it refused a word. */
static int on_refused(struct parser *p, const char *word)
{
    const struct known_flag *match = NULL;
    char names[1024];
    size_t matches;

    if (strncmp(word, "--", 2) != 0) {
        note_unknown(p, word);
        return 0;
    }
    matches = count_matches(p, word, names, sizeof(names), &match);
    if (matches > 1)
        return lc_error_set(p->err, LC_E_USAGE, "ambiguous option: %s could match %s",
                            word, names);
    if (matches == 1) {
        LC_AUTOFREE char *problem = lc_printf("ignored explicit argument '%s'",
                                              strchr(word, '=') + 1);
        return wrong_argument(p, match, problem);
    }
    note_unknown(p, word);
    return 0;
}

/* For the first unknown word; "--wrokers=3" counts without its value, and all dashes are the
 * same anyway. */
static void suggest(const struct parser *p, char *hint, size_t size)
{
    const char *word = p->unknown.items[0];
    struct lc_suggestion near;

    *hint = '\0';
    if (strncmp(word, "--", 2) != 0)
        return;

    LC_AUTOFREE char *name = lc_strndup(word + 2, strcspn(word + 2, "="));
    lc_suggestion_init(&near, name);
    for (size_t i = 0; i < p->known_count; i++)
        if (p->known[i].flag.name[1] == '-')
            lc_suggestion_offer(&near, p->known[i].flag.name + 2);
    if (near.best != NULL)
        snprintf(hint, size, " (did you mean --%s?)", near.best);
}

static int report_unknown(struct parser *p)
{
    LC_AUTOFREE char *all = lc_strdup("");
    char hint[128];

    if (p->unknown.count == 0)
        return 0;
    for (size_t i = 0; i < p->unknown.count; i++) {
        char *longer = lc_printf("%s%s%s", all, i == 0 ? "" : " ", p->unknown.items[i]);
        free(all);
        all = longer;
    }

    suggest(p, hint, sizeof(hint));
    return lc_error_set(p->err, LC_E_USAGE, "unrecognized arguments: %s%s", all, hint);
}

/* --- what is said --- */

static void on_word(struct parser *p, const char *word)
{
    /* Argparse gives all positionals that stand together to APP_MODULE, which needs one. */
    if (p->words == AFTER_WORDS) {
        note_unknown(p, word);
    } else if (p->words == NO_WORD_YET) {
        p->command->app = lc_strdup(word);
        p->words = IN_WORDS;
    }
}

static const char *value_of(const struct known_flag *known, const char *given)
{
    switch (known->flag.kind) {
    case LC_FLAG_VALUE: break;
    case LC_FLAG_MAYBE: return given != NULL ? given : known->flag.bare;
    case LC_FLAG_TRUE: return "true";
    case LC_FLAG_FALSE: return "false";
    }
    return given;
}

static int on_flag(struct parser *p, const struct known_flag *known, const char *given)
{
    const struct lc_setting *setting = known->setting;
    const char *value = value_of(known, given);
    struct lc_source *source = &p->command->source;
    struct lc_assignment *assignment = NULL;

    if (!lc_value_is_well_formed(setting, LC_FROM_ARGUMENTS, value)) {
        LC_AUTOFREE char *problem = lc_printf("invalid int value: '%s'", value);
        return wrong_argument(p, known, problem);
    }
    if (setting->type == LC_LIST)
        assignment = lc_source_find(source, setting);
    if (assignment == NULL) {
        struct lc_flag best = known->flag;
        const char *flags = setting->flags;

        while (best.name[1] != '-' && lc_flag_next(setting, &flags, &best))
            continue;
        assignment = lc_source_add(source, setting, LC_FROM_ARGUMENTS, p->place,
                                   best.name);
    }
    lc_strings_add(&assignment->values, value);
    return 0;
}

/* "--proxy-protocol v2": the next word is the option's value if it can be one. (Gunicorn takes it
 * whatever it is, and so fails on "--proxy-protocol shop:app".) */
static void take_optional_word(struct parser *p, const struct known_flag *known)
{
    if (known->flag.kind == LC_FLAG_MAYBE && optarg == NULL && optind < p->argc &&
        lc_choice(known->setting, p->argv[optind]) != NULL)
        optarg = p->argv[optind++];
}

/* One answer of getopt about the word at `at`. */
static int on_option(struct parser *p, int got, int at)
{
    const struct known_flag *known;

    if (p->words == IN_WORDS)
        p->words = AFTER_WORDS;
    if (got == '?')
        return on_refused(p, p->argv[at]);
    known = known_by(p, got == ':' ? optopt : got);
    lc_assert(known != NULL);
    if (got == ':')
        return wrong_argument(p, known, "expected one argument");
    if (known->setting == NULL) {
        p->command->action = known->action;
        return 0;
    }
    /* A value of its own word must not look like another option. */
    if (optarg != NULL && at + 1 < p->argc && optarg == p->argv[at + 1] &&
        looks_like_option(optarg))
        return wrong_argument(p, known, "expected one argument");
    take_optional_word(p, known);
    return on_flag(p, known, optarg);
}

static int read_words(struct parser *p)
{
    optind = 0; /* glibc and musl: begin anew */
    opterr = 0;
    for (;;) {
        int at = optind == 0 ? 1 : optind;
        int got = getopt_long(p->argc, p->argv, p->shorts, p->longs, NULL);

        if (got == -1)
            break;
        if (got == 1)
            on_word(p, optarg);
        else if (on_option(p, got, at) < 0)
            return -1;
        if (p->command->action != LC_ACTION_SERVE)
            return 0; /* -h and -v work even beside what is wrong */
    }
    for (int i = optind; i < p->argc; i++)
        on_word(p, p->argv[i]);
    return report_unknown(p);
}

int lc_command_read(struct lc_command *command, int argc, char *const *argv,
                    const char *place, struct lc_error *err)
{
    struct parser *p = lc_new(struct parser);
    int rc;

    p->argc = argc;
    p->argv = argv;
    p->place = place;
    p->command = command;
    p->err = err;
    know_all(p);
    rc = read_words(p);
    lc_strings_clear(&p->unknown);
    free(p);
    return rc;
}

void lc_command_clear(struct lc_command *command)
{
    lc_source_clear(&command->source);
    free(command->app);
    *command = (struct lc_command){0};
}
