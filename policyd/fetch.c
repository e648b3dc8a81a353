/* SPDX-License-Identifier: ISC */
/* One document by HTTPS; see fetch.h. */
#include "policyd/fetch.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/conn.h"
#include "common/daemon.h"
#include "common/log.h"
#include "common/proto/dnshosts.h"
#include "common/proto/dnsrr.h"
#include "common/tls.h"
#include "policyd/http.h"

#define DNS_TIMEOUT_MS 20000
#define CONNECT_MS 10000
#define INPUT_MAX 16384
#define ADDRS_MAX 8

struct fetch {
	fetch_cb cb;
	void *arg;
	char host[270];
	struct dnsaddr addrs[ADDRS_MAX];
	size_t n_addrs, at;
	unsigned int asking;
	uint64_t until; /* monotonic ms */
	struct conn *conn;
	char why[200];
	int untrusted;
	char *post; /* request, for a POST; NULL: a GET */
	size_t post_len;
	struct http http;
};

static struct ssl_ctx_st *tls;
static uint16_t https_port = 443;
static uint32_t timeout_s = 20;
static unsigned int running;

static void connect_next(struct fetch *);

int
fetch_open(const char *ca_file)
{
	if (tls_init() == -1)
		return -1;
	return (tls = tls_client_context(ca_file)) == NULL ? -1 : 0;
}

void
fetch_settings(uint16_t port, uint32_t timeout)
{
	https_port = port;
	timeout_s = timeout;
}

unsigned int
fetch_running(void)
{
	return running;
}

static void
end(struct fetch *f, const char *text, size_t len)
{
	conn_free(f->conn);
	f->conn = NULL;
	running--;
	f->cb(text, len, f->why, f->untrusted, f->arg);
	free(f->post);
	free(f);
}

static void
deadline(struct fetch *f, uint32_t most_ms)
{
	uint64_t now = now_ms(), left = f->until > now ? f->until - now : 1;

	conn_deadline(f->conn, left < most_ms ? (uint32_t)left : most_ms);
}

static void
host_failed(struct fetch *f, const char *why)
{
	snprintf(f->why, sizeof(f->why), "%.190s", why);
	conn_free(f->conn);
	f->conn = NULL;
	connect_next(f);
}

static void
ask_document(struct fetch *f)
{
	char request[600];
	int n = snprintf(request, sizeof(request),
	    "GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: %s\r\n"
	    "User-Agent: fife\r\nAccept: text/plain\r\nConnection: close\r\n\r\n",
	    f->host);

	deadline(f, UINT32_MAX);
	if (f->post != NULL ? conn_write(f->conn, f->post, f->post_len) == -1
			    : conn_write(f->conn, request, (size_t)n) == -1)
		host_failed(f, "out of memory");
}

/* What a host says is the answer, whatever it is: no other one is asked. */
static void
judge(struct fetch *f, int rc)
{
	if (rc == 1)
		end(f, f->http.body, f->http.body_len);
	else if (rc == -1) {
		strlcpy(f->why, f->http.why, sizeof(f->why));
		end(f, NULL, 0);
	}
}

static void
on_event(struct conn *c, enum conn_event what, void *arg)
{
	struct fetch *f = arg;
	struct evbuffer *in;
	size_t len;
	int rc;

	switch (what) {
	case CONN_CONNECTED:
		deadline(f, CONNECT_MS);
		if (conn_tls_client(c, tls, f->host, 1) == -1)
			host_failed(f, "no TLS");
		break;
	case CONN_TLS_READY:
		ask_document(f);
		break;
	case CONN_INPUT:
		in = conn_input(c);
		len = evbuffer_get_length(in);
		rc = http_push(&f->http, evbuffer_pullup(in, -1), len);
		evbuffer_drain(in, len);
		judge(f, rc);
		break;
	case CONN_EOF:
		judge(f, http_eof(&f->http));
		break;
	case CONN_TIMEOUT:
		host_failed(f, "the web server does not answer");
		break;
	case CONN_ERROR:
		f->untrusted = conn_tls_certificate_failed(c);
		host_failed(f, conn_error(c));
		break;
	default:
		break;
	}
}

static void
connect_next(struct fetch *f)
{
	struct sockaddr_storage ss;
	socklen_t len;

	while (f->at < f->n_addrs && now_ms() < f->until) {
		const struct dnsaddr *a = &f->addrs[f->at++];

		/* Of the site's own networks nobody else may tell us to ask. */
		if (https_port == 443 && dnsaddr_is_special(a)) {
			strlcpy(f->why, "the web server has an address of no use",
			    sizeof(f->why));
			continue;
		}
		http_init(&f->http, f->post != NULL);
		len = dnsaddr_sockaddr(a, https_port, &ss);
		f->conn = conn_connect(daemon_base(), (struct sockaddr *)&ss, len, NULL,
		    0, INPUT_MAX, on_event, f);
		if (f->conn != NULL) {
			deadline(f, CONNECT_MS);
			return;
		}
	}
	end(f, NULL, 0);
}

static void
got_addresses(struct msg *m, void *arg)
{
	struct fetch *f = arg;
	struct dnsrr rr;
	size_t off = 0;

	while (m != NULL && m->p.dns_answer.status == DNS_OK && f->n_addrs < ADDRS_MAX &&
	       dnsrr_next(m->p.dns_answer.records, m->p.dns_answer.records_len, &off,
		   &rr) == 1) {
		struct dnsaddr *a = &f->addrs[f->n_addrs];

		if ((rr.type != DNSRR_A || rr.len != 4) &&
		    (rr.type != DNSRR_AAAA || rr.len != 16))
			continue;
		a->family = rr.type == DNSRR_A ? AF_INET : AF_INET6;
		memcpy(a->ip, rr.data, rr.len);
		f->n_addrs++;
	}
	if (--f->asking == 0)
		connect_next(f);
}

static struct fetch *
start(const char *host, fetch_cb cb, void *arg)
{
	static const uint16_t types[] = { DNSRR_AAAA, DNSRR_A };
	struct channel *ch = daemon_peer(ROLE_DNSD);
	struct msg_dns_lookup q = { "" };
	struct fetch *f;

	if (ch == NULL || running >= FETCHES_MAX || tls == NULL ||
	    (f = calloc(1, sizeof(*f))) == NULL)
		return NULL;
	f->cb = cb;
	f->arg = arg;
	f->until = now_ms() + (uint64_t)timeout_s * 1000;
	strlcpy(f->why, "the web server has no address", sizeof(f->why));
	strlcpy(f->host, host, sizeof(f->host));
	strlcpy(q.name, f->host, sizeof(q.name));
	for (size_t i = 0; i < 2; i++) {
		q.rrtype = types[i];
		f->asking += channel_ask(ch, MSG_ANY_DNSD_LOOKUP, &q, -1, DNS_TIMEOUT_MS,
				 got_addresses, f) != 0;
	}
	if (f->asking == 0) {
		free(f);
		return NULL;
	}
	running++;
	return f;
}

struct fetch *
fetch_start(const char *domain, fetch_cb cb, void *arg)
{
	char host[270];

	snprintf(host, sizeof(host), "mta-sts.%.255s", domain);
	return start(host, cb, arg);
}

struct fetch *
fetch_post(const char *host, const char *path, const void *body, size_t len, fetch_cb cb,
    void *arg)
{
	char head[1100];
	int n = snprintf(head, sizeof(head),
	    "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: fife\r\n"
	    "Content-Type: application/tlsrpt+gzip\r\nContent-Length: %zu\r\n"
	    "Connection: close\r\n\r\n",
	    path, host, len);
	struct fetch *f;
	char *post;

	if (n < 0 || (size_t)n >= sizeof(head) ||
	    (post = malloc((size_t)n + len)) == NULL)
		return NULL;
	if ((f = start(host, cb, arg)) == NULL) {
		free(post);
		return NULL;
	}
	memcpy(post, head, (size_t)n);
	memcpy(post + n, body, len);
	f->post = post;
	f->post_len = (size_t)n + len;
	return f;
}
