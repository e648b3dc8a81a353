/* SPDX-License-Identifier: ISC */
/* date and currentdate: RFC 5260, 4 and 5. */
#include <stdio.h>
#include <string.h>

#include "common/proto/date.h"
#include "common/proto/encoding.h"
#include "mailbox/sieve/run.h"

/* "+0100" in minutes; -1: it is none. */
static int
zone_parse(const struct sieve_value *v, int *minutes)
{
	int n = 0;

	if (v->len != 5 || (v->s[0] != '+' && v->s[0] != '-'))
		return -1;
	for (int i = 1; i < 5; i++) {
		if (v->s[i] < '0' || v->s[i] > '9')
			return -1;
		n = n * 10 + v->s[i] - '0';
	}
	n = n / 100 * 60 + n % 100;
	*minutes = v->s[0] == '-' ? -n : n;
	return 0;
}

/* The part of a moment in a zone; false: there is no such part. */
static bool
part_print(const struct sieve_value *part, int64_t t, int zone, char *out, size_t cap)
{
	static const char *const names[] = { "year", "month", "day", "date", "julian",
		"hour", "minute", "second", "time", "iso8601", "std11", "zone",
		"weekday" };
	int64_t local = t + (int64_t)zone * 60, days;
	int abs_zone = zone < 0 ? -zone : zone, rest;
	char sign = zone < 0 ? '-' : '+';
	struct date d;
	size_t i = 0;

	while (i < 13 && !ascii_equal(part->s, part->len, names[i]))
		i++;
	date_from_time(t, zone, &d);
	rest = (int)(((local % 86400) + 86400) % 86400);
	days = (local - rest) / 86400;
	switch (i) {
	case 0:
		snprintf(out, cap, "%04d", d.year);
		break;
	case 1:
		snprintf(out, cap, "%02d", d.month);
		break;
	case 2:
		snprintf(out, cap, "%02d", d.day);
		break;
	case 3:
		snprintf(out, cap, "%04d-%02d-%02d", d.year, d.month, d.day);
		break;
	case 4: /* the modified one */
		snprintf(out, cap, "%lld", (long long)days + 40587);
		break;
	case 5:
		snprintf(out, cap, "%02d", d.hour);
		break;
	case 6:
		snprintf(out, cap, "%02d", d.minute);
		break;
	case 7:
		snprintf(out, cap, "%02d", d.second);
		break;
	case 8:
		snprintf(out, cap, "%02d:%02d:%02d", d.hour, d.minute, d.second);
		break;
	case 9:
		if (zone == 0)
			snprintf(out, cap, "%04d-%02d-%02dT%02d:%02d:%02dZ", d.year,
			    d.month, d.day, d.hour, d.minute, d.second);
		else
			snprintf(out, cap, "%04d-%02d-%02dT%02d:%02d:%02d%c%02d:%02d",
			    d.year, d.month, d.day, d.hour, d.minute, d.second, sign,
			    abs_zone / 60, abs_zone % 60);
		break;
	case 10:
		if (date_format(t, zone, out, cap) == -1)
			return false;
		break;
	case 11:
		snprintf(out, cap, "%c%02d%02d", sign, abs_zone / 60, abs_zone % 60);
		break;
	case 12: /* 1970 began on a Thursday */
		snprintf(out, cap, "%d", (int)(((days + 4) % 7 + 7) % 7));
		break;
	default:
		return false;
	}
	return true;
}

/* What stands in a field; in Received behind the last semicolon. */
static int
field_date(struct sieve_run *run, const struct sieve_field *f, struct date *out)
{
	struct sieve_value v;
	const char *semicolon;

	if (sieve_field_text(run, f, false, &v) == -1)
		return -1;
	semicolon = v.len > 0 ? memrchr(v.s, ';', v.len) : NULL;
	if (semicolon != NULL) {
		v.len -= (size_t)(semicolon + 1 - v.s);
		v.s = semicolon + 1;
	}
	return date_parse(v.s, v.len, out) == 0;
}

static int
match_date(struct sieve_run *run, struct sieve_node *node, const struct sieve_value *part,
    struct sieve_match *m)
{
	bool current = node->rule->op == OP_CURRENTDATE;
	int64_t t = run->in->now;
	int zone = run->in->zone_min, r;
	struct sieve_value zone_text, v;
	struct sieve_field_list list;
	struct date d;
	char text[64];

	if (sieve_option_value(run, node, OPT_ZONE, &zone_text) == -1)
		return -1;
	if (!current) {
		if (sieve_collect_fields(run, node, node->positional[0], &list) == -1)
			return -1;
		if (list.n == 0)
			return 0;
		if ((r = field_date(run, &list.v[0], &d)) != 1)
			return r;
		t = d.time;
		if (sieve_option(node, OPT_ORIGINALZONE) != NULL)
			zone = d.zone_min;
	}
	if (zone_text.s != NULL && zone_parse(&zone_text, &zone) == -1)
		zone = run->in->zone_min;
	if (!part_print(part, t, zone, text, sizeof(text)))
		return 0;
	v = (struct sieve_value){ text, strlen(text) };
	return sieve_match_value(m, &v);
}

int
sieve_test_date(struct sieve_run *run, struct sieve_node *node)
{
	size_t at = node->rule->op == OP_DATE ? 1 : 0;
	struct sieve_value part;
	struct sieve_match m;

	if (sieve_expand(run, &node->positional[at]->v[0], &part) == -1 ||
	    sieve_match_begin(run, node, node->positional[at + 1], &m) == -1)
		return -1;
	return sieve_match_end(&m, match_date(run, node, &part, &m));
}
