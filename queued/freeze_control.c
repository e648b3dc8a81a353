/*
 * queue freeze add, del and list, and the rules from start to start.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/compat/compat.h"
#include "common/log.h"
#include "queued/deliver.h"
#include "queued/freeze_control.h"
#include "queued/internal.h"
#include "queued/retry.h"

void
freeze_start(void)
{
	size_t len;
	const uint8_t *p = spool_rules(queued.spool, &len);

	if (freeze_decode(&queued.freeze, p, len) == -1)
		log_warnx(
		    "the freeze rules in the spool cannot be read: none is in force");
}

void
freeze_stop(void)
{
	freeze_clear(&queued.freeze);
}

static int
save(void)
{
	size_t len;
	uint8_t *p = freeze_encode(&queued.freeze, &len);
	int rv;

	if (p == NULL)
		return -1;
	rv = spool_set_rules(queued.spool, p, len);
	free(p);
	return rv;
}

/* 2h, 3d, or a day: 2026-12-31. 0 when it is neither. */
static int64_t
until_parse(const char *s)
{
	uint32_t d = retry_duration(s);
	struct tm tm = { 0 };
	const char *end;

	if (d != UINT32_MAX && d != 0)
		return queue_now() + d;
	end = strptime(s, "%Y-%m-%d", &tm);
	if (end == NULL || *end != '\0')
		return 0;
	tm.tm_isdst = -1;
	return (int64_t)mktime(&tm);
}

static void
log_rule(const char *event, const struct freeze_rule *r)
{
	log_fact(LOG_DELIVERY, LOGL_INFO, event, KU("rule", r->num), KS("from", r->from),
	    KS("to", r->to), KS("match", r->either), KS("why", r->reason),
	    KS("by", r->owner), KU("until", (uint64_t)r->until));
}

static void
freeze_add_run(struct ctl *c, int argc, char **argv)
{
	struct freeze_rule r = { .owner = (char *)(uintptr_t) "root" }, *n;

	for (int i = 0; i < argc; i += 2) {
		char *v = i + 1 < argc ? argv[i + 1] : NULL;

		if (v == NULL || strlen(v) > FREEZE_TEXT_MAX) {
			ctl_done(c, CTL_USAGE, "%s %s", argv[i],
			    v == NULL ? "needs a value" : "has a value that is too long");
			return;
		}
		if (strcmp(argv[i], "--from") == 0)
			r.from = v;
		else if (strcmp(argv[i], "--to") == 0)
			r.to = v;
		else if (strcmp(argv[i], "--match") == 0)
			r.either = v;
		else if (strcmp(argv[i], "--reason") == 0)
			r.reason = v;
		else if (strcmp(argv[i], "--owner") == 0)
			r.owner = v;
		else if (strcmp(argv[i], "--until") == 0) {
			r.until = until_parse(v);
			if (r.until <= queue_now()) {
				ctl_done(c, CTL_USAGE,
				    "%s is no time to come such as 2h, 3d or 2031-12-31",
				    v);
				return;
			}
		} else {
			ctl_done(c, CTL_USAGE,
			    "%s is unknown: --from, --to, --match, --reason, --owner, "
			    "--until",
			    argv[i]);
			return;
		}
	}
	if (r.from == NULL && r.to == NULL && r.either == NULL) {
		ctl_done(c, CTL_USAGE, "say what is frozen: --from, --to or --match");
		return;
	}
	if (r.reason == NULL || r.reason[0] == '\0') {
		ctl_done(c, CTL_USAGE, "say why: --reason");
		return;
	}
	if (queued.spool == NULL) {
		ctl_done(c, CTL_TEMPFAIL, "the spool is not open");
		return;
	}
	freeze_expire(&queued.freeze, queue_now());
	r.created = queue_now();
	n = freeze_add(&queued.freeze, &r);
	if (n == NULL) {
		ctl_done(c, CTL_REFUSED,
		    "there are %zu rules, which is as many as there can be",
		    queued.freeze.n);
		return;
	}
	if (save() == -1) {
		freeze_del(&queued.freeze, n->num);
		ctl_done(c, CTL_TEMPFAIL, "the rule cannot be written to the spool");
		return;
	}
	log_rule("freeze", n);
	ctl_text(c, "rule %u is in force", n->num);
	ctl_done(c, CTL_OK, NULL);
}

static void
freeze_del_run(struct ctl *c, int argc, char **argv)
{
	uint32_t num = (uint32_t)strtonum(argv[0], 1, UINT32_MAX, NULL), n;
	struct freeze_rule *r = NULL;

	(void)argc;
	if (queued.spool == NULL) {
		ctl_done(c, CTL_TEMPFAIL, "the spool is not open");
		return;
	}
	for (size_t i = 0; i < queued.freeze.n; i++) {
		if (queued.freeze.rules[i].num == num)
			r = &queued.freeze.rules[i];
	}
	if (r == NULL) {
		ctl_done(c, CTL_REFUSED, "there is no rule %s; see queue freeze list",
		    argv[0]);
		return;
	}
	log_rule("thaw", r);
	freeze_del(&queued.freeze, num);
	if (save() == -1) {
		ctl_done(c, CTL_TEMPFAIL,
		    "the rule is not in force now, but that could not be written to the "
		    "spool");
		return;
	}
	n = deliver_thaw();
	ctl_text(c, "rule %u is deleted, %u message%s looked at again", num, n,
	    n == 1 ? " is" : "s are");
	ctl_done(c, CTL_OK, NULL);
}

static void
freeze_list_run(struct ctl *c, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	for (size_t i = 0; i < queued.freeze.n; i++) {
		const struct freeze_rule *r = &queued.freeze.rules[i];

		if (r->until != 0 && r->until <= queue_now())
			continue;
		ctl_row(c, CTL_TABLE);
		ctl_u64(c, "rule", r->num);
		ctl_str(c, "from", r->from);
		ctl_str(c, "to", r->to);
		ctl_str(c, "match", r->either);
		ctl_str(c, "reason", r->reason);
		ctl_str(c, "owner", r->owner);
		ctl_time(c, "since", r->created);
		ctl_time(c, "until", r->until);
		ctl_row_end(c);
	}
	ctl_done(c, CTL_OK, NULL);
}

void
queue_freeze(struct ctl *c, int argc, char **argv)
{
	if (argc == 0 || (strcmp(argv[0], "list") == 0 && argc == 1))
		freeze_list_run(c, 0, NULL);
	else if (strcmp(argv[0], "add") == 0)
		freeze_add_run(c, argc - 1, argv + 1);
	else if (strcmp(argv[0], "del") == 0 && argc == 2)
		freeze_del_run(c, 1, argv + 1);
	else
		ctl_done(c, CTL_USAGE, "queue freeze add ..., del RULE, or list");
}
