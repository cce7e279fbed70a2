#include "conformance/process.h"

#include "conformance/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

char *process_fill_in(const char *template, const char *name, const char *value) {
    struct bytes out = {0};
    const char *found;
    while ((found = strstr(template, name)) != NULL) {
        bytes_append(&out, template, (size_t)(found - template));
        bytes_append(&out, value, strlen(value));
        template = found + strlen(name);
    }
    bytes_append(&out, template, strlen(template) + 1);
    return (char *)out.at;
}

bool process_takes(const char *template, const char *name) {
    char *place = memory_format("{%s}", name);
    bool takes = strstr(template, place) != NULL;
    free(place);
    return takes;
}

char *process_describe_end(int status) {
    if (WIFSIGNALED(status))
        return memory_format("signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    return memory_format("exit status %d", WEXITSTATUS(status));
}
