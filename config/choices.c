#include "config/choices.h"

#include "base/mem.h"

#include <string.h>
#include <strings.h>

static const struct {
    enum lc_setting_id setting;
    const char *text, *word;
} choices[] = {
    {LC_SET_http_parser, "auto", "auto"},
    {LC_SET_http_parser, "fast", "fast"},
    {LC_SET_http_parser, "python", "python"},
    {LC_SET_reload_engine, "auto", "auto"},
    {LC_SET_reload_engine, "poll", "poll"},
    {LC_SET_reload_engine, "inotify", "inotify"},
    {LC_SET_header_map, "drop", "drop"},
    {LC_SET_header_map, "refuse", "refuse"},
    {LC_SET_header_map, "dangerous", "dangerous"},
    {LC_SET_proxy_protocol, "off", "off"},
    {LC_SET_proxy_protocol, "false", "off"},
    {LC_SET_proxy_protocol, "0", "off"},
    {LC_SET_proxy_protocol, "none", "off"},
    {LC_SET_proxy_protocol, "v1", "v1"},
    {LC_SET_proxy_protocol, "v2", "v2"},
    {LC_SET_proxy_protocol, "auto", "auto"},
    {LC_SET_proxy_protocol, "true", "auto"},
    {LC_SET_proxy_protocol, "1", "auto"},
};

const char *lc_choice(const struct lc_setting *setting, const char *text)
{
    for (size_t i = 0; i < LC_COUNT(choices); i++)
        if (&lc_settings[choices[i].setting] == setting &&
            strcasecmp(choices[i].text, text) == 0)
            return choices[i].word;
    return NULL;
}
