# fife: one Makefile, no configure step. Objects are under build/<configuration>.
#
#	make            the production build (build/prod)
#	make run        a complete mail host in the foreground; RUN=./run PORTS=2000 CONF= UIDS=
#	make check      sets up, builds with sanitizers, runs all tests
#	make bench      measures beside the peers
#	make fuzz       runs each fuzz target for FUZZ_SECONDS
#	make install    PREFIX=/usr/local DESTDIR=

PREFIX = /usr/local
DESTDIR =
RUN = ./run
PORTS = 2000
CONF =
UIDS =
FUZZ_SECONDS = 20
SAN =
# V=1 shows the compiler's command lines.
V =
Q = $(if $(V),,@echo '  $(notdir $@)';)

OS := $(shell uname -s)
CORES := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
CC = gcc
WARN = -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wwrite-strings -Wno-unused-parameter -Wno-missing-field-initializers

ifeq ($(SAN),1)
B := build/san
OPT = -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
LDOPT = -fsanitize=address,undefined
else
B := build/prod
HARDEN = -fstack-protector-strong -fstack-clash-protection -D_FORTIFY_SOURCE=2
ifeq ($(shell uname -m),x86_64)
HARDEN += -fcf-protection=full
endif
OPT = -O2 -g $(HARDEN)
LDOPT = -pie -Wl,-z,relro,-z,now,-z,noexecstack
endif
ifneq ($(findstring clang,$(CC)),)
ifneq ($(SAN),1)
B := build/clang
endif
endif

LIBEXECDIR = $(PREFIX)/libexec/fife
CPPFLAGS = -I. -D_GNU_SOURCE -DFIFE_PREFIX='"$(PREFIX)"' -DFIFE_LIBEXECDIR='"$(LIBEXECDIR)"'
CFLAGS = -std=gnu11 -fPIE $(OPT) $(WARN)
LDFLAGS = $(LDOPT) -Wl,--as-needed
LIBS = -levent -levent_openssl -lssl -lcrypto -llmdb -lidn2 -lpcre2-8 -lz -lcrypt -lpthread
ifeq ($(OS),Linux)
LIBS += -lseccomp -lbsd
endif
LIBS_authd = -lidn
LIBS_dnsd = -lunbound
LIBS_scand = -lclamav

# mboxd is forked for each user who logs in, and each shared library adds mappings to copy and
# pages to touch to the price of it. MBOXD_STATIC=1 links it with archives, where all of these are
# there: a log-in costs some hundredths of a millisecond less, and after an update of one of the
# libraries, which may be one of security, mboxd has to be built again.
MBOXD_STATIC =
ifeq ($(OS)$(SAN)$(MBOXD_STATIC),Linux1)
MBOXD_ARCHIVES = event ssl crypto lmdb idn2 unistring pcre2-8 z seccomp bsd md
has_archive = $(filter /%,$(shell $(CC) -print-file-name=lib$(1).a))
from_archives = -Wl,-Bstatic $(MBOXD_ARCHIVES:%=-l%) -Wl,-Bdynamic
ARCHIVES_mboxd = $(if $(filter $(words $(MBOXD_ARCHIVES)),\
    $(words $(foreach l,$(MBOXD_ARCHIVES),$(call has_archive,$(l))))),$(from_archives))
endif

# Folder of each daemon or program, and what else it links.
DAEMONS = fifed logd authd keyd dnsd smtpd queued deliverd-remote deliverd-local filterd \
	scand imapd pop3d sieved mboxd policyd execd listd
PROGRAMS = fifectl sendmail
dir_deliverd-remote = deliverd/remote
dir_deliverd-local = deliverd/local
folder = $(or $(dir_$(1)),$(1))
also_mboxd = $(B)/libmailbox.a
# The Sieve compiler, for the scripts of the site.
also_fifed = $(B)/libmailbox.a
also_fifectl = $(B)/libmailbox.a
FOLDERS = $(DAEMONS) $(PROGRAMS) mailbox
COMMON_SRC := $(wildcard common/*.c common/*/*.c)

ALL_BIN = $(foreach d,$(DAEMONS),$(if $(wildcard $(call folder,$(d))/main.c),$(B)/libexec/$(d))) \
	$(foreach p,$(PROGRAMS),$(if $(wildcard $(p)/main.c),$(B)/bin/$(p)))

all: $(ALL_BIN)

objs = $(patsubst %.c,$(B)/obj/%.o,$(1))

$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# What has the prefix in it is built again when that changes.
PREFIX_OBJ = $(call objs,fifed/main.c fifectl/main.c sendmail/main.c sendmail/host.c)
$(PREFIX_OBJ): $(B)/prefix
$(B)/prefix: FORCE
	@mkdir -p $(@D)
	@echo '$(PREFIX) $(LIBEXECDIR)' | cmp -s - $@ || echo '$(PREFIX) $(LIBEXECDIR)' >$@
FORCE:

# An archive is made anew, so that a removed module does not linger in it.
define archive
$(1): $(2)
	@mkdir -p $$(@D)
	@rm -f $$@
	@ar rcs $$@ $$^
endef

$(eval $(call archive,$(B)/libcommon.a,$(call objs,$(COMMON_SRC))))
$(foreach f,$(FOLDERS),$(eval $(call archive,$(B)/lib$(f).a,\
    $(call objs,$(filter-out $(if $(filter mailbox,$(f)),,%/main.c),$(wildcard $(call folder,$(f))/*.c $(if $(filter mailbox,$(f)),mailbox/sieve/*.c)))))))

define program
$(1): $(call objs,$(call folder,$(2))/main.c) $(B)/lib$(2).a $$(also_$(2)) $(B)/libcommon.a
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(ARCHIVES_$(2)) $$(LIBS) $$(LIBS_$(2))
endef
$(foreach d,$(DAEMONS),$(eval $(call program,$(B)/libexec/$(d),$(d))))
$(foreach p,$(PROGRAMS),$(eval $(call program,$(B)/bin/$(p),$(p))))

# Unit tests: regress/unit/FOLDER/X_test.c with libFOLDER.a and libcommon.a.
UNIT_SRC := $(wildcard regress/unit/*/*_test.c)
UNIT = $(patsubst regress/unit/%.c,$(B)/unit/%,$(UNIT_SRC))
unit_lib = $(if $(filter common,$(1)),,$(B)/lib$(1).a $(also_$(1)))
# A test may set the clock that says how long another user's process is silent.
UNITFLAGS_imap_share_test = -Wl,--wrap=imap_share_now
# And the one that says how fast a mailbox process asks.
UNITFLAGS_quotas_test = -Wl,--wrap=now_ms
define unit
$(B)/unit/$(1): regress/unit/$(1).c $$(call unit_lib,$(firstword $(subst /, ,$(1)))) $(B)/libcommon.a
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(CPPFLAGS) $$(CFLAGS) -MMD -MP -MF $$@.d $$(LDFLAGS) -o $$@ $$(filter-out %.h %.def,$$^) $$(UNITFLAGS_$(notdir $(1))) \
	    -lcmocka $$(LIBS) $$(LIBS_$(firstword $(subst /, ,$(1))))
endef
$(foreach u,$(UNIT_SRC),$(eval $(call unit,$(patsubst regress/unit/%.c,%,$(u)))))
unit: $(UNIT)

# Fuzz targets: regress/fuzz/FOLDER/X_fuzz.c, libFuzzer from clang.
FUZZ_SRC := $(wildcard regress/fuzz/*/*_fuzz.c)
FB = build/fuzz
FUZZ_BIN = $(patsubst regress/fuzz/%.c,$(FB)/bin/%,$(FUZZ_SRC))
FUZZ_CFLAGS = -std=gnu11 -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined
$(FB)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(Q)clang $(CPPFLAGS) $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<
fobjs = $(patsubst %.c,$(FB)/obj/%.o,$(1))
$(eval $(call archive,$(FB)/libcommon.a,$(call fobjs,$(COMMON_SRC))))
$(foreach f,$(FOLDERS),$(eval $(call archive,$(FB)/lib$(f).a,\
    $(call fobjs,$(filter-out $(if $(filter mailbox,$(f)),,%/main.c),$(wildcard $(call folder,$(f))/*.c $(if $(filter mailbox,$(f)),mailbox/sieve/*.c)))))))
fuzz_lib = $(if $(filter common,$(1)),,$(FB)/lib$(1).a $(if $(filter mboxd,$(1)),$(FB)/libmailbox.a))
define fuzz
$(FB)/bin/$(1): regress/fuzz/$(1).c $$(call fuzz_lib,$(firstword $(subst /, ,$(1)))) $(FB)/libcommon.a
	@mkdir -p $$(@D)
	$$(Q)clang $$(CPPFLAGS) $$(FUZZ_CFLAGS) -fsanitize=fuzzer -o $$@ $$^ $$(LIBS) $$(LIBS_$(firstword $(subst /, ,$(1))))
endef
$(foreach u,$(FUZZ_SRC),$(eval $(call fuzz,$(patsubst regress/fuzz/%.c,%,$(u)))))
fuzz-build: $(FUZZ_BIN)
fuzz: setup
	$(MAKE) -j$(CORES) fuzz-build
	FUZZ_SECONDS=$(FUZZ_SECONDS) sh regress/run-fuzz.sh $(FUZZ_BIN)

# What the sanitizer build runs; make check also needs the production build.
setup:
	sh etc/install-packages.sh
check: setup
	sh etc/install-packages.sh --peers
	$(MAKE) -j$(CORES) all
	$(MAKE) -j$(CORES) CC=clang all
	$(MAKE) -j$(CORES) SAN=1 all unit
	$(MAKE) -j$(CORES) fuzz-build
	python3 regress/check.py
unit-check:
	$(MAKE) -j$(CORES) SAN=1 unit
	python3 regress/check.py unit
run: setup
	$(MAKE) -j$(CORES) all
	@exec env RUN='$(RUN)' PORTS='$(PORTS)' CONF='$(CONF)' UIDS='$(UIDS)' \
	    BUILD='$(CURDIR)/$(B)' sh etc/setup-run.sh
bench: setup
	$(MAKE) -j$(CORES) all
	sh regress/bench/run.sh
# A long queue and new mail beside it: takes some minutes; QUEUE_MESSAGES, see queue.py.
bench-queue:
	$(MAKE) -j$(CORES) all
	FIFE_BUILD=$(CURDIR)/build/prod python3 regress/bench/queue.py
# Mail that passes through, beside Postfix; then 10,000 destinations, half of them dead.
bench-relay:
	$(MAKE) -j$(CORES) all
	FIFE_BUILD=$(CURDIR)/build/prod python3 regress/bench/relay.py
# Mail for 1,000 mailboxes, beside Postfix and Dovecot's LMTP.
bench-deliver:
	$(MAKE) -j$(CORES) all
	FIFE_BUILD=$(CURDIR)/build/prod python3 regress/bench/deliver.py
# Lookups through dnsd beside the library alone.
bench-lookup:
	$(MAKE) -j$(CORES) all
	FIFE_BUILD=$(CURDIR)/build/prod python3 regress/bench/lookup.py
# SEARCH in a large folder.
bench-search:
	$(MAKE) -j$(CORES) all
	sh regress/bench/search.sh
# IMAP and POP3 beside Dovecot: ARGS=--quick, or the rows wanted; see imap.py.
bench-imap:
	sh etc/install-packages.sh --peers
	$(MAKE) -j$(CORES) all
	FIFE_BUILD=$(CURDIR)/build/prod python3 regress/bench/imap.py $(ARGS)
# `why` over ten million lines of log.
bench-why:
	$(MAKE) -j$(CORES) all
	sh regress/bench/why.sh
lint:
	for m in man/*.[1-9]; do mandoc -Tlint -Wwarning $$m || exit 1; done
format:
	clang-format -i $$(git ls-files '*.c' '*.h')

# Files that name the prefix name the real one.
WITH_PREFIX = sed 's,/usr/local,$(PREFIX),g'
install: all
	mkdir -p $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(LIBEXECDIR) \
	    $(DESTDIR)$(PREFIX)/etc $(DESTDIR)$(PREFIX)/share/fife
	install -m 0755 $(B)/libexec/fifed $(DESTDIR)$(PREFIX)/sbin/fifed
	for d in $(filter-out fifed,$(DAEMONS)); do \
	    install -m 0755 $(B)/libexec/$$d $(DESTDIR)$(LIBEXECDIR)/$$d || exit 1; done
	install -m 0755 $(B)/bin/fifectl $(DESTDIR)$(PREFIX)/sbin/fifectl
	install -m 0755 $(B)/bin/sendmail $(DESTDIR)$(PREFIX)/sbin/sendmail
	ln -sf ../sbin/sendmail $(DESTDIR)$(PREFIX)/bin/mailq
	ln -sf ../sbin/sendmail $(DESTDIR)$(PREFIX)/bin/newaliases
	install -m 0644 etc/fife.conf $(DESTDIR)$(PREFIX)/etc/fife.conf.sample
	install -m 0644 etc/fife.sysusers $(DESTDIR)$(PREFIX)/share/fife/
	for f in etc/fife.service etc/rc.d/*; do m=0644; [ $$f = etc/fife.service ] || m=0755; \
	    $(WITH_PREFIX) $$f >$(DESTDIR)$(PREFIX)/share/fife/$${f##*/} && \
	    chmod $$m $(DESTDIR)$(PREFIX)/share/fife/$${f##*/} || exit 1; done
	for m in man/*.[1-9]; do d=$(DESTDIR)$(PREFIX)/share/man/man$${m##*.}; mkdir -p $$d && \
	    $(WITH_PREFIX) $$m >$$d/$${m##*/} && chmod 0644 $$d/$${m##*/} || exit 1; done
	@echo
	@echo 'Installed. Next: $(PREFIX)/sbin/fifectl setup HOSTNAME'
	@echo 'Start-up files for this system are in $(PREFIX)/share/fife.'
uninstall:
	rm -f $(DESTDIR)$(PREFIX)/sbin/fifed $(DESTDIR)$(PREFIX)/sbin/fifectl \
	    $(DESTDIR)$(PREFIX)/sbin/sendmail $(DESTDIR)$(PREFIX)/bin/mailq \
	    $(DESTDIR)$(PREFIX)/bin/newaliases $(DESTDIR)$(PREFIX)/etc/fife.conf.sample
	rm -rf $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(PREFIX)/share/fife
	for m in man/*.[1-9]; do rm -f $(DESTDIR)$(PREFIX)/share/man/man$${m##*.}/$${m##*/}; done

clean:
	rm -rf build

# Ways to make the journal durable, on the disk of DIR.
bench-commit: DIR = /var/tmp
bench-commit:
	@mkdir -p build
	$(CC) $(CPPFLAGS) -std=gnu11 -O2 $(WARN) -o build/commit regress/bench/commit.c
	build/commit $(DIR) $(SECONDS)
.PHONY: all unit fuzz-build fuzz setup check unit-check run bench bench-queue bench-relay bench-deliver bench-lookup bench-search bench-imap bench-why bench-commit lint format install uninstall clean FORCE
.SECONDARY:
-include $(shell find build -name '*.d' 2>/dev/null)
