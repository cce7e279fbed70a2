#include "scripts/bench/machine.h"

#include "scripts/bench/bench.h"
#include "scripts/bench/folder.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

static void read_processor(char *name, size_t size) {
    char line[256];
    FILE *info = fopen("/proc/cpuinfo", "re");
    snprintf(name, size, "unknown");
    while (info && fgets(line, sizeof line, info)) {
        const char *value = strstr(line, ": ");
        if (value && strncmp(line, "model name", 10) == 0)
            snprintf(name, size, "%.*s", (int)strcspn(value + 2, "\n"), value + 2);
    }
    if (info)
        fclose(info);
}

void machine_read(struct machine *machine, const char *folder) {
    struct utsname names;
    uname(&names);
    machine->cores = sysconf(_SC_NPROCESSORS_ONLN);
    read_processor(machine->processor, sizeof machine->processor);
    snprintf(machine->kernel, sizeof machine->kernel, "%s %s", names.sysname, names.release);
    machine->memory_mib =
        (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) / (1024.0 * 1024.0);
    folder_file_system(folder, machine->file_system, sizeof machine->file_system);
    machine->is_on_disk =
        strcmp(machine->file_system, "tmpfs") != 0 && strcmp(machine->file_system, "ramfs") != 0;
}

void machine_print(const struct machine *machine) {
    printf("%ld cores, %s, %.0f MiB, %s, %s\n", machine->cores, machine->processor,
           machine->memory_mib, machine->kernel, machine->file_system);
    if (!machine->is_on_disk)
        printf("WARNING: %s keeps files in memory: what is durable here costs nothing, so that no "
               "figure of stored changes means anything. Set TMPDIR to a folder on a disk.\n",
               machine->file_system);
}

char *machine_json(const struct machine *machine) {
    cJSON *json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "cores", (double)machine->cores);
    cJSON_AddStringToObject(json, "processor", machine->processor);
    cJSON_AddStringToObject(json, "kernel", machine->kernel);
    cJSON_AddNumberToObject(json, "memory_mib", machine->memory_mib);
    cJSON_AddStringToObject(json, "file_system", machine->file_system);
    char *text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    bench_require_memory(text);
    return text;
}
