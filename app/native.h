/* app/native.h — the kind of application that a native module is: a table of routes with a C
 * function for each. */
#pragma once
#include <licorne/app.h>

/* `spec` is the module's path, "hello.so", relative to the application's folder. */
extern const struct lc_app_ops lc_app_native;
