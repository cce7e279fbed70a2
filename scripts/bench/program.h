/* Programs under measurement. Whatever starts here also ends here, by its process id; a program
 * that outlives its limit fails the benchmark. */
#ifndef BENCH_PROGRAM_H
#define BENCH_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct program {
    pid_t pid;  /* 0: not running */
    int output; /* its standard output, to read from */
};

/* argv ends with NULL; argv[0] is the path. */
void program_start(struct program *program, const char *const argv[]);
/* The next line of its output, without the end of line; fails when it ends before. */
void program_read_line(struct program *program, char *line, size_t size);
/* Sends the signal and waits for the end. */
void program_stop(struct program *program, int signal);

double program_processor_time(const struct program *program); /* seconds so far */
double program_resident_kib(const struct program *program);
size_t program_descriptors(const struct program *program);

/* One program from its start to its end. */
struct program_run {
    double wall_s;
    double processor_s;
    double resident_max_kib;
};
/* Feeds `input` (may be NULL) to its standard input, puts what it prints, NUL-terminated, into
 * output (may be NULL); an exit status other than 0 fails the benchmark. */
struct program_run program_run(const char *const argv[], const char *input, size_t input_len,
                               char *output, size_t output_size);

#endif
