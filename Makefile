# Athena Sync Protocol: one non-recursive makefile. `make help` lists the targets.
#
# Sources are found by pattern, so that a new file needs no line here:
#   PART/*.c              the part's objects (main.c of a part is its program)
#   PART/tests/test_*.c   one Check program each, linked with the part and its tests/support*.c
#   PART/fuzz/fuzz_*.c    one libFuzzer target each (clang)
# Variants: `make SAN=1` builds with ASan and UBSan in build/asan, `make CC=clang BUILD=build/clang`.

VERSION  := 0.1.0
BUILD    ?= $(if $(SAN),build/asan,build)
PREFIX   ?= /usr/local
DESTDIR  ?=
PKGS     := libwebsockets libcjson libsodium sqlite3 openssl
NODE_DEPS = $(if $(shell command -v node),,nodejs) $(if $(shell command -v npm),,npm)
DEPS     := gcc g++ make pkg-config jq libwebsockets-dev libcjson-dev libsodium-dev libsqlite3-dev \
            libev-dev libwslay-dev libssl-dev openssl check libxml2-utils perl
DEV_DEPS := clang clang-format clang-tidy libclang-rt-14-dev shellcheck valgrind mandoc git chromium \
            spin

ifeq ($(origin CC),default) # make's own is cc
CC       := gcc
endif
WARN     := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes
OPT      ?= -O2 -g
comma    := ,
SANFLAGS := $(if $(SAN),-fsanitize=address$(comma)undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
CPPFLAGS += -D_GNU_SOURCE -DATHENA_VERSION='"$(VERSION)"' -I. $(PKG_CFLAGS)
CFLAGS   += -std=c11 $(WARN) $(OPT) $(SANFLAGS) -fPIC -fvisibility=hidden -MMD -MP
LDFLAGS  += $(SANFLAGS)
# Asked for once, when first used: `make deps conformance` installs pkg-config and the packages first.
PKG_CFLAGS = $(eval PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS)))$(PKG_CFLAGS)
LIBS       = $(eval LIBS := $(shell pkg-config --libs $(PKGS)) -lpthread)$(LIBS)
SERVER_LIBS = $(LIBS) -lwslay -lev
CHECK_LIBS = $(eval CHECK_LIBS := $(shell pkg-config --libs check))$(CHECK_LIBS)

objects = $(patsubst %.c,$(BUILD)/%.o,$(1))
sources = $(filter-out $(1)/main.c,$(wildcard $(1)/*.c))

PROTOCOL    := $(call objects,$(call sources,protocol))
SERVER      := $(call objects,$(call sources,reference-server))
CLIENT      := $(call objects,$(call sources,reference-client))
CLIENT_CLI  := $(call objects,$(wildcard reference-client/cli/*.c))
CONFORM     := $(call objects,$(call sources,conformance))
SIMULATION  := $(call objects,$(wildcard scripts/simulation/*.c))
BENCH       := $(call objects,$(wildcard scripts/bench/*.c))

PROGRAMS := $(addprefix $(BUILD)/,athena-syncd athena-sync athena-conform)
TOOLS    := $(addprefix $(BUILD)/,athena-simulate athena-bench)
LIBRARY  := $(addprefix $(BUILD)/,libathena-sync.a libathena-sync.so)
TESTS    := $(patsubst %.c,$(BUILD)/%,$(wildcard */tests/test_*.c))
FUZZERS  := $(patsubst %.c,build/fuzz/%,$(wildcard */fuzz/fuzz_*.c))
ALL_C     = $(shell git ls-files '*.c' '*.h' 2>/dev/null)
SHELL_SCRIPTS = .ci/run $(shell git grep -lE '^\#!.*sh$$' -- scripts)
DOC_MAN  := $(wildcard */*.1 */*.8)

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:

all: $(PROGRAMS) $(TOOLS) $(LIBRARY) ## build the programs and the library

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {gsub(/\$$\(BUILD\)/, "$(BUILD)"); printf "  %-14s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

# ---- set-up ----

deps: ## install the Debian packages that building and testing need
	@scripts/install-packages $(DEPS)

deps-dev: deps ## also what formatting, fuzzing, browsers and the JavaScript tools need
	@scripts/install-packages $(DEV_DEPS) $(NODE_DEPS)

# ---- compiling and linking ----

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

# It holds them.
$(BUILD)/conformance/format_html_page.o build/fuzz/conformance/format_html_page.o: \
    conformance/page.css conformance/page.js

# The engine in memory is for tests and the simulation.
$(BUILD)/athena-syncd: $(BUILD)/reference-server/main.o $(PROTOCOL) \
    $(filter-out %/store_memory.o,$(SERVER))
	$(CC) $(LDFLAGS) -o $@ $^ $(SERVER_LIBS)

# The command uses nothing but the library's public face, and links it whole.
$(BUILD)/athena-sync: $(CLIENT_CLI) $(BUILD)/libathena-sync.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/athena-conform: $(BUILD)/conformance/main.o $(CONFORM)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS) -lwslay

# Both sides have a session_new: the simulated client and what it is made of become one object, of
# which only what scripts/simulation/client.h shows can be seen.
SIMULATED_CLIENT := $(BUILD)/scripts/simulation/client.o
$(BUILD)/simulated-client.o: $(SIMULATED_CLIENT) $(CLIENT)
	$(LD) -r -o $@ $^
	objcopy --localize-hidden $@

$(BUILD)/athena-simulate: $(filter-out $(SIMULATED_CLIENT),$(SIMULATION)) \
    $(BUILD)/simulated-client.o $(SERVER) $(PROTOCOL)
	$(CC) $(LDFLAGS) -o $@ $^ $(SERVER_LIBS)

$(BUILD)/athena-bench: $(BENCH) $(BUILD)/libathena-sync.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

# One object, of which only the public names can be seen: an application may have a session_new, too.
$(BUILD)/libathena-sync.o: $(CLIENT) $(PROTOCOL)
	$(LD) -r -o $@ $^
	objcopy --localize-hidden $@

$(BUILD)/libathena-sync.a: $(BUILD)/libathena-sync.o
	rm -f $@
	$(AR) rcs $@ $^

SONAME := libathena-sync.so.0
$(BUILD)/libathena-sync.so: $(CLIENT) $(PROTOCOL)
	$(CC) -shared -Wl,-soname,$(SONAME) $(LDFLAGS) -o $@ $^ $(LIBS)

# ---- tests ----

test_support = $(call objects,$(wildcard $(1)/tests/support*.c))
define test_rule
$$(BUILD)/$(1)/tests/test_%: $$(BUILD)/$(1)/tests/test_%.o $$(call test_support,$(1)) $(2)
	$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(LIBS) $$(CHECK_LIBS) $(3)
endef
$(eval $(call test_rule,protocol,$(PROTOCOL)))
$(eval $(call test_rule,reference-server,$(SERVER) $(PROTOCOL),-lwslay -lev))
$(eval $(call test_rule,reference-client,$(CLIENT) $(PROTOCOL)))
$(eval $(call test_rule,conformance,$(CONFORM),-lwslay))
$(BUILD)/protocol/tests/test_json: LDFLAGS += -Wl,--wrap=memcmp,--wrap=json_unescape_one
$(BUILD)/%/tests/test_memory: LDFLAGS += -Wl,--wrap=calloc,--wrap=realloc

# A disk that fails and a clock that jumps, for the programs that tests start.
FAULTS := $(call objects,$(wildcard scripts/faults/*.c))
$(BUILD)/faults.so: $(FAULTS)
	$(CC) -shared -o $@ $^
$(FAULTS): SANFLAGS = # the sanitizers' own start runs through it
$(addprefix $(BUILD)/,reference-server/tests/test_faults reference-server/tests/test_power \
    reference-client/tests/test_power): | $(BUILD)/faults.so

# Where tests find what they run: the built programs and the fixtures; and the seconds that Check gives
# each, which only end what has failed, however busy the machine.
TEST_ENV = ATHENA_BUILD=$(CURDIR)/$(BUILD) ATHENA_SOURCE=$(CURDIR) ATHENA_SANFLAGS="$(SANFLAGS)" \
           CK_DEFAULT_TIMEOUT=120

tests: all $(TESTS) ## build the tests as well, and run none

check: tests ## run the unit tests and every fast test
	@$(TEST_ENV) scripts/run-tests '$(BUILD)/athena-simulate --seeds 2000' \
	    $(TESTS) $(wildcard scripts/check-*)

faults: all $(BUILD)/faults.so ## real replicas while the server's disk, descriptors and clock fail
	@$(TEST_ENV) scripts/run-faults

SERVER_COMMAND = $(CURDIR)/$(BUILD)/athena-syncd --listen 127.0.0.1:{port} --data {dir} \
                 --quota-document-bytes {quota} --open-within-ms {open_within_ms} \
                 --idle-ms {idle_ms} --dead-ms {dead_ms} \
                 --limit-change {limit_change} [--token-file {token_file}]
CLIENT_COMMAND = $(CURDIR)/$(BUILD)/athena-sync watch {dir} --key {key} --url {url} --offline \
                 --patience-ms {patience_ms}
show-%_COMMAND: # what scripts run as well
	@echo '$($*_COMMAND)'

conformance: all ## run the conformance suite against the reference server and client
	$(TEST_ENV) $(BUILD)/athena-conform server --exec '$(SERVER_COMMAND)' $(CONFORM_ARGS)
	$(TEST_ENV) $(BUILD)/athena-conform client --driver '$(CLIENT_COMMAND)' $(CONFORM_ARGS)

REPORT = $(BUILD)/report
report: all ## HTML reports of the reference, and index.html with what shows each requirement, in $(BUILD)/report
	@mkdir -p $(REPORT)
	-$(TEST_ENV) $(BUILD)/athena-conform server --exec '$(SERVER_COMMAND)' --report html=$(REPORT)/servers.html
	-$(TEST_ENV) $(BUILD)/athena-conform client --driver '$(CLIENT_COMMAND)' --report html=$(REPORT)/clients.html
	node scripts/trace.mjs --quiet --html $(REPORT)/index.html --reports

report-page: all ## look at the suite's HTML report in Chromium: wide, narrow, light, dark
	$(TEST_ENV) node scripts/browse-report.mjs

asan: ## check and conformance under AddressSanitizer and UBSan
	$(MAKE) SAN=1 -j$$(nproc) tests
	$(MAKE) SAN=1 check conformance

# What reads from servers; Check's programs fork a process for each test unless told not to.
VALGRIND = CK_FORK=no valgrind -q --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite
READERS = $(addprefix $(BUILD)/conformance/tests/test_,corpus endpoint json schema)
valgrind: all $(READERS) ## the suite under valgrind: scripted servers that send anything, and a good one
	$(foreach reader,$(READERS),$(TEST_ENV) $(VALGRIND) $(reader) &&) :
	$(VALGRIND) $(BUILD)/athena-conform server --exec '$(SERVER_COMMAND)' --timeout 120 \
	    'malformed/*' 'live/*'

mutants: all ## break the reference on purpose, see whether the conformance suite notices
	$(TEST_ENV) node scripts/mutants.mjs --json $(BUILD)/mutants.json $(MUTANTS)

STORM_SECONDS ?= 60
storm: all ## random clients against the reference server, and against mutants that they have to find
	$(TEST_ENV) $(BUILD)/athena-conform storm --exec '$(SERVER_COMMAND)' --time $(STORM_SECONDS)
	$(TEST_ENV) node scripts/mutants.mjs --storm 60 --jobs 4

trace: ## each requirement beside its scenarios, code, tests and mutants; what is missing
	@mkdir -p $(BUILD)
	node scripts/trace.mjs --json $(BUILD)/trace.json --html $(BUILD)/trace.html

bench: all ## measure; prints medians and the machine's own limits
	$(TEST_ENV) $(BUILD)/athena-bench $(BENCH_ARGS)

SOAK_SECONDS ?= 1800
soak: all ## keep the server busy for SOAK_SECONDS (1800), and over TLS: does it stay as it was?
	$(TEST_ENV) $(BUILD)/athena-bench --soak $(SOAK_SECONDS)
	$(TEST_ENV) $(BUILD)/athena-bench --soak $(SOAK_SECONDS) --tls

# ---- JavaScript: vectors and real Automerge ----

interop-deps: ## install the npm packages that the targets in JavaScript need
	npm ci --prefix interop --no-audit --no-fund --ignore-scripts

vectors-check: ## regenerate vectors, messages and Automerge fixtures and compare; validate scenarios
	node fixtures/vectors/generate.mjs --check
	node fixtures/messages/generate.mjs --check
	node fixtures/automerge/generate.mjs --check
	node scripts/validate-scenarios.mjs

interop: all ## test the JavaScript implementation; every server with every client, in a table
	node --test interop/test/
	$(TEST_ENV) $(BUILD)/athena-conform server --jobs 2 --timeout 60 $(CONFORM_ARGS) \
	    --exec 'node $(CURDIR)/interop/server.mjs --port {port} --data {dir} --quota {quota} --open-within {open_within_ms} --idle {idle_ms} --dead {dead_ms} --limit-change {limit_change} [--token-file {token_file}]'
	$(TEST_ENV) $(BUILD)/athena-conform client --jobs 2 --timeout 60 $(CONFORM_ARGS) \
	    --driver 'node $(CURDIR)/interop/cli.mjs watch {dir} --key {key} --url {url} --offline --patience-ms {patience_ms}'
	$(TEST_ENV) $(BUILD)/athena-conform storm --time $(STORM_SECONDS) \
	    --exec 'node $(CURDIR)/interop/server.mjs --port {port} --data {dir}'
	$(TEST_ENV) node interop/matrix.mjs

web: all ## a page with two devices that write one encrypted text, and what passes between
	$(TEST_ENV) node interop/web/serve.mjs

web-check: all ## test that page in Chromium; pictures are left in $(BUILD)/web
	$(TEST_ENV) node --test interop/web/test/

# ---- fuzzing ----

FUZZ_SECONDS ?= 300
build/fuzz/%.o: %.c Makefile
	@mkdir -p $(@D)
	clang $(CPPFLAGS) -std=c11 $(WARN) -O1 -g -fsanitize=fuzzer-no-link,address,undefined \
	    -fno-sanitize-recover=all -MMD -MP -c -o $@ $<

fuzz_objects = $(patsubst $(BUILD)/%.o,build/fuzz/%.o,$(1))
build/fuzz/protocol/fuzz/fuzz_%: build/fuzz/protocol/fuzz/fuzz_%.o $(call fuzz_objects,$(PROTOCOL))
	clang -fsanitize=fuzzer,address,undefined -o $@ $^ $(LIBS)
build/fuzz/reference-server/fuzz/fuzz_%: build/fuzz/reference-server/fuzz/fuzz_%.o \
    $(call fuzz_objects,$(SERVER) $(PROTOCOL))
	clang -fsanitize=fuzzer,address,undefined -o $@ $^ $(SERVER_LIBS)
build/fuzz/reference-client/fuzz/fuzz_%: build/fuzz/reference-client/fuzz/fuzz_%.o \
    $(call fuzz_objects,$(CLIENT) $(PROTOCOL))
	clang -fsanitize=fuzzer,address,undefined -o $@ $^ $(LIBS)
build/fuzz/conformance/fuzz/fuzz_%: build/fuzz/conformance/fuzz/fuzz_%.o $(call fuzz_objects,$(CONFORM))
	clang -fsanitize=fuzzer,address,undefined -o $@ $^ $(LIBS) -lwslay

fuzz: $(FUZZERS) ## run each fuzz target for FUZZ_SECONDS (300; 0: its inputs alone)
	@FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/run-fuzzers $(FUZZERS)

# ---- the model ----

model: ## check the synchronisation's model with SPIN; MODEL=ERROR shows how that error does harm
	@$(TEST_ENV) scripts/run-model $(MODEL)

# ---- source quality ----

format: ## lay out the C sources
	clang-format -i $(ALL_C)

lint: compile_commands.json ## formatting, static analysis, shell, manual pages, whether mutants still apply
	@printf '%s\n' $(ALL_C) | xargs clang-format --dry-run -Werror
	@printf '%s\n' $(filter-out $(wildcard */examples/*.c),$(filter %.c,$(ALL_C))) | xargs -P $$(nproc) -n 8 clang-tidy --quiet -p . 2>/dev/null
	shellcheck $(SHELL_SCRIPTS)
	mandoc -T lint -W warning $(DOC_MAN)
	@status=0; for patch in fixtures/mutants/*/*.patch; do \
	    git apply --check -C1 $$patch || { echo "$$patch does not apply"; status=1; }; done; exit $$status

# What make would run, as clang's tools want to read it.
compile_commands.json: Makefile
	$(MAKE) --dry-run --always-make all $(TESTS) | grep -F ' -c -o ' | \
	    jq --raw-input '{directory: "$(CURDIR)", command: ., file: (split(" ") | last)}' | jq --slurp . > $@

# ---- delivery ----

install: all ## install below PREFIX (/usr/local); DESTDIR goes before it
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin include/athena lib/pkgconfig share/man/man1 \
	    share/man/man8 share/athena-sync/spec share/athena-sync/fixtures)
	install -m 755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/bin
	install -m 644 protocol/athena_protocol.h reference-client/athena_sync.h $(DESTDIR)$(PREFIX)/include/athena
	install -m 644 $(BUILD)/libathena-sync.a $(DESTDIR)$(PREFIX)/lib
	install -m 755 $(BUILD)/libathena-sync.so $(DESTDIR)$(PREFIX)/lib/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(PREFIX)/lib/libathena-sync.so
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|' reference-client/athena-sync.pc.in \
	    > $(DESTDIR)$(PREFIX)/lib/pkgconfig/athena-sync.pc
	for page in $(DOC_MAN); do \
	    install -m 644 $$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.} || exit; done
	$(if $(DESTDIR),,[ "$$(id -u)" != 0 ] || ldconfig)
	cp -R spec/. $(DESTDIR)$(PREFIX)/share/athena-sync/spec
	cp -R fixtures/scenarios fixtures/client-scenarios $(DESTDIR)$(PREFIX)/share/athena-sync/fixtures

dist: ## a source archive of HEAD in dist/
	@mkdir -p dist
	git archive --prefix=athena-sync-$(VERSION)/ -o dist/athena-sync-$(VERSION).tar.gz HEAD

DIST_TREE = build/dist-tree/athena-sync-$(VERSION)
dist-check: dist ## does the archive do without the repository? builds it, and all but the unit tests
	rm -rf $(dir $(DIST_TREE))
	@mkdir -p $(dir $(DIST_TREE))
	tar -xzf dist/athena-sync-$(VERSION).tar.gz -C $(dir $(DIST_TREE))
	GIT_CEILING_DIRECTORIES=$(CURDIR)/$(dir $(DIST_TREE)) $(MAKE) -C $(DIST_TREE) -j$$(nproc) all
	GIT_CEILING_DIRECTORIES=$(CURDIR)/$(dir $(DIST_TREE)) $(MAKE) -C $(DIST_TREE) check TESTS=

clean: ## remove what was built
	rm -rf build dist compile_commands.json

.PHONY: all help deps deps-dev tests check conformance report report-page asan valgrind mutants storm trace bench interop-deps \
        vectors-check interop web web-check fuzz soak model faults format lint install dist dist-check clean

-include $(sort $(shell find $(BUILD) build/fuzz -path '*/dist-tree' -prune -o -name '*.d' -print 2>/dev/null))
