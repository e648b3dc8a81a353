/* SPDX-License-Identifier: ISC */
/* Reports on TLS as mail; see tlsreport.h. */
#include "queued/tlsreport.h"

#include <sys/stat.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/file.h"
#include "common/log.h"
#include "common/proto/address.h"
#include "common/proto/date.h"
#include "common/proto/encoding.h"
#include "queued/internal.h"
#include "queued/qid.h"
#include "queued/submit.h"

#define OCTETS_MAX (1u << 20)
#define REPORTS_MAX 2000
#define REPORTS_PERIOD_S 3600
#define HEAD_MAX 4096

/* Who gets the answer. */
struct asker {
	uint64_t channel, request;
};

static void
answer(uint64_t channel, uint64_t request, enum answer_status status, const char *why)
{
	struct channel *ch = channel_find(channel);
	struct msg_status m = { .status = (uint8_t)status };

	strlcpy(m.text, why, sizeof(m.text));
	if (ch != NULL)
		(void)channel_send(ch, MSG_QUEUED_POLICYD_REPORT_TAKEN, request, &m, -1);
}

static void
on_durable(int error, void *arg)
{
	struct asker *a = arg;

	answer(a->channel, a->request, error == 0 ? MSG_OK : MSG_TEMP,
	    error == 0 ? "" : strerror(error));
	free(a);
}

/* policyd may have been taken over: it does not fill the queue. */
static int
take_turn(int64_t now)
{
	static int64_t since;
	static unsigned int n;

	if (now - since >= REPORTS_PERIOD_S || now < since) {
		since = now;
		n = 0;
	}
	return n++ < REPORTS_MAX;
}

static int
is_report_id(const char *s)
{
	return s[0] != '\0' &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			 "0123456789.-_@") == strlen(s);
}

/* The whole report, malloc'd. */
static uint8_t *
read_report(int fd, size_t size)
{
	struct stat st;
	uint8_t *p;

	/* Anything else could have us wait. */
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) || size == 0 ||
	    size > OCTETS_MAX || (p = malloc(size)) == NULL)
		return NULL;
	if (file_read_at(fd, p, size, 0) == -1) {
		free(p);
		return NULL;
	}
	return p;
}

/* From: the administrator, whom the report names as its contact. */
static void
contact(char *out, size_t cap)
{
	const struct msg_conf *c = daemon_conf();

	if (strchr(c->postmaster, '@') != NULL)
		strlcpy(out, c->postmaster, cap);
	else
		snprintf(out, cap, "postmaster@%s", c->hostname);
}

/* The message, malloc'd; NULL without memory. */
static char *
write_message(const struct msg_tls_report *r, const uint8_t *packed, const char *qid,
    int64_t now, size_t *len)
{
	const struct msg_conf *c = daemon_conf();
	char from[340], date[DATE_MAX] = "", start[DATE_MAX] = "", end[DATE_MAX] = "";
	size_t size = (size_t)r->size, cap = HEAD_MAX + size / 57 * 78 + 200;
	char *text = malloc(cap);
	int n, m;

	if (text == NULL)
		return NULL;
	contact(from, sizeof(from));
	(void)date_format(now, date_local_zone(now), date, sizeof(date));
	(void)date_format_iso(r->start, start, sizeof(start));
	(void)date_format_iso(r->end, end, sizeof(end));
	n = snprintf(text, HEAD_MAX,
	    "From: <%s>\r\n"
	    "To: <%s>\r\n"
	    "Subject: Report Domain: %s\r\n"
	    " Submitter: %s\r\n"
	    " Report-ID: <%s>\r\n"
	    "Date: %s\r\n"
	    "Message-ID: <%s.tlsrpt@%s>\r\n"
	    "TLS-Report-Domain: %s\r\n"
	    "TLS-Report-Submitter: %s\r\n"
	    "TLS-Required: No\r\n"
	    "Auto-Submitted: auto-generated\r\n"
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: multipart/report; report-type=tlsrpt;\r\n"
	    " boundary=\"%s/tlsrpt\"\r\n"
	    "\r\n"
	    "--%s/tlsrpt\r\n"
	    "Content-Type: text/plain; charset=us-ascii\r\n"
	    "\r\n"
	    "This is an aggregate report on TLS (RFC 8460) from %s\r\n"
	    "about its mail to %s,\r\n"
	    "from %s to %s.\r\n"
	    "\r\n"
	    "--%s/tlsrpt\r\n"
	    "Content-Type: application/tlsrpt+gzip\r\n"
	    "Content-Transfer-Encoding: base64\r\n"
	    "Content-Disposition: attachment;\r\n"
	    " filename=\"%s!%s!%lld!%lld.json.gz\"\r\n"
	    "\r\n",
	    from, r->to, r->domain, strrchr(from, '@') + 1, r->report_id, date, qid,
	    c->hostname, r->domain, strrchr(from, '@') + 1, qid, qid, c->hostname,
	    r->domain, start, end, qid, strrchr(from, '@') + 1, r->domain,
	    (long long)r->start, (long long)r->end);
	m = n < 0 || n >= HEAD_MAX
		? -1
		: base64_encode_lines(packed, size, text + n, cap - (size_t)n);
	if (m == -1 || cap - (size_t)n - (size_t)m < 100) {
		free(text);
		return NULL;
	}
	n += m;
	n += snprintf(text + n, cap - (size_t)n, "--%s/tlsrpt--\r\n", qid);
	*len = (size_t)n;
	return text;
}

static enum answer_status
submit_report(const struct msg_tls_report *r, const uint8_t *packed, struct asker *a)
{
	const struct msg_conf *c = daemon_conf();
	struct submit_rcpt rcpt = { r->to, strlen(r->to) };
	char qid[QID_SIZE];
	int64_t now = queue_now();
	struct submit s = { .sender = "",
		.rcpts = &rcpt,
		.nrcpt = 1,
		.client = "tls-report",
		.hostname = c->hostname,
		.domain = c->hostname,
		.judge = 1,
		.tls_optional = 1 };
	char *text;
	int rc;

	if ((s.id = spool_id(queued.spool)) == 0)
		return MSG_TEMP;
	qid_format(s.id, qid);
	if ((text = write_message(r, packed, qid, now, &s.len)) == NULL)
		return MSG_TEMP;
	s.content = text;
	rc = submit_message(queued.spool, &s, now, on_durable, a);
	free(text);
	return rc == 0 ? MSG_OK : MSG_TEMP;
}

void
tlsreport_message(struct channel *ch, struct msg *m)
{
	const struct msg_tls_report *r = &m->p.tls_report;
	uint64_t channel = channel_serial(ch);
	struct address to;
	struct asker *a;
	uint8_t *packed;
	int fd = msg_take_fd(m);

	if (!address_domain_valid_loose(r->domain, strlen(r->domain)) ||
	    !is_report_id(r->report_id) ||
	    address_parse(r->to, strlen(r->to), &to) == -1 || !address_is_ascii(&to) ||
	    strpbrk(r->to, "<>\r\n") != NULL) {
		answer(channel, m->id, MSG_PERM, "this is no report");
		close(fd);
		return;
	}
	packed = read_report(fd, (size_t)r->size);
	close(fd);
	a = packed != NULL ? calloc(1, sizeof(*a)) : NULL;
	if (a == NULL || !take_turn(queue_now())) {
		answer(channel, m->id, MSG_TEMP,
		    packed == NULL ? "the report cannot be read"
				   : "the queue takes no more of them now");
		free(packed);
		free(a);
		return;
	}
	a->channel = channel;
	a->request = m->id;
	if (submit_report(r, packed, a) != MSG_OK) {
		answer(channel, m->id, MSG_TEMP, "the report cannot be queued now");
		free(a);
	}
	free(packed);
}
