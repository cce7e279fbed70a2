#include "conformance/clock.h"

#include <limits.h>
#include <time.h>

int64_t clock_now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int clock_left_ms(int64_t deadline_us) {
    int64_t left = deadline_us - clock_now_us();
    if (left <= 0)
        return 0;
    return left / 1000 >= INT_MAX ? INT_MAX : (int)((left + 999) / 1000);
}
