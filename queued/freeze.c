/*
 * Standing freeze rules, see freeze.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "queued/bytes.h"
#include "queued/freeze.h"
#include "queued/select.h"

#define VERSION 1

static void
rule_clear(struct freeze_rule *r)
{
	free(r->from);
	free(r->to);
	free(r->either);
	free(r->reason);
	free(r->owner);
	memset(r, 0, sizeof(*r));
}

void
freeze_clear(struct freeze *f)
{
	for (size_t i = 0; i < f->n; i++)
		rule_clear(&f->rules[i]);
	free(f->rules);
	memset(f, 0, sizeof(*f));
}

static char *
copy(const char *s)
{
	if (s == NULL)
		s = "";
	return strlen(s) > FREEZE_TEXT_MAX ? NULL : strdup(s);
}

static struct freeze_rule *
append(struct freeze *f, const struct freeze_rule *r)
{
	struct freeze_rule *n;

	if (f->n >= FREEZE_RULES_MAX)
		return NULL;
	n = reallocarray(f->rules, f->n + 1, sizeof(*n));
	if (n == NULL)
		return NULL;
	f->rules = n;
	n = &f->rules[f->n];
	*n = (struct freeze_rule){
		.num = r->num, .created = r->created, .until = r->until
	};
	n->from = copy(r->from);
	n->to = copy(r->to);
	n->either = copy(r->either);
	n->reason = copy(r->reason);
	n->owner = copy(r->owner);
	if (n->from == NULL || n->to == NULL || n->either == NULL || n->reason == NULL ||
	    n->owner == NULL) {
		rule_clear(n);
		return NULL;
	}
	f->n++;
	return n;
}

int
freeze_decode(struct freeze *f, const uint8_t *p, size_t len)
{
	struct bytes_in in = { .p = p, .len = len };
	uint32_t n, last;

	freeze_clear(f);
	if (len == 0)
		return 0;
	if (bytes_get_int(&in, 4) != VERSION)
		return -1;
	last = (uint32_t)bytes_get_int(&in, 4);
	n = (uint32_t)bytes_get_int(&in, 4);
	for (uint32_t i = 0; i < n && !in.bad; i++) {
		struct freeze_rule r = { 0 };

		r.num = (uint32_t)bytes_get_int(&in, 4);
		r.created = (int64_t)bytes_get_int(&in, 8);
		r.until = (int64_t)bytes_get_int(&in, 8);
		/* Only read: the strings are copied. */
		r.from = (char *)(uintptr_t)bytes_get_str(&in, FREEZE_TEXT_MAX);
		r.to = (char *)(uintptr_t)bytes_get_str(&in, FREEZE_TEXT_MAX);
		r.either = (char *)(uintptr_t)bytes_get_str(&in, FREEZE_TEXT_MAX);
		r.reason = (char *)(uintptr_t)bytes_get_str(&in, FREEZE_TEXT_MAX);
		r.owner = (char *)(uintptr_t)bytes_get_str(&in, FREEZE_TEXT_MAX);
		if (in.bad || append(f, &r) == NULL)
			in.bad = 1;
	}
	f->last = last;
	if (!in.bad && in.len == 0)
		return 0;
	freeze_clear(f);
	return -1;
}

static void
encode(const struct freeze *f, struct bytes_out *o)
{
	bytes_put_int(o, VERSION, 4);
	bytes_put_int(o, f->last, 4);
	bytes_put_int(o, f->n, 4);
	for (size_t i = 0; i < f->n; i++) {
		const struct freeze_rule *r = &f->rules[i];

		bytes_put_int(o, r->num, 4);
		bytes_put_int(o, (uint64_t)r->created, 8);
		bytes_put_int(o, (uint64_t)r->until, 8);
		bytes_put_str(o, r->from);
		bytes_put_str(o, r->to);
		bytes_put_str(o, r->either);
		bytes_put_str(o, r->reason);
		bytes_put_str(o, r->owner);
	}
}

uint8_t *
freeze_encode(const struct freeze *f, size_t *len)
{
	struct bytes_out o = { 0 };

	encode(f, &o);
	o.p = malloc(o.len);
	if (o.p == NULL)
		return NULL;
	o.cap = *len = o.len;
	o.len = 0;
	encode(f, &o);
	return o.p;
}

struct freeze_rule *
freeze_add(struct freeze *f, const struct freeze_rule *r)
{
	struct freeze_rule *n = append(f, r);

	if (n != NULL)
		n->num = ++f->last;
	return n;
}

int
freeze_del(struct freeze *f, uint32_t num)
{
	for (size_t i = 0; i < f->n; i++) {
		if (f->rules[i].num != num)
			continue;
		rule_clear(&f->rules[i]);
		memmove(
		    &f->rules[i], &f->rules[i + 1], (f->n - i - 1) * sizeof(f->rules[0]));
		f->n--;
		return 0;
	}
	return -1;
}

static int
is_over(const struct freeze_rule *r, int64_t now)
{
	return r->until != 0 && r->until <= now;
}

size_t
freeze_expire(struct freeze *f, int64_t now)
{
	size_t n = 0;

	for (size_t i = f->n; i > 0; i--) {
		if (is_over(&f->rules[i - 1], now)) {
			freeze_del(f, f->rules[i - 1].num);
			n++;
		}
	}
	return n;
}

const struct freeze_rule *
freeze_match(const struct freeze *f, const char *sender, const char *rcpt, int64_t now)
{
	for (size_t i = 0; i < f->n; i++) {
		const struct freeze_rule *r = &f->rules[i];

		if (is_over(r, now) ||
		    (r->from[0] != '\0' && !select_address(r->from, sender)) ||
		    (r->to[0] != '\0' && !select_address(r->to, rcpt)) ||
		    (r->either[0] != '\0' && !select_address(r->either, sender) &&
			!select_address(r->either, rcpt)))
			continue;
		return r;
	}
	return NULL;
}

void
freeze_describe(const struct freeze_rule *r, char *buf, size_t cap)
{
	snprintf(buf, cap, "frozen by %s (rule %u)%s%s", r->owner, r->num,
	    r->reason[0] != '\0' ? ": " : "", r->reason);
}
