/* app/router.c — a tree with one node for each segment that some route has at that place.
 *
 * Matching goes down the tree along the request's raw path, and back up where a branch turns out
 * to lead nowhere. Each node is visited at most once, because the way to it is the only one: a
 * hostile path costs at most one visit to every node of that depth. */
#include "app/router.h"

#include "app/percent.h"
#include "app/request.h"
#include "base/mem.h"

#include <licorne/error.h>

#include <string.h>

/* A route seen from one of its methods. */
struct entry {
    struct lc_slice method; /* empty: any */
    const struct lc_route *route;
    struct lc_slice names[LC_PARAM_COUNT]; /* of its params, in order */
    unsigned name_count;
};

struct node {
    struct lc_slice text;  /* of a literal's node */
    struct node *literals; /* sorted by compare_text */
    size_t literal_count;
    struct node *param; /* "{name}" stands next */
    struct node *rest;  /* "{name...}" stands next */
    struct entry *entries;
    size_t entry_count;
};

struct lc_router {
    struct node root; /* what stands before the first slash: nothing */
};

/* Any order does, so the cheapest: short texts first, and bytes only where lengths are equal. */
static int compare_text(struct lc_slice a, struct lc_slice b)
{
    if (a.len != b.len)
        return a.len < b.len ? -1 : 1;
    return a.len == 0 ? 0 : memcmp(a.at, b.at, a.len);
}

/* --- the table becomes a tree ---------------------------------------------------------- */

/* A route on its way into the tree. */
struct reading {
    const struct lc_route *route;
    struct node *node; /* reached so far */
    struct lc_slice names[LC_PARAM_COUNT];
    unsigned name_count;
};

#define METHODS(route) ((route)->methods != NULL ? (route)->methods : "*")

#define bad_route(err, route, text, ...)                                     \
    lc_error_set((err), LC_E_APP_LOAD, "route %s %s: " text, METHODS(route), \
                 (route)->path, ##__VA_ARGS__)

/* Where `text` is among the literals, or should be inserted. */
static size_t literal_at(const struct node *node, struct lc_slice text, bool *is_there)
{
    size_t at = 0;
    int order = 1;

    while (at < node->literal_count &&
           (order = compare_text(text, node->literals[at].text)) > 0)
        at++;
    *is_there = at < node->literal_count && order == 0;
    return at;
}

static struct node *take_literal(struct node *node, struct lc_slice text)
{
    bool is_there;
    size_t at = literal_at(node, text, &is_there);

    if (!is_there) {
        size_t behind = node->literal_count - at;

        node->literals = lc_realloc(node->literals,
                                    (node->literal_count + 1) * sizeof(struct node));
        memmove(&node->literals[at + 1], &node->literals[at],
                behind * sizeof(struct node));
        node->literals[at] = (struct node){.text = text};
        node->literal_count++;
    }
    return &node->literals[at];
}

static bool is_name(struct lc_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';

        if (!is_letter && (i == 0 || c < '0' || c > '9'))
            return false;
    }
    return text.len > 0;
}

static int take_param(struct reading *reading, struct lc_slice name, struct lc_error *err)
{
    if (!is_name(name))
        return bad_route(err, reading->route,
                         "'%.*s' is not a name: letters, digits and _, no digit first",
                         LC_ARG(name));
    for (unsigned i = 0; i < reading->name_count; i++)
        if (lc_slice_equals(reading->names[i], name))
            return bad_route(err, reading->route, "{%.*s} stands there twice",
                             LC_ARG(name));
    if (reading->name_count == LC_PARAM_COUNT)
        return bad_route(err, reading->route, "more than %d parts in braces",
                         LC_PARAM_COUNT);
    reading->names[reading->name_count++] = name;
    return 0;
}

static struct node *wildcard(struct node **place)
{
    if (*place == NULL)
        *place = lc_new(struct node);
    return *place;
}

static bool ends_in_dots(struct lc_slice text)
{
    return text.len >= 3 && memcmp(text.at + text.len - 3, "...", 3) == 0;
}

static int take_braces(struct reading *reading, struct lc_slice segment, bool is_last,
                       struct lc_error *err)
{
    struct lc_slice name = {segment.at + 1, segment.len - 2};
    bool is_rest = ends_in_dots(name);

    if (is_rest && !is_last)
        return bad_route(err, reading->route, "nothing may follow %.*s", LC_ARG(segment));
    if (is_rest)
        name.len -= 3;
    if (take_param(reading, name, err) < 0)
        return -1;
    reading->node = wildcard(is_rest ? &reading->node->rest : &reading->node->param);
    return 0;
}

static int take_segment(struct reading *reading, struct lc_slice segment, bool is_last,
                        struct lc_error *err)
{
    bool has_braces = segment.len > 0 && (memchr(segment.at, '{', segment.len) != NULL ||
                                          memchr(segment.at, '}', segment.len) != NULL);

    if (has_braces) {
        if (segment.len < 2 || segment.at[0] != '{' || segment.at[segment.len - 1] != '}')
            return bad_route(err, reading->route,
                             "'%.*s': braces must hold a whole segment, as in {name}",
                             LC_ARG(segment));
        return take_braces(reading, segment, is_last, err);
    }
    if (segment.len == 0 && !is_last)
        return bad_route(err, reading->route, "two slashes follow each other");
    reading->node = take_literal(reading->node, segment);
    return 0;
}

static int take_path(struct reading *reading, struct lc_error *err)
{
    const char *path = reading->route->path;

    if (path[0] != '/')
        return bad_route(err, reading->route, "a path begins with /");
    const char *strange = strpbrk(path, "%?#");
    if (strange != NULL)
        return bad_route(err, reading->route,
                         "'%c' cannot be matched: a path is written decoded and "
                         "without a query",
                         *strange);
    for (const char *at = path; at != NULL;) {
        const char *slash = strchr(++at, '/');
        struct lc_slice segment = {at, slash == NULL ? strlen(at) : (size_t)(slash - at)};

        if (take_segment(reading, segment, slash == NULL, err) < 0)
            return -1;
        at = slash;
    }
    return 0;
}

static const struct entry *entry_of(const struct node *node, struct lc_slice method)
{
    for (size_t i = 0; i < node->entry_count; i++)
        if (lc_slice_equals(node->entries[i].method, method))
            return &node->entries[i];
    return NULL;
}

static int add_entry(const struct reading *reading, struct lc_slice method,
                     struct lc_error *err)
{
    struct node *node = reading->node;
    const struct entry *other = entry_of(node, method);

    if (other != NULL)
        return bad_route(err, reading->route, "route %s %s takes the same requests",
                         METHODS(other->route), other->route->path);

    node->entries = lc_realloc(node->entries,
                               (node->entry_count + 1) * sizeof(struct entry));
    struct entry *entry = &node->entries[node->entry_count++];
    *entry = (struct entry){.method = method, .route = reading->route};
    memcpy(entry->names, reading->names, sizeof(entry->names));
    entry->name_count = reading->name_count;
    return 0;
}

/* RFC 9110, 9.1: a token, and case matters. Nobody sends "get". */
static bool is_method(struct lc_slice text)
{
    static const char others[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~";

    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] == '\0' || strchr(others, text.at[i]) == NULL)
            return false;
    return text.len > 0;
}

static int take_methods(const struct reading *reading, struct lc_error *err)
{
    const char *at = reading->route->methods;

    if (at == NULL)
        return add_entry(reading, (struct lc_slice){"", 0}, err);
    for (;;) {
        at += strspn(at, " ");
        struct lc_slice method = {at, strcspn(at, ", ")};
        at += method.len;
        at += strspn(at, " ");

        if (!is_method(method) || (*at != ',' && *at != '\0'))
            return bad_route(err, reading->route,
                             "'%s' is no list of methods such as \"GET, POST\"",
                             reading->route->methods);
        if (add_entry(reading, method, err) < 0)
            return -1;
        if (*at++ == '\0')
            return 0;
    }
}

static int add_route(struct lc_router *router, const struct lc_route *route,
                     struct lc_error *err)
{
    struct reading reading = {.route = route, .node = &router->root};

    if (route->handler == NULL)
        return bad_route(err, route, "it has no handler");
    if (take_path(&reading, err) < 0)
        return -1;
    return take_methods(&reading, err);
}

struct lc_router *lc_router_create(const struct lc_route *routes, struct lc_error *err)
{
    struct lc_router *router = lc_new(struct lc_router);

    for (const struct lc_route *route = routes; route->path != NULL; route++) {
        if (add_route(router, route, err) < 0) {
            lc_router_destroy(router);
            return NULL;
        }
    }
    return router;
}

static void clear(struct node *node)
{
    if (node == NULL)
        return;
    for (size_t i = 0; i < node->literal_count; i++)
        clear(&node->literals[i]);
    clear(node->param);
    clear(node->rest);
    free(node->literals);
    free(node->param);
    free(node->rest);
    free(node->entries);
}

void lc_router_destroy(struct lc_router *router)
{
    if (router == NULL)
        return;
    clear(&router->root);
    free(router);
}

/* --- a request finds its route --------------------------------------------------------- */

struct search {
    struct lc_request *request;
    const char *end;                         /* of the raw path */
    bool is_encoded;                         /* the raw path holds a "%" */
    struct lc_slice matched[LC_PARAM_COUNT]; /* still encoded */
    struct lc_slice allow;
};

static size_t decoded_length(struct lc_slice raw)
{
    const char *at = raw.at, *end = raw.at + raw.len;
    size_t len = 0;

    for (; at < end; len++)
        at += lc_percent_byte(at, end) < 0 ? 1 : 3;
    return len;
}

/* Like compare_text, decoding `raw` as it goes. */
static int compare_encoded(struct lc_slice raw, size_t len, struct lc_slice text)
{
    const char *at = raw.at, *end = raw.at + raw.len;

    if (len != text.len)
        return len < text.len ? -1 : 1;
    for (size_t i = 0; i < text.len; i++) {
        int byte = lc_percent_byte(at, end);
        int order = (byte < 0 ? (unsigned char)*at : byte) - (unsigned char)text.at[i];

        if (order != 0)
            return order;
        at += byte < 0 ? 1 : 3;
    }
    return 0;
}

static const struct node *find_literal(const struct search *search,
                                       const struct node *node, struct lc_slice segment)
{
    size_t low = 0, high = node->literal_count;
    size_t len = search->is_encoded && high > 0 ? decoded_length(segment) : segment.len;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct node *literal = &node->literals[middle];
        int order = search->is_encoded ? compare_encoded(segment, len, literal->text)
                                       : compare_text(segment, literal->text);

        if (order == 0)
            return literal;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

static bool is_listed(struct lc_slice list, struct lc_slice method)
{
    for (size_t at = 0; at < list.len;) {
        const char *comma = memchr(list.at + at, ',', list.len - at);
        size_t end = comma == NULL ? list.len : (size_t)(comma - list.at);

        if (lc_slice_equals((struct lc_slice){list.at + at, end - at}, method))
            return true;
        at = end + 2; /* ", " */
    }
    return false;
}

static void allow(struct search *search, struct lc_slice method)
{
    struct lc_slice so_far = search->allow;

    if (!is_listed(so_far, method))
        search->allow = lc_slice(lc_arena_printf(&search->request->arena, "%.*s%s%.*s",
                                                 LC_ARG(so_far), so_far.len ? ", " : "",
                                                 LC_ARG(method)));
}

static const struct entry *entry_for(struct search *search, const struct node *node)
{
    static const struct lc_slice get = LC_SLICE("GET"), head = LC_SLICE("HEAD");
    struct lc_slice method = search->request->method;
    const struct entry *entry = entry_of(node, method);

    if (entry == NULL && lc_slice_equals(method, head))
        entry = entry_of(node, get);
    if (entry == NULL)
        entry = entry_of(node, (struct lc_slice){"", 0});
    if (entry != NULL)
        return entry;

    for (size_t i = 0; i < node->entry_count; i++) {
        allow(search, node->entries[i].method);
        if (lc_slice_equals(node->entries[i].method, get))
            allow(search, head);
    }
    return NULL;
}

/* What follows from `node` on, where `at` begins the next segment; NULL: the path is over. */
static const struct entry *walk(struct search *search, const struct node *node,
                                const char *at, unsigned count)
{
    if (at == NULL)
        return entry_for(search, node);

    size_t left = (size_t)(search->end - at);
    const char *slash = memchr(at, '/', left);
    struct lc_slice segment = {at, slash == NULL ? left : (size_t)(slash - at)};
    const char *next = slash == NULL ? NULL : slash + 1;
    const struct entry *found = NULL;

    const struct node *literal = find_literal(search, node, segment);
    if (literal != NULL)
        found = walk(search, literal, next, count);
    if (found == NULL && node->param != NULL && segment.len > 0) {
        search->matched[count] = segment;
        found = walk(search, node->param, next, count + 1);
    }
    if (found == NULL && node->rest != NULL) {
        search->matched[count] = (struct lc_slice){at, left};
        found = entry_for(search, node->rest);
    }
    return found;
}

const struct lc_route *lc_router_match(const struct lc_router *router,
                                       struct lc_request *request,
                                       struct lc_slice *allowed)
{
    struct lc_slice path = request->raw_path;

    *allowed = (struct lc_slice){"", 0};
    if (path.len == 0 || path.at[0] != '/')
        return NULL; /* "OPTIONS *" */

    struct search search = {.request = request, .end = path.at + path.len};
    search.is_encoded = memchr(path.at, '%', path.len) != NULL;
    search.allow = *allowed;
    const struct entry *entry = walk(&search, &router->root, path.at + 1, 0);
    if (entry == NULL) {
        *allowed = search.allow;
        return NULL;
    }

    request->param_count = entry->name_count;
    for (unsigned i = 0; i < entry->name_count; i++)
        request->params[i] = (struct lc_param){
            entry->names[i], search.is_encoded
                                 ? lc_percent_decode(&request->arena, search.matched[i])
                                 : search.matched[i]};
    return entry->route;
}

struct lc_slice lc_request_param(const struct lc_request *request, const char *name)
{
    struct lc_slice wanted = lc_slice(name);

    for (unsigned i = 0; i < request->param_count; i++)
        if (lc_slice_equals(request->params[i].name, wanted))
            return request->params[i].value;
    return (struct lc_slice){NULL, 0};
}
