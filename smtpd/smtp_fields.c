/* SPDX-License-Identifier: ISC */
/* Header fields that ask for something; see smtp_fields.h. */
#include "smtpd/smtp_fields.h"

#include <stdlib.h>
#include <string.h>

#include "common/proto/date.h"
#include "common/proto/encoding.h"

enum field {
	FIELD_NONE,
	FIELD_TLS,
	FIELD_RRVS
};

void
smtp_fields_clear(struct smtp_fields *f)
{
	free(f->rrvs);
	memset(f, 0, sizeof(*f));
}

static void
rrvs_octet(struct smtp_fields *f, char c)
{
	if (f->rrvs == NULL && (f->rrvs = malloc(SMTP_FIELDS_RRVS_MAX)) == NULL)
		return;
	if (f->rrvs_len < SMTP_FIELDS_RRVS_MAX)
		f->rrvs[f->rrvs_len++] = c;
}

void
smtp_fields_begin(struct smtp_fields *f, const char *name, size_t len)
{
	f->reading = FIELD_NONE;
	if (ascii_equal(name, len, "tls-required")) {
		f->reading = FIELD_TLS;
		f->tls_len = 0;
		if (f->tls_seen < 2)
			f->tls_seen++;
	} else if (ascii_equal(name, len, "require-recipient-valid-since"))
		f->reading = FIELD_RRVS;
}

void
smtp_fields_octet(struct smtp_fields *f, unsigned char c)
{
	if (c > 127)
		f->eightbit = 1;
	if (f->reading == FIELD_RRVS)
		rrvs_octet(f, (char)c);
	else if (f->reading == FIELD_TLS && c != ' ' && c != '\t') {
		if (f->tls_len < sizeof(f->tls))
			f->tls[f->tls_len++] = (char)c;
	}
}

void
smtp_fields_end(struct smtp_fields *f)
{
	if (f->reading == FIELD_RRVS)
		rrvs_octet(f, '\n');
	f->reading = FIELD_NONE;
}

int
smtp_fields_tls_optional(const struct smtp_fields *f)
{
	return f->tls_seen == 1 && ascii_equal(f->tls, f->tls_len, "no");
}

/* "addr-spec ; date-time" */
static int
parse(const char *p, size_t len, char address[ADDRESS_MAX + 1], int64_t *since)
{
	const char *semi = NULL;
	struct address a;
	struct date d;
	size_t n;

	/* A quoted local part may hold one too: the last counts. */
	for (size_t i = 0; i < len; i++)
		if (p[i] == ';')
			semi = p + i;
	if (semi == NULL)
		return -1;
	while (len > 0 && (*p == ' ' || *p == '\t')) {
		p++;
		len--;
	}
	n = (size_t)(semi - p);
	while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t'))
		n--;
	if (n == 0 || address_parse(p, n, &a) == -1 ||
	    address_format(&a, address, ADDRESS_MAX + 1) == -1)
		return -1;
	semi++;
	if (date_parse(semi, len - (size_t)(semi - p), &d) == -1)
		return -1;
	*since = d.time;
	return 0;
}

int
smtp_fields_rrvs(const struct smtp_fields *f, size_t *off, char address[ADDRESS_MAX + 1],
    int64_t *since)
{
	while (f->rrvs != NULL && *off < f->rrvs_len) {
		const char *p = f->rrvs + *off;
		const char *end = memchr(p, '\n', f->rrvs_len - *off);
		size_t len = end != NULL ? (size_t)(end - p) : f->rrvs_len - *off;

		*off += len + 1;
		/* One that was cut off is none. */
		if ((end != NULL || f->rrvs_len < SMTP_FIELDS_RRVS_MAX) &&
		    parse(p, len, address, since) == 0)
			return 1;
	}
	return 0;
}
