/* tests/support/cmocka.h — cmocka with the headers that it wants in front of it. */
#pragma once
/* clang-format off: the order matters */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */
