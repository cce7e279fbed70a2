/* The HTML page, made from results as a run has them: what a failure must show, what a drawing must
 * not leave out, what a run says of a requirement, and that nothing a server sends is taken for
 * markup. */
#include "conformance/format.h"
#include "conformance/memory.h"
#include "conformance/tests/support_main.h"

#include <stdlib.h>
#include <string.h>

static char *label(const char *text, bool names_documents) {
    char *written = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&written, &len);
    format_write_label(text, names_documents, out);
    fclose(out);
    return written;
}

static char *page(const char *scenarios) {
    char *text =
        memory_format("{\"verdict\":\"not conformant\",\"exit\":1,\"counts\":{\"fail\":1},"
                      "\"requirements\":{\"ASP-A-1\":\"A server MUST `a`.\",\"ASP-A-2\":"
                      "\"It MUST b.\",\"ASP-A-3\":\"It MUST c.\",\"ASP-A-4\":\"It MUST d.\"},"
                      "\"scenarios\":[%s]}",
                      scenarios);
    cJSON *run = cJSON_Parse(text);
    char *written = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&written, &len);
    ck_assert_ptr_nonnull(run);
    format_write_html(run, out);
    fclose(out);
    cJSON_Delete(run);
    free(text);
    return written;
}

static const char FAILED[] =
    "{\"name\":\"live/relay\",\"family\":\"live\",\"tested\":\"server\",\"title\":\"It relays\","
    "\"why\":\"Because.\",\"path\":\"f/live/relay.json\",\"requirements\":[\"ASP-A-2\"],"
    "\"status\":\"fail\",\"line\":12,\"replay\":\"athena-conform live/relay\","
    "\"requirement\":\"ASP-A-1\",\"sentence\":\"A server MUST `a`.\",\"message\":\"it differs\","
    "\"expected\":\"{\\\"n\\\":4}\",\"received\":\"{\\\"n\\\":3}\",\"pointer\":\"/n\","
    "\"step\":\"{\\\"push\\\":1}\",\"server_log\":\"listening\",\"omitted\":7,\"transcript\":["
    "\"     1.00 ms  alice    * connects to 127.0.0.1:1/\","
    "\"     2.00 ms  server   * killed\",\"     3.00 ms  server   * started\","
    "\"     4.00 ms  alice    < {\\\"type\\\":\\\"pushed\\\",\\\"req\\\":2}\"]}";

static void has(const char *html, const char *part) {
    ck_assert_msg(strstr(html, part) != NULL, "%s\n\nis not in\n\n%s", part, html);
}

START_TEST(messages_in_few_words) {
    static const struct {
        const char *text;
        const char *label;
    } rows[] = {
        {"{\"type\":\"pushed\",\"req\":3,\"doc\":\"d\",\"duplicates\":[],\"rejected\":[]}",
         "<b>pushed</b><i> req 3</i>"},
        {"{\"type\":\"pushed\",\"req\":3,\"rejected\":[{\"index\":0,\"code\":\"too-large\"}]}",
         "<b>pushed</b> 1 rejected too-large<i> req 3</i>"},
        {"{\"type\":\"push\",\"doc\":\"d\",\"changes\":[{\"id\":\"ab12:9cd34ac… (69 bytes)\"}]}",
         "<b>push</b> 1 change<i> 9cd34ac…</i>"},
        {"{\"type\":\"get\",\"ids\":[\"a\",\"b\",\"… 6 more\"]}", "<b>get</b> 8 ids<i></i>"},
        {"{\"type\":\"listed\",\"changes\":[],\"more\":false}",
         "<b>listed</b> 0 changes more false<i></i>"},
        {"{\"type\":\"list\",\"after\":\"AAAAAAAAABBBBBBCCCDDDD\",\"limit\":2}",
         "<b>list</b> limit 2<i> after …CCCDDDD</i>"},
        {"{\"type\":\"error\",\"code\":\"unknown-cursor\",\"message\":\"/after: \\\"<b>\\\"\"}",
         "<b>error</b> unknown-cursor<i> /after: \"&lt;b&gt;\"</i>"},
        {"{\"event\":\"change\",\"number\":1,\"id\":\"ab:0123456789\",\"own\":true}",
         "<b>change</b> number 1 own<i> 0123456…</i>"},
        {"{\"cmd\":\"sync\",\"id\":2}", "<b>sync</b><i> id 2</i>"},
        {"{\"type\":\"</b><script>\"}", "<b>&lt;/b&gt;&lt;script&gt;</b><i></i>"},
        {"{\"type\":\"error\",\"code\":\"a\\xe2\\\\x\\\"\",\"req\":1}",
         "<b>error</b> a\\xe2\\x\"<i> req 1</i>"},
        {"{\"type\":\"error\\", "{\"type\":\"error\\"},
        {"{\"a\":1}", "{\"a\":1}"},
        {"(close 4000 )", "close 4000"},
        {"()", ""},
        {"(frame opcode 10 fin, 7 bytes) unasked", "(frame opcode 10 fin, 7 bytes) unasked"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *written = label(rows[i].text, false);
        ck_assert_str_eq(written, rows[i].label);
        free(written);
    }
    char *written = label("{\"type\":\"close\",\"doc\":\"0123456789\"}", true);
    ck_assert_str_eq(written, "<b>close</b><i> doc 0123456…</i>");
    free(written);
}
END_TEST

START_TEST(failure_shows_everything) {
    char *html = page(FAILED);
    has(html,
        "<dd class=\"broken\"><a href=\"#ASP-A-1\">ASP-A-1</a> A server MUST <code>a</code>.");
    has(html, "<dd class=\"problem\">it differs\n");
    has(html, "{\"n\":<mark>4</mark>}");
    has(html, "{\"n\":<mark>3</mark>}");
    has(html, "f/live/relay.json:12</span> {\"push\":1}");
    has(html, "<dd class=\"\">Because.");
    has(html, "<a href=\"#ASP-A-2\">ASP-A-2</a>");
    has(html, "athena-conform live/relay</code>");
    has(html, "7 earlier lines are left out");
    has(html, "(7 lines before)\n     1.00 ms  alice    * connects to 127.0.0.1:1/\n");
    has(html, ">listening</pre>");
    free(html);
}
END_TEST

START_TEST(drawing_shows_the_server) {
    char *html = page(FAILED);
    has(html, "class=\"x\">✕</text>");
    has(html, "class=\"l off\"/>");
    has(html, "<li class=\"life\"><u>2.0</u>server killed");
    has(html, "<li class=\"life\"><u>3.0</u>server started");
    has(html, "<li><u>4.0</u><b>pushed</b>");
    has(html, "<b>✗ ASP-A-1</b> it differs");
    free(html);
}
END_TEST

/* Who is in a column of more connections than there are columns is said. */
START_TEST(drawing_has_room_for_all) {
    struct bytes text = {0};
    for (int i = 0; i < 20; i++) {
        char *line = memory_format("%s\"     1.00 ms  c%-6d * connects\"", i > 0 ? "," : "", i);
        bytes_append(&text, line, strlen(line));
        free(line);
    }
    bytes_append(&text, "", 1);
    char *scenario = memory_format("{\"name\":\"a/b\",\"family\":\"a\",\"status\":\"pass\","
                                   "\"tested\":\"server\",\"transcript\":[%s]}",
                                   (char *)text.at);
    char *html = page(scenario);
    has(html, "--n:13;");
    has(html, "<li><u>1.0</u>connects");
    has(html, "<li><u>1.0</u>c19 connects");
    free(html);
    free(scenario);
    bytes_fini(&text);
}
END_TEST

START_TEST(matrix_tells_what_the_run_says) {
    char *scenarios =
        memory_format("%s,{\"name\":\"live/b\",\"family\":\"live\",\"status\":\"pass\","
                      "\"requirements\":[\"ASP-A-1\",\"ASP-A-3\"]}",
                      FAILED);
    char *html = page(scenarios);
    has(html, "<tr id=\"ASP-A-1\" data-status=\"\"><td class=\"fail\">✗ <b>ASP-A-1</b>");
    has(html, "<span class=\"fail\">✗ <a href=\"#live/relay\">live/relay</a></span> "
              "<span class=\"pass\">✓ <a href=\"#live/b\">live/b</a></span>");
    has(html, "<tr id=\"ASP-A-2\" data-status=\"\"><td class=\"none\">– <b>ASP-A-2</b>");
    has(html, "<span class=\"none\">– <a href=\"#live/relay\">live/relay</a></span>");
    has(html, "<tr id=\"ASP-A-3\" data-status=\"\"><td class=\"pass\">✓ <b>ASP-A-3</b>");
    has(html, "Not looked at</b> <span class=\"n\">1</span>");
    free(html);
    free(scenarios);
}
END_TEST

START_TEST(nothing_is_taken_for_markup) {
    static const char evil[] = "\\\"></script></pre><img src=x onerror=a()>&'";
    char *scenario = memory_format(
        "{\"name\":\"a/%s\",\"family\":\"%s\",\"title\":\"%s\",\"why\":\"%s\",\"path\":\"%s\","
        "\"requirements\":[\"%s\"],\"status\":\"fail\",\"line\":1,\"replay\":\"%s\","
        "\"requirement\":\"%s\",\"sentence\":\"%s\",\"message\":\"%s\",\"expected\":\"%s\","
        "\"received\":\"%s\",\"step\":\"%s\",\"server_log\":\"%s\",\"tested\":\"server\","
        "\"transcript\":[\"     1.00 ms  %s < %s\",\"     1.00 ms  a < "
        "{\\\"type\\\":\\\"</b>\\\"}\"]}",
        evil, evil, evil, evil, evil, evil, evil, evil, evil, evil, evil, evil, evil, evil, "a",
        evil);
    char *html = page(scenario);
    ck_assert_ptr_null(strstr(html, "<img"));
    ck_assert_ptr_null(strstr(html, "\"></script"));
    ck_assert_ptr_eq(strstr(html, "</script>"), strstr(html, "</script></body>"));
    free(html);
    free(scenario);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("Format");
    support_add(suite, "labels", messages_in_few_words);
    support_add(suite, "failure", failure_shows_everything);
    support_add(suite, "server", drawing_shows_the_server);
    support_add(suite, "columns", drawing_has_room_for_all);
    support_add(suite, "matrix", matrix_tells_what_the_run_says);
    support_add(suite, "markup", nothing_is_taken_for_markup);
    return support_main(suite);
}
