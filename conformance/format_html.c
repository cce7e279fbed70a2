/*
 * One self-contained page: the verdict, families, each scenario with its drawing and transcript,
 * what failed first, and the requirements with the scenarios that cite them.
 */
#include "conformance/format.h"
#include "conformance/json_write.h"

#include <stdbool.h>
#include <string.h>

static const char STYLE[] =
    ":root{color-scheme:light dark;--ok:#1a7f37;--bad:#cf222e;--odd:#9a6700;--line:#d0d7de;"
    "--soft:#f6f8fa;--dim:#59636e;--text:#1f2328;--page:#fff;--link:#0969da}"
    "@media(prefers-color-scheme:dark){:root{--ok:#3fb950;--bad:#f85149;--odd:#d29922;"
    "--line:#3d444d;--soft:#151b23;--dim:#9198a1;--text:#f0f6fc;--page:#0d1117;--link:#4493f8}}"
    "*{box-sizing:border-box}body{margin:0 auto;max-width:72rem;padding:1.5rem 1rem 4rem;"
    "font:16px/1.5 system-ui,sans-serif;color:var(--text);background:var(--page)}"
    "h1{font-size:1.6rem;margin:0}h2{font-size:1.2rem;margin:2.5rem 0 .75rem}"
    "code,pre{font:13px/1.5 ui-monospace,monospace}pre{overflow-x:auto;margin:.5rem 0;"
    "padding:.75rem;background:var(--soft);border:1px solid var(--line);border-radius:6px}"
    ".verdict{display:inline-block;margin:.75rem 0;padding:.35rem .9rem;border-radius:6px;"
    "font-weight:600}div.verdict.pass{color:#fff;background:#1a7f37}div.verdict.fail{color:#fff;"
    "background:#b62324}"
    ".dim{color:var(--dim)}.meta{overflow-wrap:anywhere}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;"
    "padding:.35rem .6rem .35rem 0;border-bottom:1px solid var(--line)}td.n{width:4rem}"
    ".bar{display:flex;height:.6rem;min-width:6rem;margin-top:.5rem;border-radius:3px;"
    "overflow:hidden;background:var(--line)}.bar i{background:var(--ok)}.bar "
    "b{background:var(--bad)}"
    ".bar u{background:var(--odd)}.pass{color:var(--ok)}.fail,.error{color:var(--bad)}.odd{color:"
    "var(--odd)}details{border-bottom:1px solid var(--line)}summary{cursor:pointer;padding:.45rem "
    "0;"
    "display:flex;flex-wrap:wrap;gap:0 .75rem}summary::-webkit-details-marker{display:none}"
    "summary .mark{width:6.5rem;font-weight:600}summary .name{font-weight:600;flex:0 0 auto}"
    "summary .title{flex:1 1 20rem}.body{padding:0 0 1rem}dl{display:grid;"
    "grid-template-columns:7rem minmax(0,1fr);gap:.25rem .75rem;margin:.5rem 0}dt{color:var(--dim)}"
    "mark{padding:0 .15em;border-radius:3px;color:inherit;background:color-mix(in srgb,var(--bad) "
    "30%,transparent)}"
    "dd{margin:0;overflow-wrap:anywhere}a{color:var(--link);text-decoration:none}"
    ".drawing{overflow-x:auto}svg{font:12px ui-monospace,monospace;fill:currentColor}"
    "input,select{font:inherit;color:inherit;background:var(--page);border:1px solid var(--line);"
    "border-radius:6px;padding:.35rem .6rem;max-width:100%}.filter{display:flex;gap:.5rem;"
    "flex-wrap:wrap;margin-bottom:.75rem}@media(max-width:40rem){dl{grid-template-columns:minmax(0,"
    "1fr)}td{overflow-wrap:anywhere}"
    "dt{margin-top:.4rem}summary .mark{width:auto}.wide{display:none}}";

static const char SCRIPT[] =
    "const q=document.getElementById('q'),s=document.getElementById('s');"
    "const show=()=>{for(const d of document.querySelectorAll('#scenarios details'))"
    "d.hidden=!((!s.value||d.dataset.status===s.value)&&d.dataset.words.includes(q.value."
    "toLowerCase()))};q.oninput=s.oninput=show;"
    "const open=()=>{const d=document.getElementById(decodeURIComponent(location.hash.slice(1)));"
    "if(d)d.open=true};addEventListener('hashchange',open);open();";

static const char *class_of(const char *status) {
    if (strcmp(status, "pass") == 0)
        return "pass";
    if (strcmp(status, "fail") == 0)
        return "fail";
    return strcmp(status, "harness error") == 0 ? "error" : "odd";
}

static void write_text(FILE *out, const char *before, const char *text, const char *after) {
    fputs(before, out);
    format_write_escaped(out, text);
    fputs(after, out);
}

static const cJSON *scenarios_of(const cJSON *run) {
    return cJSON_GetObjectItemCaseSensitive(run, "scenarios");
}

/* ---- The whole ---- */

static void write_summary(FILE *out, const cJSON *run) {
    const cJSON *count;
    const cJSON *trouble;
    bool good = format_number(run, "exit") == 0;
    fputs("<h1>Athena Sync conformance</h1>\n", out);
    fprintf(out, "<div class=\"verdict %s\">", good ? "pass" : "fail");
    write_text(out, "", format_text(run, "verdict"), "</div>\n<p>");
    cJSON_ArrayForEach(count, cJSON_GetObjectItemCaseSensitive(run, "counts")) {
        fprintf(out, "<strong class=\"%s\">%d %s</strong> · ", class_of(count->string),
                count->valueint, count->string);
    }
    fprintf(out, "%.0f checks · %.2f s</p>\n", format_number(run, "checks"),
            format_number(run, "seconds"));
    const char *role = *format_text(run, "client") != '\0' ? "client" : "server";
    fprintf(out, "<p class=\"dim meta\">%s <code>", role);
    write_text(out, "", format_text(run, role), "</code>");
    write_text(out, "<br>seed ", format_text(run, "seed"), "");
    write_text(out, " · athena-conform ", format_text(run, "version"), "");
    write_text(out, " · ", format_text(run, "protocol"), "</p>\n");
    cJSON_ArrayForEach(trouble, cJSON_GetObjectItemCaseSensitive(run, "troubles")) {
        write_text(out, "<pre class=\"error\">", trouble->valuestring, "</pre>\n");
    }
    if (format_number(run, "skipped") > 0)
        fprintf(out, "<p class=\"odd\">%.0f scenarios were not run.</p>\n",
                format_number(run, "skipped"));
}

static unsigned count_family(const cJSON *run, const char *family, const char *kind) {
    const cJSON *scenario;
    unsigned number = 0;
    cJSON_ArrayForEach(scenario, scenarios_of(run)) {
        bool is_kind =
            *kind == '\0' || strcmp(class_of(format_text(scenario, "status")), kind) == 0;
        number += is_kind && strcmp(format_text(scenario, "family"), family) == 0;
    }
    return number;
}

static void write_families(FILE *out, const cJSON *run) {
    const cJSON *scenario;
    const char *last = "";
    fputs("<h2>Families</h2>\n<table>\n", out);
    cJSON_ArrayForEach(scenario, scenarios_of(run)) {
        const char *family = format_text(scenario, "family");
        if (strcmp(family, last) == 0)
            continue;
        last = family;
        unsigned all = count_family(run, family, "");
        unsigned passed = count_family(run, family, "pass");
        unsigned odd = count_family(run, family, "odd");
        write_text(out, "<tr><td>", family, "");
        fprintf(out,
                "<td class=\"n\">%u/%u<td><span class=\"bar\"><i style=\"flex:%u\"></i>"
                "<b style=\"flex:%u\"></b><u style=\"flex:%u\"></u></span></tr>\n",
                passed, all, passed, all - passed - odd, odd);
    }
    fputs("</table>\n", out);
}

/* ---- Scenarios ---- */

static void write_row(FILE *out, const char *name, const char *text, bool is_code) {
    if (*text == '\0')
        return;
    fprintf(out, "<dt>%s<dd>", name);
    write_text(out, is_code ? "<code>" : "", text, is_code ? "</code>\n" : "\n");
}

/* What differs stands out. */
static void write_marked(FILE *out, const cJSON *scenario, const char *name) {
    const char *text = format_text(scenario, name);
    size_t from;
    size_t len;
    if (!json_find(text, format_text(scenario, "pointer"), &from, &len)) {
        write_row(out, name, text, true);
        return;
    }
    fprintf(out, "<dt>%s<dd><code>", name);
    format_write_escaped_part(out, text, from);
    fputs("<mark>", out);
    format_write_escaped_part(out, text + from, len);
    write_text(out, "</mark>", text + from + len, "</code>\n");
}

static void write_requirements_of(FILE *out, const cJSON *scenario) {
    const cJSON *id;
    fputs("<dt>requirements<dd>", out);
    cJSON_ArrayForEach(id, cJSON_GetObjectItemCaseSensitive(scenario, "requirements")) {
        fprintf(out, "<a href=\"#%s\">%s</a> ", id->valuestring, id->valuestring);
    }
    fputc('\n', out);
}

static void write_transcript(FILE *out, const cJSON *scenario) {
    const cJSON *transcript = cJSON_GetObjectItemCaseSensitive(scenario, "transcript");
    const cJSON *line;
    if (cJSON_GetArraySize(transcript) == 0)
        return;
    fputs("<div class=\"drawing\">", out);
    format_write_sequence(transcript, format_text(scenario, "tested"), out);
    fputs("</div>\n<pre>", out);
    cJSON_ArrayForEach(line, transcript) {
        write_text(out, "", line->valuestring, "\n");
    }
    fputs("</pre>\n", out);
}

static void write_scenario(FILE *out, const cJSON *scenario) {
    const char *status = format_text(scenario, "status");
    const char *kind = class_of(status);
    bool is_bad = strcmp(kind, "fail") == 0 || strcmp(kind, "error") == 0;
    write_text(out, "<details id=\"", format_text(scenario, "name"), "\" ");
    fprintf(out, "data-status=\"%s\" %sdata-words=\"", kind, is_bad ? "open " : "");
    write_text(out, "", format_text(scenario, "name"), " ");
    write_text(out, "", format_text(scenario, "requirement"), "\">\n");
    fprintf(out, "<summary><span class=\"mark %s\">%s</span>", kind, status);
    write_text(out, "<span class=\"name\">", format_text(scenario, "name"), "</span>");
    write_text(out, "<span class=\"title dim\">", format_text(scenario, "title"), "</span>");
    fprintf(out, "<span class=\"dim wide\">%.1f ms</span></summary>\n<div class=\"body\"><dl>\n",
            format_number(scenario, "ms"));
    write_row(out, "broken", format_text(scenario, "sentence"), false);
    write_row(out, "problem", format_text(scenario, "message"), false);
    write_row(out, "expected for", format_text(scenario, "reason"), false);
    write_marked(out, scenario, "expected");
    write_marked(out, scenario, "received");
    write_row(out, "step", format_text(scenario, "step"), true);
    write_row(out, "why", format_text(scenario, "why"), false);
    write_requirements_of(out, scenario);
    write_row(out, "replay", format_text(scenario, "replay"), true);
    fputs("</dl>\n", out);
    write_transcript(out, scenario);
    if (*format_text(scenario, "server_log") != '\0')
        fprintf(out, "<p class=\"dim\">The %s printed</p>", format_text(scenario, "tested"));
    if (*format_text(scenario, "server_log") != '\0')
        write_text(out, "<pre>", format_text(scenario, "server_log"), "</pre>\n");
    fputs("</div></details>\n", out);
}

static void write_scenarios(FILE *out, const cJSON *run) {
    const cJSON *scenario;
    fputs("<h2>Scenarios</h2>\n<div class=\"filter\"><input id=\"q\" type=\"search\" "
          "placeholder=\"name\" aria-label=\"filter by name\"><select id=\"s\" "
          "aria-label=\"filter by status\"><option value=\"\">all<option>pass<option>fail"
          "<option>error<option value=\"odd\">not tested</select></div>\n<div id=\"scenarios\">\n",
          out);
    for (int green = 0; green <= 1; green++) { /* what failed comes first */
        cJSON_ArrayForEach(scenario, scenarios_of(run)) {
            bool is_green = strcmp(format_text(scenario, "status"), "pass") == 0;
            if (is_green == (green == 1))
                write_scenario(out, scenario);
        }
    }
    fputs("</div>\n", out);
}

/* ---- Requirements ---- */

static bool cites(const cJSON *scenario, const char *requirement) {
    const cJSON *id;
    cJSON_ArrayForEach(id, cJSON_GetObjectItemCaseSensitive(scenario, "requirements")) {
        if (strcmp(id->valuestring, requirement) == 0)
            return true;
    }
    return strcmp(format_text(scenario, "requirement"), requirement) == 0;
}

static void write_requirement(FILE *out, const cJSON *run, const cJSON *sentence) {
    const cJSON *scenario;
    fprintf(out, "<tr id=\"%s\"><td><code>%s</code>", sentence->string, sentence->string);
    write_text(out, "<td>", sentence->valuestring, "<td>");
    cJSON_ArrayForEach(scenario, scenarios_of(run)) {
        if (!cites(scenario, sentence->string))
            continue;
        fprintf(out, "<a class=\"%s\" ", class_of(format_text(scenario, "status")));
        write_text(out, "href=\"#", format_text(scenario, "name"), "\">");
        write_text(out, "", format_text(scenario, "name"), "</a><br>");
    }
    fputs("</tr>\n", out);
}

static void write_matrix(FILE *out, const cJSON *run) {
    const cJSON *sentence;
    fputs("<h2>Requirements</h2>\n<table>\n", out);
    cJSON_ArrayForEach(sentence, cJSON_GetObjectItemCaseSensitive(run, "requirements")) {
        write_requirement(out, run, sentence);
    }
    fputs("</table>\n", out);
}

void format_write_html(const cJSON *run, FILE *out) {
    fprintf(out,
            "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" "
            "content=\"width=device-width,initial-scale=1\"><title>Athena Sync conformance</title>"
            "<style>%s</style>\n",
            STYLE);
    write_summary(out, run);
    write_families(out, run);
    write_scenarios(out, run);
    write_matrix(out, run);
    fprintf(out, "<script>%s</script>\n", SCRIPT);
}
