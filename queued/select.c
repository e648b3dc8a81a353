/*
 * The words by which people choose messages of the queue.
 *
 * SPDX-License-Identifier: ISC
 */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "queued/qid.h"
#include "queued/retry.h"
#include "queued/select.h"

static int
state_parse(const char *s, enum select_state *out)
{
	static const struct {
		const char *word;
		enum select_state state;
	} words[] = { { "ready", SELECT_READY }, { "deferred", SELECT_DEFERRED },
		{ "held", SELECT_HELD }, { "active", SELECT_ACTIVE },
		{ "scheduled", SELECT_SCHEDULED }, { "frozen", SELECT_FROZEN },
		{ "quarantined", SELECT_QUARANTINED } };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcasecmp(s, words[i].word) == 0) {
			*out = words[i].state;
			return 0;
		}
	}
	return -1;
}

static int
priority_parse(const char *s, int *out)
{
	char *end;
	long n = strtol(s, &end, 10);

	if (end == s || *end != '\0' || n < -REC_PRIORITY_MAX || n > REC_PRIORITY_MAX)
		return -1;
	*out = (int)n;
	return 0;
}

int
select_parse(int argc, char **argv, struct select *s, char *why, size_t why_cap)
{
	memset(s, 0, sizeof(*s));
	for (int i = 0; i < argc; i++) {
		const char *w = argv[i], *v = i + 1 < argc ? argv[i + 1] : NULL;

		if (strcmp(w, "--all") == 0) {
			s->all = 1;
			continue;
		}
		if (strcmp(w, "--dry-run") == 0) {
			s->dry_run = 1;
			continue;
		}
		if (strncmp(w, "--", 2) != 0) {
			if (s->nids == SELECT_IDS_MAX ||
			    qid_parse(w, &s->ids[s->nids]) == -1) {
				snprintf(why, why_cap, "%s is no queue id", w);
				return -1;
			}
			s->nids++;
			continue;
		}
		if (v == NULL) {
			snprintf(why, why_cap, "%s needs a value", w);
			return -1;
		}
		i++;
		if (strcmp(w, "--to") == 0)
			s->to = v;
		else if (strcmp(w, "--from") == 0)
			s->from = v;
		else if (strcmp(w, "--state") == 0) {
			if (state_parse(v, &s->state) == -1) {
				snprintf(why, why_cap,
				    "%s is no state: ready, deferred, active, "
				    "scheduled, held, quarantined or frozen",
				    v);
				return -1;
			}
		} else if (strcmp(w, "--priority") == 0) {
			if (priority_parse(v, &s->priority) == -1) {
				snprintf(why, why_cap,
				    "%s is no priority: -9 to 9, 0 is normal", v);
				return -1;
			}
			s->has_priority = 1;
		} else if (strcmp(w, "--reason") == 0)
			s->reason = v;
		else if (strcmp(w, "--older") == 0 || strcmp(w, "--newer") == 0) {
			uint32_t *t = w[2] == 'o' ? &s->older_s : &s->newer_s;

			*t = retry_duration(v);
			if (*t == UINT32_MAX || *t == 0) {
				snprintf(why, why_cap,
				    "%s is no time such as 30m, 4h or 2d", v);
				return -1;
			}
		} else {
			snprintf(why, why_cap,
			    "%s is unknown: --to, --from, --state, --older, --newer, "
			    "--priority or --all",
			    w);
			return -1;
		}
	}
	return 0;
}

int
select_is_empty(const struct select *s)
{
	return s->to == NULL && s->from == NULL && s->state == SELECT_ANY &&
	       s->older_s == 0 && s->newer_s == 0 && !s->all && s->nids == 0;
}

int
select_address(const char *pattern, const char *address)
{
	const char *at = strrchr(address, '@');

	if (strcmp(pattern, "<>") == 0)
		return address[0] == '\0';
	if (strpbrk(pattern, "*?[") != NULL)
		return fnmatch(pattern, address, FNM_CASEFOLD) == 0;
	if (pattern[0] == '@')
		pattern++;
	else if (strchr(pattern, '@') != NULL)
		return strcasecmp(pattern, address) == 0;
	return at != NULL && strcasecmp(pattern, at + 1) == 0;
}

const char *
select_state_word(uint32_t flags, int deferred, int running, int scheduled)
{
	if (flags & QM_QUARANTINE && flags & QM_HELD)
		return "quarantined";
	if (flags & QM_HELD)
		return "held";
	if (running)
		return "active";
	if (scheduled)
		return "scheduled";
	return deferred ? "deferred" : "ready";
}

int
select_quick(const struct select *s, uint64_t id, uint32_t flags, int deferred,
    int running, int scheduled, int64_t age)
{
	if (s->nids > 0) {
		int found = 0;

		for (int i = 0; i < s->nids; i++)
			found |= s->ids[i] == id;
		if (!found)
			return 0;
	}
	if ((s->older_s != 0 && age < (int64_t)s->older_s) ||
	    (s->newer_s != 0 && age > (int64_t)s->newer_s))
		return 0;
	switch (s->state) {
	case SELECT_ANY:
	case SELECT_FROZEN: /* the recipients tell */
		break;
	case SELECT_QUARANTINED:
		return (flags & QM_HELD) != 0 && (flags & QM_QUARANTINE) != 0;
	case SELECT_HELD:
		return (flags & QM_HELD) != 0;
	case SELECT_ACTIVE:
		return running;
	case SELECT_DEFERRED:
		return !(flags & QM_HELD) && deferred;
	case SELECT_READY:
		return !(flags & QM_HELD) && !deferred && !running && !scheduled;
	case SELECT_SCHEDULED:
		return !(flags & QM_HELD) && !running && scheduled;
	}
	return 1;
}
