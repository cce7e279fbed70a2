/*
 * What a driver owes by spec/driver.md beyond the form of each line: one answer to each command, in
 * their order; whose a change is, and when an own one is told. One life of a driver.
 */
#ifndef CONFORM_CONTRACT_H
#define CONFORM_CONTRACT_H

#include <cjson/cJSON.h>
#include <stdbool.h>

/* Zero-initialise, then contract_begin for each life; end with contract_fini. */
struct contract {
    const char *actor; /* of all that is added to this device; borrowed */
    cJSON *asked;      /* commands without an answer, in order: "cmd", "id", "late" */
    bool is_ready;
    bool is_stopping; /* it was told to */
};

void contract_begin(struct contract *contract, const char *actor);
void contract_fini(struct contract *contract);
/* A line that it is told; NULL when it is no command. */
void contract_asked(struct contract *contract, const cJSON *command);
/* A line that it wrote, which keeps its schema. NULL, or what is wrong with it; free() that. */
char *contract_heard(struct contract *contract, const cJSON *line);
/* It has ended by itself. NULL, or what it still owes; free() that. */
char *contract_ended(const struct contract *contract);

#endif
