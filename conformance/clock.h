/* Monotonic time for deadlines and transcripts. */
#ifndef CONFORM_CLOCK_H
#define CONFORM_CLOCK_H

#include <stdint.h>

int64_t clock_now_us(void);
/* Milliseconds left until `deadline_us`, rounded up, 0 when passed: what poll(2) takes. */
int clock_left_ms(int64_t deadline_us);

#endif
