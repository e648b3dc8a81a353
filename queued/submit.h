/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_SUBMIT_H
#define FIFE_QUEUED_SUBMIT_H

#include <stddef.h>
#include <stdint.h>

struct spool;

/* Called once: error 0 when the message is durable (and live already). */
typedef void (*submit_cb)(int error, void *arg);

struct submit_rcpt {
	const char *p;
	size_t len;
};

struct submit {
	uint64_t id; /* of spool_id() */
	const char *sender;
	size_t sender_len;
	const struct submit_rcpt *rcpts;
	size_t nrcpt;
	const char *client; /* for Received and the record: "uid 1000" */
	const char *content;
	size_t len;
	const char *hostname;
	const char *domain; /* for addresses without one */
	int judge; /* filterd is asked first: EAGAIN while it cannot be, or defers */
	int tls_optional; /* "TLS-Required: No" (RFC 8689) */
};

/*
 * Take a message of this host itself: Received header, CRLF line ends (a CR or LF alone
 * is one too), body file when large. Everything is copied. 0, or -1 with errno: cb is
 * not called; EINVAL: it can never be taken (an address is too long, or a NUL). What
 * filterd rejects is taken and comes back as a bounce.
 */
int submit_message(
    struct spool *, const struct submit *, int64_t now, submit_cb, void *arg);

/* The lowest id of those on their way; UINT64_MAX: none. */
uint64_t submit_oldest(void);

#endif
