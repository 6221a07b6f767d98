/* base/clock.h — what time it is. */
#pragma once
#include <stdint.h>

/* CLOCK_MONOTONIC in milliseconds; the same for all processes of the machine. */
uint64_t lc_clock_ms(void);

/* CLOCK_MONOTONIC in microseconds, for durations of requests. */
uint64_t lc_clock_us(void);
