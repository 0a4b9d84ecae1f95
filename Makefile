# handoffd. `make help` lists the targets; `./configure` is optional and only writes config.mk.

VERSION = 0.1.0

PREFIX = /usr/local
SBINDIR = $(PREFIX)/sbin
MANDIR = $(PREFIX)/share/man
SYSCONFDIR = $(if $(filter /usr,$(PREFIX)),/etc,$(PREFIX)/etc)
DOCDIR = $(PREFIX)/share/doc/handoffd
UNITDIR = $(PREFIX)/lib/systemd/system

CFLAGS ?= -O2 -g
PKG_CONFIG ?= pkg-config
INSTALL ?= install
# Not simply `python3`: a version manager's shim in PATH would miss the distribution's pytest.
PYTHON = /usr/bin/python3

# yes | no
WITH_SYSTEMD = $(call once,WITH_SYSTEMD,$(PKG_CONFIG) --exists libsystemd && echo yes || echo no)
# address,undefined | thread | empty
SANITIZE =
# 1: warnings are errors
DEVELOPER =
# 1: instrument for gcov
COVERAGE =
# 1: show the commands
V =

# Evaluates a command when its variable is first used and keeps the answer, so that `make help`
# and `make clean` ask nothing of pkg-config and config.mk may still replace any of these.
once = $(eval $1 := $$(shell $2))$($1)

packages = libevent_core libevent_extra libconfig jansson libcrypto \
	$(if $(filter yes,$(WITH_SYSTEMD)),libsystemd)
DEPS_CFLAGS = $(call once,DEPS_CFLAGS,$(PKG_CONFIG) --cflags $(packages) 2>/dev/null)
DEPS_LIBS = $(or $(call once,DEPS_LIBS,$(PKG_CONFIG) --print-errors --libs $(packages)),\
	$(error a library is missing (see above); `sh packaging/install-deps` installs all of them))
CHECK_CFLAGS = $(call once,CHECK_CFLAGS,$(PKG_CONFIG) --cflags check 2>/dev/null)
CHECK_LIBS = $(or $(call once,CHECK_LIBS,$(PKG_CONFIG) --print-errors --libs check),\
	$(error the unit tests need the library `check`; `sh packaging/install-deps` installs it))

-include config.mk

comma := ,
variant := $(subst $(comma),-,$(SANITIZE))$(if $(COVERAGE),coverage)
BUILD = build$(addprefix /,$(variant))

# A row of a table leaves out what does not apply to it.
warnings = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wold-style-definition -Wpointer-arith -Wcast-qual -Wwrite-strings -Wvla -Wformat=2 \
	-Wundef -Wimplicit-fallthrough -Wno-missing-field-initializers $(if $(DEVELOPER),-Werror)
defines = -D_GNU_SOURCE -DHANDOFFD_VERSION=\"$(VERSION)\" -DHANDOFFD_SYSCONFDIR=\"$(SYSCONFDIR)\" \
	$(if $(filter yes,$(WITH_SYSTEMD)),-DHAVE_SYSTEMD=1)
# As far as the compiler and the C library go; tests/tree/check_hardening looks for it in the program.
harden = $(call once,harden,sh packaging/hardening-flags code $(CC))
# glibc warns about _FORTIFY_SOURCE without optimisation, and the sanitizers miss what it wraps. A
# packager's own level stays.
fortify = $(if $(SANITIZE)$(COVERAGE)$(filter -O0,$(CFLAGS))$(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CFLAGS)),,\
	$(fortify_flags))
fortify_flags = $(call once,fortify_flags,sh packaging/hardening-flags fortify $(CC))
instrument = $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all \
	-fno-omit-frame-pointer) $(if $(COVERAGE),--coverage -O0)

compile = $(strip $(CC) -std=gnu11 $(warnings) $(defines) $(harden) $(fortify) -fPIE \
	-pthread $(DEPS_CFLAGS) $(CPPFLAGS) $(CFLAGS) $(instrument))
link = $(strip $(CC) -pie -Wl,-z,relro,-z,now,-z,noexecstack -pthread $(CFLAGS) $(instrument) $(LDFLAGS))

library_objects = $(patsubst src/%.c,$(BUILD)/src/%.o,$(filter-out src/main.c,$(wildcard src/*.c)))
unit_sources = $(wildcard tests/unit/*.c)
unit_programs = $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test_*.c))
unit_helpers = $(patsubst tests/unit/%.c,$(BUILD)/tests/%.o,\
	$(filter-out tests/unit/test_%.c tests/unit/list_options.c,$(unit_sources)))
list_options = $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/list_options.c))
bench_programs = $(patsubst tests/bench/%.c,$(BUILD)/tests/bench_%,$(wildcard tests/bench/*.c))
fuzz_names = $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
replays = $(patsubst %,$(BUILD)/tests/replay_%,$(fuzz_names))
fuzzers = $(patsubst %,$(BUILD)/tests/fuzz_%,$(fuzz_names))
daemon = $(BUILD)/handoffd
faulty = $(BUILD)/tests/handoffd $(BUILD)/tests/faults.so
library = $(BUILD)/libhandoffd.a

Q = $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),@:,@printf '  %-7s %s\n')

.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:
.PHONY: all tests fuzz fuzzers faults run check check-unit check-daemon check-faults check-tree demo bench bench-deps bench-tools bench-publish bench-exec bench-files \
	bench-front bench-pool bench-instructions bench-overload soak \
	coverage lint format install uninstall dist clean distclean help FORCE
.PHONY: check-systemd deb rpm model

all: $(daemon)

tests: $(unit_programs) $(list_options) $(replays) $(bench_programs)

# A stamp changes only when its text does; what was built with other flags, or from another set of
# files, is older than its stamp and is made again.
stamp = @mkdir -p $(@D); printf '%s\n' '$1' | cmp -s - $@ || printf '%s\n' '$1' >$@
$(BUILD)/flags: FORCE
	$(call stamp,$(compile) // $(link) $(DEPS_LIBS))
$(BUILD)/members: FORCE
	$(call stamp,$(library_objects) $(unit_helpers))

$(BUILD)/src/%.o: src/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(compile) -MMD -MP -c -o $@ $<

$(library): $(library_objects) $(BUILD)/members
	$(say) AR $@
	$(Q)rm -f $@ && $(AR) rcs $@ $(library_objects)

$(daemon): $(BUILD)/src/main.o $(library)
	$(say) LINK $@
	$(Q)$(link) -o $@ $(BUILD)/src/main.o $(library) $(DEPS_LIBS) $(LIBS)

$(BUILD)/tests/%.o: tests/unit/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(compile) $(CHECK_CFLAGS) -Isrc -MMD -MP -c -o $@ $<

$(BUILD)/tests/%: $(BUILD)/tests/%.o $(unit_helpers) $(library) $(BUILD)/members
	$(say) LINK $@
	$(Q)$(link) -o $@ $< $(unit_helpers) $(library) $(CHECK_LIBS) $(DEPS_LIBS) $(LIBS)

# Calls of our own objects that this test counts.
counted = malloc calloc realloc pthread_mutex_lock recv __recv_chk send sendmsg write poll ioctl syscall \
	evhttp_send_reply_end
$(BUILD)/tests/test_costs: LDFLAGS += $(counted:%=-Wl,--wrap=%)

# A fuzzer's corpus is replayed by every `make check`, without clang.
link_fuzzer = $(compile) -Isrc -Itests/unit -pie $(LDFLAGS)
fuzzer_libs = $(unit_helpers) $(library) $(CHECK_LIBS) $(DEPS_LIBS) $(LIBS)

$(BUILD)/tests/replay_%: tests/fuzz/fuzz_%.c tests/fuzz/standalone.c $(unit_helpers) $(library)
	$(say) LINK $@
	$(Q)$(link_fuzzer) -o $@ $< tests/fuzz/standalone.c $(fuzzer_libs)

$(BUILD)/tests/fuzz_%: tests/fuzz/fuzz_%.c $(unit_helpers) $(library)
	$(say) LINK $@
	$(Q)$(link_fuzzer) -fsanitize=fuzzer -o $@ $< $(fuzzer_libs)

# The daemon whose calls fail by a plan: it keeps no memory to itself, so that each allocation can be
# made fail; and what makes it so.
$(BUILD)/tests/small_memory_faults.o: src/small_memory.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(compile) -DSMALL_MEMORY_KEEPS_NONE -MMD -MP -c -o $@ $<

$(BUILD)/tests/handoffd: $(BUILD)/src/main.o $(BUILD)/tests/small_memory_faults.o $(library)
	$(say) LINK $@
	$(Q)$(link) -o $@ $(BUILD)/src/main.o $(BUILD)/tests/small_memory_faults.o $(library) \
		$(DEPS_LIBS) $(LIBS)

$(BUILD)/tests/faults.so: $(wildcard tests/faults/*.[ch]) $(BUILD)/flags
	$(say) LINK $@
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE $(warnings) -O2 -g -fPIC -shared -o $@ $(filter %.c,$^)

fuzzers: $(fuzzers)

# New inputs stay under build/; a finding is to become a file of the corpus.
SECONDS = 60
FUZZ = $(fuzz_names)
fuzz:
	$(Q)$(MAKE) BUILD=build/fuzz CC=clang SANITIZE=fuzzer-no-link,address,undefined fuzzers
	$(Q)for name in $(FUZZ); do mkdir -p build/fuzz/$$name; \
		build/fuzz/tests/fuzz_$$name -max_total_time=$(SECONDS) -timeout=10 \
		-print_final_stats=1 -artifact_prefix=build/fuzz/$$name- -dict=tests/fuzz/$$name.dict \
		build/fuzz/$$name tests/fuzz/corpus/$$name $$(cat tests/fuzz/$$name.seeds 2>/dev/null) \
		</dev/null || exit 1; done

-include $(wildcard $(BUILD)/src/*.d $(BUILD)/tests/*.d)

run: $(daemon)
	$(daemon) -c etc/handoffd.conf

run_tests = $(Q)$(PYTHON) tests/run --build $(BUILD) --sanitizer '$(SANITIZE)'

check: all tests $(faulty)
	$(run_tests) unit tree daemon faults soak

check-unit: tests
	$(run_tests) unit

check-tree: all tests
	$(run_tests) tree

check-daemon: all
	$(run_tests) daemon

check-faults: all $(faulty)
	$(run_tests) faults

# All of them, also those that only repeat what another one has shown, most likely.
faults: all $(faulty)
	$(Q)FAULTS_EVERY=1 $(PYTHON) tests/run --build $(BUILD) --sanitizer '$(SANITIZE)' faults

# The package, where its tools are there, is tested with all that the daemon is as a service.
check-systemd: all
	$(Q)rm -rf $(BUILD)/systemd
	$(Q)$(MAKE) --no-print-directory install DESTDIR=$(CURDIR)/$(BUILD)/systemd/stage >/dev/null 2>&1
	$(Q)if command -v dh >/dev/null && command -v lintian >/dev/null; then \
		$(MAKE) --no-print-directory deb; fi
	$(run_tests) systemd

# SEED makes the configurations, and what the clients are to do, the same as in another run.
soak: SECONDS = 600
soak: all
	$(Q)SOAK_SECONDS=$(SECONDS) SOAK_SEED=$(SEED) $(PYTHON) tests/run --build $(BUILD) --sanitizer '$(SANITIZE)' soak

demo: $(daemon)
	$(Q)HANDOFFD=$(CURDIR)/$(daemon) PYTHON=$(PYTHON) tests/demo/run

# BENCH takes options of tests/bench/run, such as BENCH='--only hello,noop --peers nginx,go'.
run_bench = $(Q)HANDOFFD=$(CURDIR)/$(daemon) BENCH_LOAD=$(BUILD)/tests/bench_load $(PYTHON) tests/bench/run
BENCH =
bench: bench-tools
	$(run_bench) $(BENCH)

bench-files: bench-tools
	$(run_bench) --only file,file1m,file100m,bodies --peers nginx,nginx-sendfile \
		--output $(BUILD)/bench/files $(BENCH)

bench-tools: $(daemon) $(BUILD)/tests/bench_load

bench-deps:
	$(Q)sh packaging/install-deps --bench

# Keeps the last run's report, plots and raw figures in the tree, and its tables in README.md.
bench-publish:
	$(Q)$(PYTHON) tests/bench/publish build/bench

$(BUILD)/tests/bench_%: tests/bench/%.c $(library)
	$(say) LINK $@
	$(Q)$(compile) -Isrc -o $@ $< $(library) -pie $(LDFLAGS) $(DEPS_LIBS) -lm $(LIBS)

bench-front: $(daemon) $(BUILD)/tests/bench_guard
	$(Q)HANDOFFD=$(CURDIR)/$(daemon) BENCH_GUARD=$(BUILD)/tests/bench_guard $(PYTHON) tests/bench/front

bench-exec: $(daemon) $(BUILD)/tests/bench_starts
	$(Q)HANDOFFD=$(CURDIR)/$(daemon) BENCH_STARTS=$(BUILD)/tests/bench_starts $(PYTHON) tests/bench/exec

bench-overload: bench-tools
	$(Q)HANDOFFD=$(CURDIR)/$(daemon) BENCH_LOAD=$(BUILD)/tests/bench_load $(PYTHON) tests/bench/overload

bench-instructions: $(daemon)
	$(Q)HANDOFFD=$(CURDIR)/$(daemon) $(PYTHON) tests/bench/instructions

bench-pool: $(BUILD)/tests/bench_pool
	$(Q)$(BUILD)/tests/bench_pool

coverage:
	$(Q)rm -rf build/coverage
	$(Q)$(MAKE) COVERAGE=1 SANITIZE= check
	$(Q)$(PYTHON) tests/coverage build/coverage/src

# Exhaustive searches of the hand-over's models; see tests/model/README.md.
model:
	$(Q)CC='$(CC)' $(PYTHON) tests/model/run

lint:
	$(Q)sh tests/lint $(defines) $(DEPS_CFLAGS) $(CHECK_CFLAGS) $(CPPFLAGS)

format:
	$(Q)clang-format -i $(wildcard src/*.[ch] tests/unit/*.[ch] tests/faults/*.[ch])

# The manual pages speak of /etc; an installation below another prefix reads its own directory.
install_page = sed 's,/etc/handoffd,$(SYSCONFDIR)/handoffd,g; s,/usr/share/doc/handoffd,$(DOCDIR),g' man/$2 >$(BUILD)/$2 && \
	$(INSTALL) -D -m 0644 $(BUILD)/$2 $(DESTDIR)$(MANDIR)/$1/$2
sample = $(DESTDIR)$(SYSCONFDIR)/handoffd/handoffd.conf
units = handoffd.service handoffd.socket
install_unit = sed 's,/usr/sbin/handoffd,$(SBINDIR)/handoffd,' packaging/systemd/$1 >$(BUILD)/$1 && \
	$(INSTALL) -D -m 0644 $(BUILD)/$1 $(DESTDIR)$(UNITDIR)/$1
install_doc = $(INSTALL) -D -m 0644 $1 $(DESTDIR)$(DOCDIR)/$2
define newline


endef

install: $(daemon)
	$(INSTALL) -D -m 0755 $(daemon) $(DESTDIR)$(SBINDIR)/handoffd
	$(call install_page,man8,handoffd.8)
	$(call install_page,man5,handoffd.conf.5)
	$(call install_page,man7,handoffd-metrics.7)
	$(if $(filter yes,$(WITH_SYSTEMD)),$(foreach unit,$(units),$(call install_unit,$(unit))$(newline)	))
	$(call install_doc,README.md,README.md)
	$(foreach file,$(wildcard packaging/systemd/examples/*),\
		$(call install_doc,$(file),examples/$(notdir $(file)))$(newline)	)
	@if [ -e '$(sample)' ]; then echo 'kept: $(sample)'; \
	else set -x; $(INSTALL) -D -m 0644 etc/handoffd.conf '$(sample)'; fi

uninstall:
	rm -f $(DESTDIR)$(SBINDIR)/handoffd $(DESTDIR)$(MANDIR)/man8/handoffd.8 \
		$(DESTDIR)$(MANDIR)/man5/handoffd.conf.5 $(DESTDIR)$(MANDIR)/man7/handoffd-metrics.7 \
		$(addprefix $(DESTDIR)$(UNITDIR)/,$(units))
	rm -rf $(DESTDIR)$(DOCDIR)
	@[ ! -e '$(sample)' ] || echo 'kept: $(sample)'

dist:
	@mkdir -p build
	git archive --prefix=handoffd-$(VERSION)/ -o build/handoffd-$(VERSION).tar.gz HEAD

deb:
	$(Q)sh packaging/build-deb $(VERSION)

rpm: dist
	$(Q)rpmbuild -ta --define '_topdir $(CURDIR)/build/rpm' build/handoffd-$(VERSION).tar.gz

clean:
	rm -rf build

distclean: clean
	rm -rf config.mk config.log configure configure~ autom4te.cache

help:
	@echo 'make                build build/handoffd'
	@echo 'make run            build, and run in the foreground with etc/handoffd.conf'
	@echo 'make check          all tests; parts: check-unit, check-tree, check-daemon, check-faults'
	@echo 'make faults         make every allocation and system call fail in turn, one by one'
	@echo 'make check-systemd  the daemon and its package as a service of a booted systemd (root)'
	@echo 'make soak           mixed load and a reload a second for SECONDS=600, then compare all numbers'
	@echo 'make demo           threads, pools and waiting requests, shown with ApacheBench'
	@echo 'make bench          speed, side by side with eight other servers: tables, plots, raw figures'
	@echo 'make bench-deps     install what the benchmarks need (Debian packages; as root or by sudo)'
	@echo 'make bench-publish  keep the report of the last `make bench` in tests/bench/results'
	@echo 'make bench-exec     programs run for requests, side by side with webhook and fcgiwrap'
	@echo 'make bench-files    files and large bodies, side by side with nginx'
	@echo 'make bench-front    what slow clients and the guard cost'
	@echo 'make bench-instructions  instructions per request, by callgrind'
	@echo 'make bench-overload ten times the capacity for a minute, then as much as is easy'
	@echo 'make bench-pool     the hand-over to threads and back, beside a plain one'
	@echo 'make lint           gcc -fanalyzer, clang-tidy, scan-build, cppcheck, shellcheck, mandoc -Tlint, clang-format'
	@echo 'make model          search the models of the hand-over for lost wake-ups and tasks (spin)'
	@echo 'make fuzz           run each fuzzer, or FUZZ="NAME...", for SECONDS=60 (clang)'
	@echo 'make format         clang-format the sources in place'
	@echo 'make coverage       run the tests on an instrumented build, tell what they cover of each file'
	@echo 'make install        into DESTDIR= under PREFIX=/usr/local; also uninstall'
	@echo 'make dist           build/handoffd-$(VERSION).tar.gz of the last commit'
	@echo 'make deb            build/deb/*.deb, checked by lintian; make rpm: build/rpm'
	@echo 'make clean          remove build/; distclean: what configure made, too'
	@echo
	@echo 'Variables: SANITIZE=address,undefined or thread, DEVELOPER=1 (-Werror), V=1 (commands),'
	@echo '           WITH_SYSTEMD=yes or no, CC, CFLAGS, CPPFLAGS, LDFLAGS, LIBS, PKG_CONFIG, PYTHON'
