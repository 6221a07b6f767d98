#include "app/forwarded.h"

#include "base/token.h"
#include "config/networks.h"

#include <string.h>

/* ---- one node: RFC 7239, 6 ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "_hidden", as name or as port. */
static bool is_obfuscated(struct lc_slice text)
{
    if (text.len < 2 || *text.at != '_')
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (!lc_is_token_char(text.at[i]))
            return false;
    return true;
}

static bool read_port(struct lc_slice text, struct lc_node *node)
{
    unsigned port = 0;

    if (is_obfuscated(text))
        return true;
    if (text.len == 0 || text.len >= sizeof(node->port))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (!is_digit(text.at[i]))
            return false;
        port = port * 10 + (unsigned)(text.at[i] - '0');
    }
    if (port > 65535)
        return false;
    memcpy(node->port, text.at, text.len);
    return true;
}

static bool read_address(struct lc_slice text, struct lc_node *node)
{
    if (!lc_ip_read(text, &node->ip))
        return false;
    node->kind = LC_NODE_ADDRESS;
    return true;
}

/* "[2001:db8::1]", "[2001:db8::1]:80" */
static bool read_bracketed(struct lc_slice text, struct lc_node *node)
{
    const char *close = memchr(text.at, ']', text.len);

    if (close == NULL)
        return false;
    struct lc_slice inside = {text.at + 1, (size_t)(close - text.at - 1)};
    struct lc_slice behind = {close + 1, text.len - (size_t)(close + 1 - text.at)};
    if (memchr(inside.at, ':', inside.len) == NULL || !read_address(inside, node))
        return false;
    if (behind.len == 0)
        return true;
    return *behind.at == ':' &&
           read_port((struct lc_slice){behind.at + 1, behind.len - 1}, node);
}

static bool read_name(struct lc_slice text, struct lc_node *node)
{
    if (lc_slice_equals_nocase(text, LC_SLICE("unknown")) || is_obfuscated(text)) {
        node->kind = LC_NODE_HIDDEN;
        return true;
    }
    return read_address(text, node);
}

/* An IPv6 address without brackets has no port, so it may stand alone. */
static bool read_plain(struct lc_slice text, struct lc_node *node)
{
    const char *colon = memchr(text.at, ':', text.len);

    if (colon == NULL || memchr(colon + 1, ':', text.len - (size_t)(colon + 1 - text.at)))
        return read_name(text, node);
    return read_name((struct lc_slice){text.at, (size_t)(colon - text.at)}, node) &&
           read_port(
               (struct lc_slice){colon + 1, text.len - (size_t)(colon + 1 - text.at)},
               node);
}

static struct lc_node read_node(struct lc_slice text)
{
    struct lc_node node = {.text = text};
    bool is_good = text.len > 0 && (*text.at == '[' ? read_bracketed(text, &node)
                                                    : read_plain(text, &node));

    if (!is_good)
        node = (struct lc_node){.kind = LC_NODE_NONSENSE, .text = text};
    return node;
}

/* ---- "a, b, c" ---- */

/* Takes the last element off the list; blanks around it are not its. */
static struct lc_slice take_last(struct lc_slice *list)
{
    const char *comma = memrchr(list->at, ',', list->len);
    const char *from = comma == NULL ? list->at : comma + 1;
    struct lc_slice last = {from, list->len - (size_t)(from - list->at)};

    list->len = comma == NULL ? 0 : (size_t)(comma - list->at);
    return lc_without_blanks(last);
}

size_t lc_forwarded_list(const struct lc_header *headers, size_t count,
                         struct lc_slice name, struct lc_node nodes[LC_FORWARDED_MAX])
{
    size_t found = 0;

    for (size_t i = count; i-- > 0;) {
        struct lc_slice list = headers[i].value;

        if (!lc_slice_equals_nocase(headers[i].name, name))
            continue;
        while (list.len > 0 && found < LC_FORWARDED_MAX) {
            struct lc_slice last = take_last(&list);

            if (last.len > 0) /* RFC 9110, 5.6.1.2: empty elements do not count */
                nodes[found++] = read_node(last);
        }
    }
    return found;
}

/* ---- Forwarded: RFC 7239, 4 ---- */

/* Where reading stands in a field's value, and the element that is being read. */
struct reader {
    struct lc_slice rest;
    struct lc_node node;
    bool has_for, has_pairs;
};

static void skip_blanks(struct reader *reader)
{
    while (reader->rest.len > 0 && lc_is_blank(*reader->rest.at))
        reader->rest.at++, reader->rest.len--;
}

static bool take(struct reader *reader, char c)
{
    if (reader->rest.len == 0 || *reader->rest.at != c)
        return false;
    reader->rest.at++, reader->rest.len--;
    return true;
}

static struct lc_slice take_token(struct reader *reader)
{
    struct lc_slice token = {reader->rest.at, 0};

    while (reader->rest.len > 0 && lc_is_token_char(*reader->rest.at))
        reader->rest.at++, reader->rest.len--, token.len++;
    return token;
}

/* What is between the quotes. A backslash belongs to no node, so it need not be undone: a node that
 * has one is nonsense. */
static bool take_quoted(struct reader *reader, struct lc_slice *value)
{
    const char *from = reader->rest.at;

    while (reader->rest.len > 0 && *reader->rest.at != '"') {
        size_t step = *reader->rest.at == '\\' ? 2 : 1;

        if (step > reader->rest.len)
            return false;
        reader->rest.at += step, reader->rest.len -= step;
    }
    *value = (struct lc_slice){from, (size_t)(reader->rest.at - from)};
    return take(reader, '"');
}

/* for="[2001:db8::1]:80" */
static bool take_pair(struct reader *reader)
{
    struct lc_slice name = take_token(reader), value;

    if (name.len == 0 || !take(reader, '='))
        return false;
    if (!take(reader, '"'))
        value = take_token(reader);
    else if (!take_quoted(reader, &value))
        return false;
    reader->has_pairs = true;
    if (!lc_slice_equals_nocase(name, LC_SLICE("for")))
        return true;
    if (reader->has_for) /* which of the two is it? */
        return false;
    reader->has_for = true;
    reader->node = read_node(value);
    return true;
}

static bool take_element(struct reader *reader)
{
    reader->node = (struct lc_node){.kind = LC_NODE_HIDDEN};
    reader->has_for = reader->has_pairs = false;
    do {
        skip_blanks(reader);
        if (reader->rest.len == 0 || *reader->rest.at == ',' || *reader->rest.at == ';')
            continue; /* "for=a;" */
        if (!take_pair(reader))
            return false;
        skip_blanks(reader);
    } while (take(reader, ';'));
    return reader->rest.len == 0 || *reader->rest.at == ',';
}

/* Puts a node before the others: each that is read stands further right. */
static void put_first(struct lc_node nodes[LC_FORWARDED_MAX], size_t room, size_t *found,
                      const struct lc_node *node)
{
    if (room == 0)
        return;
    size_t kept = *found < room ? *found : room - 1;

    memmove(nodes + 1, nodes, kept * sizeof(*nodes));
    nodes[0] = *node;
    *found = kept + 1;
}

/* A value that is no list of elements tells nothing: where its quotes are wrong, commas are not what
 * they seem. */
static size_t read_value(struct lc_slice value, struct lc_node *nodes, size_t room)
{
    struct reader reader = {.rest = value};
    size_t found = 0;

    do {
        if (!take_element(&reader)) {
            reader.node = (struct lc_node){.kind = LC_NODE_NONSENSE, .text = value};
            found = 0;
            put_first(nodes, room, &found, &reader.node);
            return found;
        }
        if (reader.has_pairs)
            put_first(nodes, room, &found, &reader.node);
    } while (take(&reader, ','));
    return found;
}

size_t lc_forwarded_rfc7239(const struct lc_header *headers, size_t count,
                            struct lc_slice name, struct lc_node nodes[LC_FORWARDED_MAX])
{
    size_t found = 0;

    for (size_t i = count; i-- > 0;)
        if (lc_slice_equals_nocase(headers[i].name, name))
            found += read_value(headers[i].value, nodes + found,
                                LC_FORWARDED_MAX - found);
    return found;
}

/* ---- whom it names ---- */

const struct lc_node *lc_forwarded_client(const struct lc_node *nodes, size_t count,
                                          const struct lc_networks *proxies,
                                          const struct lc_node **bad)
{
    const struct lc_node *client = NULL;

    *bad = NULL;
    for (size_t i = 0; i < count; i++) {
        if (nodes[i].kind == LC_NODE_NONSENSE)
            *bad = &nodes[i];
        if (nodes[i].kind != LC_NODE_ADDRESS)
            break;
        client = &nodes[i];
        if (!lc_networks_contain_ip(proxies, &client->ip))
            break;
    }
    return client;
}
