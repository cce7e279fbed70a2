/*
 * One self-contained page: the verdict, what is broken, the scenarios (what failed first, under the
 * requirement that each broke, then by families), and the requirements with what this run says of
 * each.
 */
#include "conformance/format.h"

#include <string.h>

enum { OPEN_MAX = 3 }; /* failures that stand open from the start */

static const char HEAD[] =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; base-uri 'none'; "
    "form-action 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n<title>";

/* The heads of the arrows, for all drawings. */
static const char ARROWS[] =
    "<svg class=\"defs\" aria-hidden=\"true\"><defs>"
    "<marker id=\"to\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" "
    "markerHeight=\"8\" orient=\"auto\" markerUnits=\"userSpaceOnUse\">"
    "<path d=\"M0 0 8 4 0 8z\"/></marker>"
    "<marker id=\"from\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" "
    "markerHeight=\"8\" orient=\"auto\" markerUnits=\"userSpaceOnUse\">"
    "<path d=\"M0 0 8 4 0 8z\"/></marker></defs>\n</svg>\n";

static const cJSON *scenarios_of(const cJSON *run) {
    return cJSON_GetObjectItemCaseSensitive(run, "scenarios");
}

static bool is_class(const cJSON *scenario, const char *class) {
    return strcmp(format_status_class(scenario), class) == 0;
}

/* Failures, and faults of the harness. */
static bool is_bad(const cJSON *scenario) {
    return is_class(scenario, "fail") || is_class(scenario, "error");
}

static bool is_of(const cJSON *scenario, const char *member, const char *value) {
    return strcmp(format_text(scenario, member), value) == 0;
}

/* How many scenarios are of that class; NULL: of any. */
static unsigned count_class(const cJSON *run, const char *class) {
    const cJSON *scenario;
    unsigned count = 0;
    cJSON_ArrayForEach(scenario, scenarios_of(run)) {
        count += class == NULL || is_class(scenario, class);
    }
    return count;
}

static const char *plural(unsigned count) {
    return count == 1 ? "" : "s";
}

/* ---- The head -------------------------------------------------------------------------------- */

static void write_bar(FILE *out, const unsigned counts[4]) {
    static const char *const classes[] = {"fail", "odd", "pass", ""};
    fputs("<span class=\"bar\">", out);
    for (int i = 0; i < 4; i++)
        if (counts[i] > 0)
            fprintf(out, "<i class=\"%s\" style=\"flex:%u\"></i>", classes[i], counts[i]);
    fputs("</span>", out);
}

/* Of a family, or of all when it is NULL: what is bad, what is odd, what passed, and the sum. */
static void count_family(const cJSON *run, const char *family, unsigned counts[4]) {
    const cJSON *scenario;
    memset(counts, 0, 4 * sizeof *counts);
    cJSON_ArrayForEach(scenario, scenarios_of(run)) {
        if (family != NULL && !is_of(scenario, "family", family))
            continue;
        counts[is_bad(scenario) ? 0 : is_class(scenario, "pass") ? 2 : 1]++;
        counts[3]++;
    }
}

/* The statuses, the worst first, with the class that colours them and the section that has them. */
static const struct {
    const char *status;
    const char *class;
    const char *section;
} STATUSES[] = {{"fail", "fail", "failed"},           {"harness error", "fail", "failed"},
                {"expected fail", "odd", "expected"}, {"untestable", "odd", "untested"},
                {"unsupported", "odd", "untested"},   {"pass", "pass", "scenarios"}};

static void write_counts(FILE *out, const cJSON *run) {
    const cJSON *counts = cJSON_GetObjectItemCaseSensitive(run, "counts");
    fputs("<p class=\"counts\">", out);
    for (size_t i = 0; i < sizeof STATUSES / sizeof *STATUSES; i++) {
        double count = format_number(counts, STATUSES[i].status);
        if (count > 0)
            fprintf(out, "<a href=\"#%s\" class=\"%s\"><b>%.0f</b> %s</a> ", STATUSES[i].section,
                    STATUSES[i].class, count, STATUSES[i].status);
    }
    if (format_number(run, "skipped") > 0)
        fprintf(out, "<span class=\"odd\"><b>%.0f</b> not run</span>",
                format_number(run, "skipped"));
    fputs("</p>\n", out);
}

static void write_about(FILE *out, const cJSON *run) {
    const char *role = *format_text(run, "client") != '\0' ? "client" : "server";
    fprintf(out, "<dl><dt>%s<dd><code>", role);
    format_write_content(out, format_text(run, role), strlen(format_text(run, role)));
    fprintf(out, "</code>\n<dt>run<dd>%u scenarios, %.0f checks in %.2f s, seed %s\n",
            count_class(run, NULL), format_number(run, "checks"), format_number(run, "seconds"),
            format_text(run, "seed"));
    fprintf(out, "<dt>suite<dd>%s %s, %s</dl>\n", format_text(run, "suite"),
            format_text(run, "version"), format_text(run, "protocol"));
}

/* Of more than a line the first is what to read. */
static void write_trouble(FILE *out, const char *text) {
    size_t len = strcspn(text, "\n");
    bool is_long = text[len] == '\n';
    fputs(is_long ? "<details class=\"trouble\"><summary>" : "<p class=\"trouble\">", out);
    format_write_content(out, text, len);
    if (is_long) {
        fputs("</summary><pre tabindex=\"0\">", out);
        format_write_content(out, text + len + 1, strlen(text + len + 1));
    }
    fputs(is_long ? "</pre></details>\n" : "</p>\n", out);
}

/* Large up to where the reason begins. */
static void write_verdict(FILE *out, const cJSON *run, const unsigned counts[4]) {
    const char *verdict = format_text(run, "verdict");
    size_t len = strcspn(verdict, ":;");
    bool is_good = format_number(run, "exit") == 0 && count_class(run, "expected") == 0;
    fprintf(out, "<h1 class=\"%s\">", counts[0] > 0 ? "fail" : is_good ? "pass" : "odd");
    format_write_content(out, verdict, len);
    fputs("</h1>\n", out);
    if (verdict[len] == '\0')
        return;
    len += 1 + strspn(verdict + len + 1, " ");
    fputs("<p class=\"reason\">", out);
    format_write_content(out, verdict + len, strlen(verdict + len));
    fputs("</p>\n", out);
}

static void write_header(FILE *out, const cJSON *run) {
    const cJSON *trouble;
    unsigned counts[4];
    count_family(run, NULL, counts);
    counts[3] = 0;
    fputs("<header><p class=\"dim\">Athena Sync conformance</p>\n", out);
    write_verdict(out, run, counts);
    write_bar(out, counts);
    write_counts(out, run);
    cJSON_ArrayForEach(trouble, cJSON_GetObjectItemCaseSensitive(run, "troubles")) {
        write_trouble(out, trouble->valuestring);
    }
    write_about(out, run);
    fputs("</header>\n", out);
}

static void write_contents_line(FILE *out, const char *id, const char *name, unsigned count) {
    if (count > 0)
        fprintf(out, "<a href=\"#%s\">%s&nbsp;<b>%u</b></a>\n", id, name, count);
}

/* The filter needs the script, which shows it. */
static void write_contents(FILE *out, const cJSON *run, const cJSON *broken) {
    fputs("<nav aria-label=\"Contents\"><div>\n", out);
    write_contents_line(out, "broken", "Broken", (unsigned)cJSON_GetArraySize(broken));
    write_contents_line(out, "failed", "Failed",
                        count_class(run, "fail") + count_class(run, "error"));
    write_contents_line(out, "expected", "Expected", count_class(run, "expected"));
    write_contents_line(out, "untested", "Not&nbsp;tested", count_class(run, "untested"));
    write_contents_line(out, "scenarios", "Scenarios", count_class(run, NULL));
    write_contents_line(
        out, "requirements", "Requirements",
        (unsigned)cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(run, "requirements")));
    fputs("</div><form hidden><input id=\"q\" type=\"search\" placeholder=\"name, id or word\" "
          "aria-label=\"Filter\" title=\"/\"><select id=\"s\" aria-label=\"Status\">"
          "<option value=\"\">any status<option value=\"fail error\">failed<option "
          "value=\"expected\">expected<option value=\"untested\">not tested<option "
          "value=\"pass\">passed</select><output for=\"q s\"></output></form></nav>\n",
          out);
}

/* ---- What is broken -------------------------------------------------------------------------- */

/* {ID: how many scenarios broke it}, the most first; "" for those that have none. cJSON_Delete it.
 */
static cJSON *count_broken(const cJSON *run) {
    const cJSON *scenario;
    cJSON *counts = cJSON_CreateObject();
    cJSON *sorted = cJSON_CreateObject();
    cJSON_ArrayForEach(scenario, scenarios_of(run)) {
        const char *id = format_text(scenario, "requirement");
        cJSON *count = cJSON_GetObjectItemCaseSensitive(counts, id);
        if (!is_bad(scenario))
            continue;
        if (count == NULL)
            cJSON_AddNumberToObject(counts, id, 1);
        else
            cJSON_SetNumberValue(count, count->valuedouble + 1);
    }
    while (counts->child != NULL) {
        cJSON *most = counts->child;
        for (cJSON *other = most->next; other != NULL; other = other->next)
            if (other->valuedouble > most->valuedouble)
                most = other;
        cJSON_AddNumberToObject(sorted, most->string, most->valuedouble);
        cJSON_Delete(cJSON_DetachItemViaPointer(counts, most));
    }
    cJSON_Delete(counts);
    return sorted;
}

static void write_broken(FILE *out, const cJSON *run, const cJSON *broken) {
    const cJSON *sentences = cJSON_GetObjectItemCaseSensitive(run, "requirements");
    const cJSON *count;
    fputs(
        "<section id=\"broken\"><h2>Broken requirements</h2>\n<p class=\"dim\">A scenario ends at "
        "the first thing that is wrong, so what breaks most scenarios hides most of the rest."
        "</p>\n<table class=\"broken\">\n",
        out);
    cJSON_ArrayForEach(count, broken) {
        bool is_named = *count->string != '\0';
        format_write_anchor(out, "<tr><td><a href=\"#failed-", count->string, "\">");
        format_write_anchor(out, is_named ? "" : "no requirement", count->string, "</a><td>");
        format_write_prose(out, is_named ? format_text(sentences, count->string)
                                         : "The harness or a scenario is at fault.");
        fprintf(out, "<td class=\"n\">%d scenario%s\n", count->valueint,
                plural((unsigned)count->valueint));
    }
    fputs("</table></section>\n", out);
}

static void write_failed(FILE *out, const cJSON *run, const cJSON *broken) {
    const cJSON *count;
    const cJSON *scenario;
    int open = 0;
    fputs("<section id=\"failed\"><h2>Failed scenarios</h2>\n", out);
    cJSON_ArrayForEach(count, broken) {
        bool is_first = true;
        format_write_anchor(out, "<div class=\"group\" id=\"failed-", count->string, "\"><h3>");
        format_write_anchor(out, *count->string != '\0' ? "" : "no requirement", count->string, "");
        fprintf(out, " <small>%d scenario%s</small></h3>\n", count->valueint,
                plural((unsigned)count->valueint));
        cJSON_ArrayForEach(scenario, scenarios_of(run)) {
            if (!is_bad(scenario) || !is_of(scenario, "requirement", count->string))
                continue;
            format_write_scenario(scenario, is_first && open < OPEN_MAX, out);
            open += is_first;
            is_first = false;
        }
        fputs("</div>\n", out);
    }
    fputs("</section>\n", out);
}

static void write_class(FILE *out, const cJSON *run, const char *class, const char *name) {
    const cJSON *scenario;
    fprintf(out, "<section id=\"%s\" class=\"group\"><h2>%s</h2>\n", class, name);
    cJSON_ArrayForEach(scenario, scenarios_of(run)) {
        if (is_class(scenario, class))
            format_write_scenario(scenario, false, out);
    }
    fputs("</section>\n", out);
}

/* ---- Families -------------------------------------------------------------------------------- */

/* Whether no scenario before it is of its family. */
static bool begins_family(const cJSON *run, const cJSON *scenario) {
    const cJSON *earlier;
    cJSON_ArrayForEach(earlier, scenarios_of(run)) {
        if (earlier == scenario)
            return true;
        if (is_of(earlier, "family", format_text(scenario, "family")))
            return false;
    }
    return true;
}

/* What stands further up in full. */
static void write_pointer(FILE *out, const cJSON *scenario) {
    const char *name = format_text(scenario, "name");
    fprintf(out, "<p class=\"scenario\" data-status=\"%s\"><span class=\"mark %s\">%s %s</span> ",
            format_status_class(scenario), format_status_class(scenario),
            format_status_mark(scenario), format_text(scenario, "status"));
    format_write_anchor(out, "<a href=\"#", name, "\">");
    format_write_content(out, name, strlen(name));
    fputs("</a> <span class=\"title\">", out);
    format_write_prose(out, format_text(scenario, "title"));
    fputs("</span></p>\n", out);
}

static void write_family(FILE *out, const cJSON *run, const char *family) {
    const cJSON *scenario;
    unsigned counts[4];
    count_family(run, family, counts);
    format_write_anchor(out, "<details class=\"group\" id=\"family-", family, "\"><summary><b>");
    format_write_anchor(out, "", family, "</b>");
    fprintf(out, " <span class=\"n\">%u of %u</span> ", counts[2], counts[3]);
    counts[3] = 0;
    write_bar(out, counts);
    fputs("</summary>\n", out);
    cJSON_ArrayForEach(scenario, scenarios_of(run)) {
        if (!is_of(scenario, "family", family))
            continue;
        if (is_class(scenario, "pass"))
            format_write_scenario(scenario, false, out);
        else
            write_pointer(out, scenario);
    }
    fputs("</details>\n", out);
}

static void write_families(FILE *out, const cJSON *run) {
    const cJSON *scenario;
    fputs("<section id=\"scenarios\"><h2>Scenarios</h2>\n", out);
    cJSON_ArrayForEach(scenario, scenarios_of(run)) {
        if (begins_family(run, scenario))
            write_family(out, run, format_text(scenario, "family"));
    }
    fputs("</section>\n", out);
}

/* ---- Requirements ---------------------------------------------------------------------------- */

static bool cites(const cJSON *scenario, const char *requirement) {
    const cJSON *id;
    cJSON_ArrayForEach(id, cJSON_GetObjectItemCaseSensitive(scenario, "requirements")) {
        if (strcmp(id->valuestring, requirement) == 0)
            return true;
    }
    return false;
}

/* What one scenario says of a requirement. */
enum says { SAYS_NOTHING, SAYS_UNKNOWN, SAYS_SHOWN, SAYS_EXPECTED, SAYS_BROKEN, SAYS_LEN };

static enum says judge(const cJSON *scenario, const char *requirement) {
    if (is_of(scenario, "requirement", requirement))
        return is_class(scenario, "expected") ? SAYS_EXPECTED : SAYS_BROKEN;
    if (!cites(scenario, requirement))
        return SAYS_NOTHING;
    return is_class(scenario, "pass") ? SAYS_SHOWN : SAYS_UNKNOWN;
}

static const struct {
    const char *name; /* of the requirements of which this is the strongest that is said */
    const char *note;
    const char *class;
    const char *mark;
} SAYINGS[SAYS_LEN] = {
    {"Not looked at", "no scenario of this run is about them", "none", "–"},
    {"Not shown", "scenarios about them ended too early, or were not run", "none", "–"},
    {"Shown", "", "pass", "✓"},
    {"Broken as expected", "", "odd", "~"},
    {"Broken", "", "fail", "✗"},
};

static enum says judge_all(const cJSON *run, const char *requirement) {
    const cJSON *scenario;
    enum says strongest = SAYS_NOTHING;
    cJSON_ArrayForEach(scenario, scenarios_of(run)) {
        enum says says = judge(scenario, requirement);
        strongest = says > strongest ? says : strongest;
    }
    return strongest;
}

/* The scenarios that say this of it; repetitions say nothing new unless they break it. */
static void write_witnesses(FILE *out, const cJSON *run, const char *requirement, enum says says) {
    const cJSON *scenario;
    cJSON_ArrayForEach(scenario, scenarios_of(run)) {
        const char *name = format_text(scenario, "name");
        bool is_news = says >= SAYS_EXPECTED || format_number(scenario, "round") == 0;
        if (judge(scenario, requirement) != says || !is_news)
            continue;
        fprintf(out, "<span class=\"%s\">%s ", SAYINGS[says].class, SAYINGS[says].mark);
        format_write_anchor(out, "<a href=\"#", name, "\">");
        format_write_content(out, name, strlen(name));
        fputs("</a></span> ", out);
    }
}

static void write_requirement(FILE *out, const cJSON *run, const cJSON *sentence, enum says says) {
    fprintf(out, "<tr id=\"%s\" data-status=\"\"><td class=\"%s\">%s <b>%s</b><td>",
            sentence->string, SAYINGS[says].class, SAYINGS[says].mark, sentence->string);
    format_write_prose(out, sentence->valuestring);
    fputs("<td>", out);
    for (int strength = SAYS_LEN - 1; strength > SAYS_NOTHING; strength--)
        write_witnesses(out, run, sentence->string, (enum says)strength);
    fputc('\n', out);
}

static void write_saying(FILE *out, const cJSON *run, const cJSON *sentences, enum says says) {
    const cJSON *sentence;
    unsigned count = 0;
    cJSON_ArrayForEach(sentence, sentences) {
        count += judge_all(run, sentence->string) == says;
    }
    if (count == 0)
        return;
    fprintf(out,
            "<details class=\"group\"%s><summary><b class=\"%s\">%s %s</b> <span class=\"n\">%u"
            "</span> <span class=\"dim\">%s</span></summary>\n<table class=\"matrix\"><tbody>\n",
            says >= SAYS_EXPECTED ? " open" : "", SAYINGS[says].class, SAYINGS[says].mark,
            SAYINGS[says].name, count, SAYINGS[says].note);
    cJSON_ArrayForEach(sentence, sentences) {
        if (judge_all(run, sentence->string) == says)
            write_requirement(out, run, sentence, says);
    }
    fputs("</table></details>\n", out);
}

static void write_matrix(FILE *out, const cJSON *run) {
    const cJSON *sentences = cJSON_GetObjectItemCaseSensitive(run, "requirements");
    fputs("<section id=\"requirements\"><h2>Requirements</h2>\n<p class=\"dim\">What this run says "
          "of each. A scenario <span class=\"fail\">✗ broke</span> it, <span class=\"pass\">✓ shows"
          "</span> it, <span class=\"odd\">~ broke it as expected</span>, or – would show it, but "
          "ended before or was not run.</p>\n",
          out);
    for (int says = SAYS_LEN - 1; says >= 0; says--)
        write_saying(out, run, sentences, (enum says)says);
    fputs("</section>\n", out);
}

void format_write_html(const cJSON *run, FILE *out) {
    cJSON *broken = count_broken(run);
    fputs(HEAD, out);
    format_write_content(out, format_text(run, "verdict"), strlen(format_text(run, "verdict")));
    fprintf(out, " – Athena Sync conformance</title>\n<style>%s</style></head>\n<body>\n",
            format_html_style);
    fputs(ARROWS, out);
    write_header(out, run);
    write_contents(out, run, broken);
    fputs("<main>\n", out);
    if (broken->child != NULL) {
        write_broken(out, run, broken);
        write_failed(out, run, broken);
    }
    if (count_class(run, "expected") > 0)
        write_class(out, run, "expected", "Failed as expected");
    if (count_class(run, "untested") > 0)
        write_class(out, run, "untested", "Not tested");
    write_families(out, run);
    write_matrix(out, run);
    fprintf(out, "</main>\n<script>%s</script></body></html>\n", format_html_script);
    cJSON_Delete(broken);
}
