/*
 * How the harness cites a requirement that it checks of its own accord. scripts/trace.mjs takes
 * these for evidence, and nothing else that stands in these sources; so each says where the check
 * is made.
 */
#ifndef CONFORM_DUTY_H
#define CONFORM_DUTY_H

/* In every scenario of those whose duty it is, as soon as what it is about comes. */
#define DUTY(id) id
/* In scenarios with one of these steps: "settle", "answer.after_ms" (a member), "server=kill". */
#define DUTY_AT(steps, id) id
/* In storms, which are no scenarios. */
#define DUTY_IN_STORMS(id) id

#endif
