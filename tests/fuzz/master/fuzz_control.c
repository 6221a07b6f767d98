/* Hostile bytes on the control socket: cut into frames as they come, each taken for a request
 * and its words. What is refused has a reason. */
#include "base/mem.h"
#include "master/control/frame.h"
#include "master/control/request.h"

#include <licorne/error.h>

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take_for_request(const char *text, size_t len)
{
    struct lc_control_request request;
    struct lc_error err = {0};

    if (lc_control_request_read(&request, text, len, &err) == 0) {
        lc_assert(request.id != NULL && request.words.count > 0);
    } else {
        lc_assert(err.text[0] != '\0');
        lc_assert(err.code == LC_E_PROTOCOL ||
                  (err.code == LC_E_CONFIG && request.id != NULL));
    }
    for (size_t i = 0; i < request.words.count; i++)
        json_decref(lc_json_text(request.words.items[i]));
    lc_control_request_clear(&request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = (const char *)data;
    ssize_t length;

    while ((length = lc_frame_length(at, size, LC_REQUEST_MAX)) > 0 &&
           (size_t)length <= size) {
        take_for_request(at + LC_FRAME_HEAD, (size_t)length - LC_FRAME_HEAD);
        at += length;
        size -= (size_t)length;
    }
    LC_AUTOFREE char *rest = lc_strndup(at, size);
    json_decref(lc_json_text(rest));
    return 0;
}
