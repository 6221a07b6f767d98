/* licorne/api.h — what every public header needs: visibility, attributes, the ABI number. */
#pragma once

#ifdef __cplusplus
#define LC_C_BEGIN extern "C" {
#define LC_C_END   }
#else
#define LC_C_BEGIN
#define LC_C_END
#endif

/* Everything marked LC_API is exported by the server to the modules it loads, and by a module
 * to the server. All other symbols are hidden. */
#define LC_API __attribute__((visibility("default")))

#define LC_PRINTF(format_at, first_at) \
    __attribute__((format(printf, format_at, first_at)))

/* Raised whenever a public structure or the meaning of a call changes. A module carries the
 * number it was built with; the server refuses one that is not its own. */
#define LC_ABI 2
