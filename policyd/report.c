/* SPDX-License-Identifier: ISC */
/* A report on TLS; see report.h. */
#include "policyd/report.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "common/compat/compat.h"
#include "common/proto/date.h"
#include "common/proto/tlsrpt.h"

struct json {
	struct evbuffer *out;
	int bad;
	const char *sep; /* before the next member or element */
};

static void
put(struct json *j, const char *s, size_t len)
{
	if (len > 0 && evbuffer_add(j->out, s, len) == -1)
		j->bad = 1;
}

static void
put_text(struct json *j, const char *s, size_t len)
{
	put(j, "\"", 1);
	for (size_t i = 0; i < len; i++) {
		/* Nothing but printable ASCII is counted; and RFC 7493, 2.1. */
		if (s[i] == '"' || s[i] == '\\')
			put(j, "\\", 1);
		put(j, s[i] >= ' ' && s[i] <= '~' ? &s[i] : "?", 1);
	}
	put(j, "\"", 1);
}

static void
key(struct json *j, const char *name)
{
	put(j, j->sep, strlen(j->sep));
	put_text(j, name, strlen(name));
	put(j, ":", 1);
	j->sep = ",";
}

static void
open_with(struct json *j, const char *bracket)
{
	put(j, bracket, 1);
	j->sep = "";
}

static void
close_with(struct json *j, const char *bracket)
{
	put(j, bracket, 1);
	j->sep = ",";
}

static void
put_string(struct json *j, const char *name, const char *value)
{
	key(j, name);
	put_text(j, value, strlen(value));
}

static void
put_optional(struct json *j, const char *name, const char *value)
{
	if (value[0] != '\0')
		put_string(j, name, value);
}

static void
put_number(struct json *j, const char *name, uint64_t value)
{
	key(j, name);
	if (evbuffer_add_printf(j->out, "%llu", (unsigned long long)value) == -1)
		j->bad = 1;
}

static void
put_time(struct json *j, const char *name, int64_t t)
{
	char text[DATE_MAX];

	if (date_format_iso(t, text, sizeof(text)) == -1)
		text[0] = '\0';
	put_string(j, name, text);
}

/* An array of the parts of s. */
static void
put_list(struct json *j, const char *name, const char *s, const char *between)
{
	key(j, name);
	open_with(j, "[");
	while (*s != '\0') {
		size_t n = strcspn(s, between);

		put(j, j->sep, strlen(j->sep));
		put_text(j, s, n);
		j->sep = ",";
		s += n;
		s += strspn(s, between);
	}
	close_with(j, "]");
}

static void
put_detail(struct json *j, const struct tally_detail *d)
{
	put(j, j->sep, strlen(j->sep));
	open_with(j, "{");
	put_string(j, "result-type", tlsrpt_result_name(d->result));
	put_optional(j, "sending-mta-ip", d->sending_ip);
	put_optional(j, "receiving-mx-hostname", d->mx);
	put_optional(j, "receiving-mx-helo", d->helo);
	put_optional(j, "receiving-ip", d->ip);
	put_number(j, "failed-session-count", d->count);
	put_optional(j, "failure-reason-code", d->reason);
	close_with(j, "}");
}

static void
put_policy(struct json *j, const struct tally_policy *p)
{
	put(j, j->sep, strlen(j->sep));
	open_with(j, "{");
	key(j, "policy");
	open_with(j, "{");
	put_string(j, "policy-type", tlsrpt_policy_name(p->type));
	if (p->strings[0] != '\0')
		put_list(j, "policy-string", p->strings, ";");
	put_string(j, "policy-domain", p->domain);
	if (p->mx[0] != '\0')
		put_list(j, "mx-host", p->mx, " ");
	close_with(j, "}");
	key(j, "summary");
	open_with(j, "{");
	put_number(j, "total-successful-session-count", p->success);
	put_number(j, "total-failure-session-count", p->failure);
	close_with(j, "}");
	if (p->details != NULL) {
		key(j, "failure-details");
		open_with(j, "[");
		for (const struct tally_detail *d = p->details; d != NULL; d = d->next)
			put_detail(j, d);
		close_with(j, "]");
	}
	close_with(j, "}");
}

void
report_id(const struct tally *t, const char *hostname, char *out, size_t cap)
{
	snprintf(out, cap, "%lld.%.190s@%s", (long long)t->since, t->domain, hostname);
}

int
report_json(const struct tally *t, const char *hostname, const char *contact,
    struct evbuffer *out)
{
	struct json j = { .out = out, .sep = "" };
	char id[256];

	report_id(t, hostname, id, sizeof(id));
	open_with(&j, "{");
	put_string(&j, "organization-name", hostname);
	key(&j, "date-range");
	open_with(&j, "{");
	put_time(&j, "start-datetime", t->since);
	put_time(&j, "end-datetime", t->to);
	close_with(&j, "}");
	put_string(&j, "contact-info", contact);
	put_string(&j, "report-id", id);
	key(&j, "policies");
	open_with(&j, "[");
	for (const struct tally_policy *p = t->policies; p != NULL; p = p->next)
		put_policy(&j, p);
	close_with(&j, "]");
	close_with(&j, "}");
	put(&j, "\n", 1);
	return j.bad ? -1 : 0;
}

unsigned char *
report_gzip(struct evbuffer *in, size_t *len)
{
	size_t in_len = evbuffer_get_length(in);
	unsigned char *p = evbuffer_pullup(in, -1), *out;
	z_stream z = { .next_in = p, .avail_in = (uInt)in_len };
	uLong bound;

	if (p == NULL || in_len > UINT32_MAX / 2)
		return NULL;
	if (deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, 15 + 16, 8,
		Z_DEFAULT_STRATEGY) != Z_OK)
		return NULL;
	bound = deflateBound(&z, (uLong)in_len);
	if ((out = malloc(bound)) == NULL) {
		deflateEnd(&z);
		return NULL;
	}
	z.next_out = out;
	z.avail_out = (uInt)bound;
	if (deflate(&z, Z_FINISH) != Z_STREAM_END || z.total_out > REPORT_OCTETS_MAX) {
		free(out);
		out = NULL;
	} else
		*len = z.total_out;
	deflateEnd(&z);
	return out;
}
