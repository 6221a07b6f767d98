/* master/ctl/picture.h — a sample as lines of text that fit a screen. */
#pragma once
#include <stddef.h>

struct lc_sample;

enum lc_look { LC_LOOK_PLAIN, LC_LOOK_BOLD, LC_LOOK_TITLE };

struct lc_picture {
    struct {
        char *text; /* ASCII: as many columns as bytes */
        enum lc_look look;
    } * lines;
    size_t count;
};

/* At most `width` columns (0: as many as it takes) and `height` lines (0: the same). */
void lc_picture_draw(struct lc_picture *picture, const struct lc_sample *sample,
                     size_t width, size_t height);
void lc_picture_clear(struct lc_picture *picture);
