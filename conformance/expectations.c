#include "conformance/expectations.h"

#include "conformance/file.h"
#include "conformance/memory.h"

#include <stdlib.h>
#include <string.h>

struct expectation {
    char *scenario; /* the line, cut into three */
    const char *requirement;
    const char *reason;
    unsigned line;
};

struct expectations {
    char *path;
    struct expectation *at;
    size_t len;
};

static const char BLANKS[] = " \t\r";

/* Ends the word at `text` and gives what follows it. */
static char *cut_word(char *text) {
    text += strcspn(text, BLANKS);
    if (*text != '\0')
        *text++ = '\0';
    return text + strspn(text, BLANKS);
}

static const struct expectation *find(const struct expectations *expectations,
                                      const char *scenario) {
    for (size_t i = 0; i < expectations->len; i++)
        if (strcmp(expectations->at[i].scenario, scenario) == 0)
            return &expectations->at[i];
    return NULL;
}

/* One line, which becomes the list's unless it says nothing. */
static bool add_line(struct expectations *expectations, const char *text, unsigned line,
                     char **error) {
    char *copy = memory_copy_text(text + strspn(text, BLANKS));
    struct expectation new = {.scenario = copy, .line = line};
    if (*copy == '\0' || *copy == '#') {
        free(copy);
        return true;
    }
    char *requirement = cut_word(copy);
    new.requirement = requirement;
    new.reason = cut_word(requirement);
    if (*new.reason == '\0' || strncmp(requirement, "ASP-", 4) != 0)
        *error = memory_format("%s:%u: not a scenario, a requirement and a reason",
                               expectations->path, line);
    else if (find(expectations, copy) != NULL)
        *error = memory_format("%s:%u: %s stands there twice", expectations->path, line, copy);
    if (*error != NULL) {
        free(copy);
        return false;
    }
    expectations->at = memory_grow(expectations->at, (expectations->len + 1) * sizeof new);
    expectations->at[expectations->len++] = new;
    return true;
}

struct expectations *expectations_load(const char *path, char **error) {
    struct expectations *expectations = memory_take(sizeof *expectations);
    char *text = path != NULL ? file_read(path, error) : memory_copy_text("");
    char *rest = text;
    expectations->path = memory_copy_text(path != NULL ? path : "");
    for (unsigned line = 1; *error == NULL && rest != NULL; line++) {
        char *start = strsep(&rest, "\n");
        add_line(expectations, start, line, error);
    }
    free(text);
    if (*error == NULL)
        return expectations;
    expectations_free(expectations);
    return NULL;
}

void expectations_free(struct expectations *expectations) {
    if (expectations == NULL)
        return;
    for (size_t i = 0; i < expectations->len; i++)
        free(expectations->at[i].scenario);
    free(expectations->at);
    free(expectations->path);
    free(expectations);
}

void expectations_apply(const struct expectations *expectations, const char *scenario,
                        struct verdict *verdict) {
    const struct expectation *expected = find(expectations, scenario);
    if (expected == NULL)
        return;
    if (verdict->status == VERDICT_FAIL &&
        strcmp(verdict->requirement, expected->requirement) == 0) {
        verdict->status = VERDICT_EXPECTED_FAIL;
        verdict->reason = memory_copy_text(expected->reason);
    } else if (verdict->status == VERDICT_PASS) {
        verdict->status = VERDICT_FAIL;
        verdict->requirement = memory_copy_text(expected->requirement);
        free(verdict->message);
        verdict->message = memory_format("it passed, but %s:%u expects a failure: %s",
                                         expectations->path, expected->line, expected->reason);
    }
}

const char *expectations_find_unknown(const struct expectations *expectations,
                                      const struct catalog *catalog) {
    for (size_t i = 0; i < expectations->len; i++) {
        bool known = false;
        for (size_t k = 0; k < catalog->len && !known; k++)
            known = strcmp(catalog->scenarios[k]->name, expectations->at[i].scenario) == 0;
        if (!known)
            return expectations->at[i].scenario;
    }
    return NULL;
}
