#include "worker/sources.h"

#include "app/pipeline.h"
#include "base/inherit.h"
#include "base/ipc.h"
#include "config/config.h"
#include "worker/server.h"

#include <string.h>
#include <sys/stat.h>

enum { ROOM = LC_MSG_MAX - sizeof(struct lc_msg_head) };

struct letter {
    const struct lc_inherit *inherit;
    size_t used;
    char text[ROOM];
};

static void post(struct letter *letter)
{
    if (letter->used > 0)
        lc_channel_send(letter->inherit->channel, LC_MSG_SOURCES,
                        letter->inherit->generation, letter->text, letter->used);
    letter->used = 0;
}

/* With the time of the file that was just loaded: it may change before the master looks. */
static void write_down(void *owner, const char *path)
{
    struct letter *letter = owner;
    size_t len = strlen(path) + 1;
    struct stat about;

    if (sizeof(about.st_mtim) + len > ROOM || stat(path, &about) < 0)
        return;
    if (sizeof(about.st_mtim) + len > ROOM - letter->used)
        post(letter);
    memcpy(letter->text + letter->used, &about.st_mtim, sizeof(about.st_mtim));
    letter->used += sizeof(about.st_mtim);
    memcpy(letter->text + letter->used, path, len);
    letter->used += len;
}

void lc_sources_tell(struct lc_server *server)
{
    static struct letter letter;

    if (!server->config->reload || server->pipeline == NULL)
        return;
    letter.inherit = server->inherit;
    lc_pipeline_sources(server->pipeline, write_down, &letter);
    post(&letter);
}
