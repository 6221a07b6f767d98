/* A module that another version of the server's headers has made. */
#include <licorne/licorne.h>

LC_API extern const struct lc_module licorne_module;
const struct lc_module licorne_module = {.abi = LC_ABI + 1, .name = "old"};
