#include "conformance/liveness.h"

#include "conformance/memory.h"

#include <stdlib.h>

static char *server_text(bool serves) {
    return memory_format(
        "{\"title\": \"The server greets%s and answers\","
        " \"why\": \"Hardly anything else can be told of one that does not.\","
        " \"requirements\": [\"ASP-WS-1\", \"ASP-OPEN-2\", \"ASP-MSG-9\"], \"profile\": \"core\","
        " \"steps\": ["
        "{\"connect\": \"probe\"}, {\"document\": \"doc\"}, {\"change\": \"c\", \"of\": \"doc\"},"
        "{\"open\": \"doc\", \"on\": \"probe\"%s, \"requirement\": \"ASP-OPEN-2\"},"
        "{\"request\": {\"type\": \"push\", \"doc\": \"$doc.id\", \"changes\": [\"$c\"]},"
        " \"on\": \"probe\", \"reply\": {\"$any\": true}, \"requirement\": \"ASP-MSG-9\"},"
        "{\"request\": {\"type\": \"list\", \"doc\": \"$doc.id\"}, \"on\": \"probe\","
        " \"reply\": {\"$any\": true}, \"requirement\": \"ASP-MSG-9\"}]}",
        serves ? ", opens a document" : "", serves ? "" : ", \"reply\": {\"$any\": true}");
}

/* A driver that says yes to everything would pass everywhere. */
static const char DRIVES[] =
    "{\"title\": \"The driver is ready and knows what it does not know\","
    " \"why\": \"Nothing else can be told of one that is not.\","
    " \"requirements\": [\"ASP-CLI-1\"], \"profile\": \"core\", \"steps\": ["
    "{\"document\": \"doc\"}, {\"device\": \"probe\", \"of\": \"doc\"},"
    "{\"tell\": {\"cmd\": \"levitate\"}, \"to\": \"probe\","
    " \"answer\": {\"ok\": false, \"code\": \"unsupported\"}},"
    "{\"stop\": \"probe\"}]}";

struct scenario *liveness_scenario(enum liveness_kind kind, struct schema_set *schemas,
                                   char **error) {
    char *text =
        kind == LIVENESS_DRIVES ? memory_copy_text(DRIVES) : server_text(kind == LIVENESS_SERVES);
    struct scenario *scenario = scenario_parse("harness/liveness", text, schemas, error);
    free(text);
    return scenario;
}
