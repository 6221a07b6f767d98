/* config/choices.h — settings that are one of a few words. */
#pragma once
#include "config/settings.h"

/* The word that `text`, in any case, means to the setting: "off" for "False". NULL if it is none
 * of the setting's words. */
const char *lc_choice(const struct lc_setting *setting, const char *text);
