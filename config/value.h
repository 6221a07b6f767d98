/* config/value.h — texts become values and values texts. */
#pragma once
#include "config/source.h"

/* Whether a number is one, by the rules of where it stands; true for other types. */
bool lc_value_is_well_formed(const struct lc_setting *setting, enum lc_origin_kind kind,
                             const char *text);

/* Sets the setting's field. 0, or -1 with `err` (LC_E_CONFIG); the field is as it was then. */
int lc_value_assign(struct lc_config *config, const struct lc_assignment *assignment,
                    struct lc_error *err);

/* What the field holds before any source was asked. */
void lc_value_default(struct lc_config *config, const struct lc_setting *setting);

/* An empty field, its memory freed. */
void lc_value_clear(struct lc_config *config, const struct lc_setting *setting);

bool lc_value_equal(const struct lc_setting *setting, const struct lc_config *a,
                    const struct lc_config *b);
void lc_value_copy(const struct lc_setting *setting, struct lc_config *to,
                   const struct lc_config *from);

/* As Python's str() shows it: "None", "True", "['a', 'b']". */
char *lc_value_text(const struct lc_setting *setting, const struct lc_config *config);
