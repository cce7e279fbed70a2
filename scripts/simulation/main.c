/* athena-simulate: many small worlds, each made from a number, and judged. */
#include "scripts/simulation/memory.h"
#include "scripts/simulation/world.h"

#include <errno.h>
#include <getopt.h>
#include <sodium.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SEEDS_DEFAULT = 2000, WORKERS_MAX = 64, EXIT_BROKEN = 1, EXIT_USAGE = 2 };

static const char *const figure_names[FIGURE_COUNT] = {
    [FIGURE_CHANGES] = "changes",
    [FIGURE_CONNECTIONS] = "connections",
    [FIGURE_MESSAGES] = "messages",
    [FIGURE_PUSHES] = "pushes",
    [FIGURE_LISTINGS] = "listings",
    [FIGURE_COMMITS] = "commits",
    [FIGURE_CUTS] = "cuts",
    [FIGURE_HALF_OPEN] = "half-open ends",
    [FIGURE_DIAL_FAILURES] = "failed dials",
    [FIGURE_CLIENT_CRASHES] = "client crashes",
    [FIGURE_CLIENT_FAULTS] = "client storage faults",
    [FIGURE_SERVER_CRASHES] = "server crashes",
    [FIGURE_SERVER_STOPS] = "server stops",
    [FIGURE_WIPES] = "wipes",
    [FIGURE_RESTORES] = "restores",
    [FIGURE_REFUSALS] = "refusals",
};

static const char usage[] =
    "Usage: athena-simulate [--seeds N | --seed S]\n"
    "\n"
    "Runs client sessions and a server session on a simulated network, in virtual time, with\n"
    "faults, and checks what each promises.\n"
    "\n"
    "  --seeds N  the worlds 1 to N (2000)\n"
    "  --seed S   one world, and print all that happens in it\n"
    "  --help     this\n"
    "\n"
    "Exit status: 0 all promises kept, 1 one was broken, 2 wrong usage.\n";

/* What a worker hands back. */
struct share {
    uint64_t figures[FIGURE_COUNT];
    uint64_t broken_seed; /* 0: none */
};

static struct share run_share(uint64_t first, uint64_t last, uint64_t step) {
    struct share share = {.broken_seed = 0};
    for (uint64_t seed = first; seed <= last && !share.broken_seed; seed += step)
        if (!world_run(seed, TELL_NOTHING, share.figures))
            share.broken_seed = seed;
    return share;
}

/* Starts a worker; the end of the pipe to read its share from, or -1. */
static int start_worker(uint64_t first, uint64_t last, uint64_t step) {
    int ends[2];
    if (pipe(ends) != 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        struct share share = run_share(first, last, step);
        _exit(write(ends[1], &share, sizeof share) == (ssize_t)sizeof share ? 0 : EXIT_USAGE);
    }
    close(ends[1]);
    if (pid > 0)
        return ends[0];
    close(ends[0]);
    return -1;
}

static bool collect(int fd, struct share *total) {
    struct share share;
    bool ok = fd >= 0 && read(fd, &share, sizeof share) == (ssize_t)sizeof share;
    if (fd >= 0)
        close(fd);
    if (!ok)
        return false;
    for (size_t i = 0; i < FIGURE_COUNT; i++)
        total->figures[i] += share.figures[i];
    if (share.broken_seed && (!total->broken_seed || share.broken_seed < total->broken_seed))
        total->broken_seed = share.broken_seed;
    return true;
}

static void print_figures(uint64_t seeds, const uint64_t figures[static FIGURE_COUNT]) {
    printf("%ju worlds", (uintmax_t)seeds);
    for (size_t i = 0; i < FIGURE_COUNT; i++)
        printf(", %ju %s", (uintmax_t)figures[i], figure_names[i]);
    puts(": every promise kept");
}

static int replay(uint64_t seed, enum telling telling) {
    uint64_t figures[FIGURE_COUNT] = {0};
    if (world_run(seed, telling, figures)) {
        print_figures(1, figures);
        return EXIT_SUCCESS;
    }
    printf("replay: athena-simulate --seed %ju\n", (uintmax_t)seed);
    return EXIT_BROKEN;
}

static int run_all(uint64_t seeds) {
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t workers = processors < 1 ? 1 : (uint64_t)processors;
    int fds[WORKERS_MAX];
    struct share total = {.broken_seed = 0};
    bool ok = true;
    if (workers > WORKERS_MAX)
        workers = WORKERS_MAX;
    for (uint64_t i = 0; i < workers; i++)
        fds[i] = start_worker(i + 1, seeds, workers);
    for (uint64_t i = 0; i < workers; i++)
        ok &= collect(fds[i], &total);
    while (wait(NULL) > 0)
        continue;
    if (!ok) {
        fputs("athena-simulate: a worker ended early\n", stderr);
        return EXIT_BROKEN;
    }
    if (total.broken_seed)
        return replay(total.broken_seed, TELL_FAILURE);
    print_figures(seeds, total.figures);
    return EXIT_SUCCESS;
}

/* A number from 1; 0 when the text is none. */
static uint64_t number(const char *text) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0 ? value : 0;
}

/* One thread: SQLite needs no locks, and nobody reads its statistics. */
static bool set_up(void) {
    return sodium_init() >= 0 && sqlite3_config(SQLITE_CONFIG_SINGLETHREAD) == SQLITE_OK &&
           sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) == SQLITE_OK;
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"seeds", required_argument, NULL, 'n'},
                                            {"seed", required_argument, NULL, 's'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    uint64_t seeds = SEEDS_DEFAULT;
    uint64_t seed = 0;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        uint64_t value = option == 'n' || option == 's' ? number(optarg) : 1;
        if (option == 'h') {
            fputs(usage, stdout);
            return EXIT_SUCCESS;
        }
        if (option == '?' || value == 0) {
            fputs(usage, stderr);
            return EXIT_USAGE;
        }
        *(option == 'n' ? &seeds : &seed) = value;
    }
    if (optind < argc) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    if (!set_up()) {
        fputs("athena-simulate: a library cannot be set up\n", stderr);
        return EXIT_USAGE;
    }
    return seed ? replay(seed, TELL_ALL) : run_all(seeds);
}
