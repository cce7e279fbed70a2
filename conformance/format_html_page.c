/* The page's style and script, as they are written. */
#include "conformance/format.h"

/* A text of that name with what the file holds, which is found from where make runs. */
#define HOLD(name, path)                                                                           \
    __asm__(".section .rodata\n.global " #name "\n" #name ":\n.incbin \"" path                     \
            "\"\n.byte 0\n.previous\n")

HOLD(format_html_style, "conformance/page.css");
HOLD(format_html_script, "conformance/page.js");
